import { assign, defaultKeys, keep, keysFor } from "./class_keys.js";
import { byId } from "./messages.js";
import { swatch } from "./palette.js";

/** @typedef {import("./palette.js").Entry} Entry */
/** @typedef {typeof import("./preferences.js").DEFAULTS} Preferences */

/**
 * The dialog in which annotators choose the classes' keys. The choice counts at once.
 *
 * @param {Preferences} chosen
 * @param {Entry[]} entries The classes, and void as the last.
 * @param {() => void} onChange Called when the entries have other keys.
 * @returns {() => void} Shows the dialog.
 */
export function classKeysDialog(chosen, entries, onChange) {
  const classes = entries.slice(0, -1);
  const names = classes.map((entry) => entry.name);
  const dialog = byId("keys-dialog");
  /** The class that waits for its key, -1 for none. */
  let waiting = -1;

  const rows = classes.map((entry, at) => {
    const line = document.createElement("li");
    const name = document.createElement("span");
    name.textContent = name.title = entry.name;
    name.dir = "auto";
    const button = document.createElement("button");
    button.type = "button";
    button.addEventListener("click", () => wait(waiting === at ? -1 : at));
    line.append(swatch(entry), name, button);
    return { line, button };
  });
  byId("keys-list").replaceChildren(...rows.map(({ line }) => line));

  /** @param {string[]} keys */
  function take(keys) {
    classes.forEach((entry, at) => (entry.key = keys[at]));
    onChange();
  }

  /** @param {number} at @param {string} [message] */
  function wait(at, message = at < 0 ? "" : `Press the new key for ${names[at]}. Esc leaves it.`) {
    waiting = at;
    byId("keys-message").textContent = message;
    rows.forEach(({ button }, i) => {
      const { name, key } = classes[i];
      button.textContent = i === waiting ? "press a key" : key || "none";
      button.setAttribute("aria-pressed", String(i === waiting));
      button.setAttribute("aria-label", `Key of ${name}: ${button.textContent}`);
    });
  }

  dialog.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    // Tab and modifiers keep their own meaning.
    if (waiting < 0 || /^(Tab|Shift|Control|Alt|AltGraph|Meta|CapsLock)$/.test(event.key)) {
      return;
    }
    event.preventDefault();
    if (event.key === "Escape") {
      wait(-1);
      return;
    }
    const { keys, message } = assign(names, keysFor(names, chosen.classKeys), waiting, event);
    if (keys) {
      chosen.classKeys = keep(names, chosen.classKeys, keys);
      take(keys);
    }
    wait(keys ? -1 : waiting, message);
  });
  // Some browsers close a dialog on Escape whatever the key's listeners do.
  dialog.addEventListener("cancel", (/** @type {Event} */ event) => {
    if (waiting >= 0) {
      event.preventDefault();
      wait(-1);
    }
  });
  byId("keys-reset").addEventListener("click", () => {
    chosen.classKeys = keep(names, chosen.classKeys, null);
    take(defaultKeys(names.length));
    wait(-1, "All classes have their first keys again.");
  });

  return () => {
    wait(-1);
    dialog.showModal();
    rows[0]?.button.focus();
  };
}
