import { defaultKeys } from "./class_keys.js";
import { contextOf, patternTile } from "./patterns.js";

/**
 * A class, or void.
 *
 * @typedef {{number: number, name: string, color: string, key: string, tile: HTMLCanvasElement}} Entry
 */

const VOID_COLOR = "#8a8f98";

/**
 * @param {Array<{number: number, name: string, color: string}>} classes
 * @param {number} voidLabel
 * @param {string[]} [keys] Of the classes.
 * @returns {Entry[]} Void is the last.
 */
export function makeEntries(classes, voidLabel, keys = defaultKeys(classes.length)) {
  const entries = classes.map((entry, i) => ({
    ...entry,
    key: keys[i],
    tile: patternTile(entry.color, entry.number),
  }));
  const tile = patternTile(VOID_COLOR, -1);
  return [
    ...entries,
    { number: voidLabel, name: "void / unclear", color: VOID_COLOR, key: "0", tile },
  ];
}

/** The list of classes. */
export class Palette {
  /**
   * @param {HTMLElement} container
   * @param {HTMLInputElement} search
   * @param {Entry[]} entries
   * @param {(entry: Entry, isDirect: boolean) => void} onChoose Direct if it was searched for.
   */
  constructor(container, search, entries, onChoose) {
    this._search = search;
    this.active = entries[0];
    this._buttons = entries.map((entry) => {
      const button = document.createElement("button");
      button.type = "button";
      const key = document.createElement("kbd");
      key.setAttribute("aria-hidden", "true");
      const name = document.createElement("span");
      name.textContent = entry.name;
      name.dir = "auto";
      button.title = entry.name;
      button.append(swatch(entry), name, key);
      button.addEventListener("click", () => onChoose(entry, false));
      return { entry, button, key };
    });
    // The list scrolls if it is long, but void stays in sight.
    const list = document.createElement("div");
    list.className = "list";
    const buttons = this._buttons.map(({ button }) => button);
    list.append(...buttons.slice(0, -1));
    container.replaceChildren(list, ...buttons.slice(-1));
    this.showKeys();
    search.addEventListener("input", () => this._filter());
    search.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") {
        const [first] = this._matches();
        search.value = "";
        this._filter();
        search.blur();
        if (event.key === "Enter" && first) {
          onChoose(first.entry, true);
        }
        event.preventDefault();
      }
      event.stopPropagation();
    });
    this.choose(entries[0]);
  }

  /** The entries have other keys. */
  showKeys() {
    for (const { entry, button, key } of this._buttons) {
      key.textContent = entry.key;
      key.hidden = !entry.key;
      if (entry.key) {
        button.setAttribute("aria-keyshortcuts", entry.key);
      } else {
        button.removeAttribute("aria-keyshortcuts");
      }
    }
    this._search.hidden = this._buttons.every(({ entry }) => entry.key);
  }

  /** Moves the focus to the search field, which exists if some classes have no key. */
  search() {
    this._search.focus();
  }

  /** @param {Entry} chosen */
  choose(chosen) {
    this.active = chosen;
    for (const { entry, button } of this._buttons) {
      button.setAttribute("aria-pressed", String(entry === chosen));
      if (entry === chosen) {
        button.scrollIntoView({ block: "nearest" });
      }
    }
  }

  _matches() {
    const words = this._search.value.trim().toLocaleLowerCase();
    const at = (/** @type {Entry} */ entry) => entry.name.toLocaleLowerCase().indexOf(words);
    return this._buttons
      .filter(({ entry }) => at(entry) >= 0)
      .sort((a, b) => at(a.entry) - at(b.entry));
  }

  _filter() {
    const found = new Set(this._matches());
    this._buttons.forEach((each) => (each.button.hidden = !found.has(each)));
  }
}

/** A class of a part that may hold several. @param {Entry} entry @param {() => void} onRemove */
export function chip(entry, onRemove) {
  const button = document.createElement("button");
  button.type = "button";
  const name = document.createElement("span");
  name.textContent = entry.name;
  name.dir = "auto";
  button.setAttribute("aria-label", `Take ${entry.name} away`);
  button.append(swatch(entry), name, "×");
  button.addEventListener("click", onRemove);
  return button;
}

/** @param {Entry} entry */
export function swatch({ color, tile }) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 44;
  canvas.className = "swatch";
  canvas.setAttribute("aria-hidden", "true");
  const ink = contextOf(canvas);
  ink.fillStyle = color;
  ink.fillRect(0, 0, 44, 44);
  ink.fillStyle = /** @type {CanvasPattern} */ (ink.createPattern(tile, "repeat"));
  ink.fillRect(0, 0, 44, 44);
  return canvas;
}
