import { byId } from "./messages.js";

/** @typedef {import("./cursor.js").Unit} Unit */
/** @typedef {typeof import("./preferences.js").DEFAULTS} Preferences */

const UNIT_CHOICE = 'input[name="unit"]';

/** The page's controls for the annotator's settings, which the browser keeps. */
export class Controls {
  /**
   * @param {Preferences} chosen
   * @param {() => void} onChange Called when the display must change.
   * @param {(unit: Unit) => void} onUnit
   */
  constructor(chosen, onChange, onUnit) {
    this.chosen = chosen;
    this._onChange = onChange;
    for (const [id, field] of /** @type {const} */ ([
      ["brush", "brush"],
      ["opacity", "opacity"],
      ["tolerance", "tolerance"],
    ])) {
      this._set(id, field, chosen[field]);
      byId(id).addEventListener("input", () => this._set(id, field, byId(id).value));
    }
    for (const [id, field] of /** @type {const} */ ([
      ["auto-submit", "autoSubmit"],
      ["auto-zoom", "autoZoom"],
      ["smooth", "smooth"],
      ["direct", "direct"],
    ])) {
      byId(id).checked = chosen[field];
      byId(id).addEventListener("change", () => {
        chosen[field] = byId(id).checked;
        onChange();
      });
    }
    for (const radio of document.querySelectorAll(UNIT_CHOICE)) {
      radio.addEventListener("change", () => onUnit(this.unit));
    }
    byId("guess").addEventListener("change", onChange);
    byId("theme").addEventListener("click", () => this._switchTheme());
    document.documentElement.dataset.theme = chosen.theme;
  }

  /** @returns {Unit} */
  get unit() {
    return /** @type {any} */ (document.querySelector(`${UNIT_CHOICE}:checked`)).value;
  }

  set unit(unit) {
    /** @type {any} */ (document.querySelector(`${UNIT_CHOICE}[value="${unit}"]`)).checked = true;
  }

  /** Whether the model's guess is shown, if the item has one. */
  get showsGuess() {
    return byId("guess").checked && !byId("guess-row").hidden;
  }

  switchGuess() {
    byId("guess").checked = !byId("guess").checked;
    this._onChange();
  }

  /** @param {number} pixels */
  growBrush(pixels) {
    this._set("brush", "brush", this.chosen.brush + pixels);
  }

  /** @param {number} share */
  addOpacity(share) {
    this._set("opacity", "opacity", this.chosen.opacity + share);
  }

  /** @param {string} id @param {"brush" | "opacity" | "tolerance"} field @param {number} value */
  _set(id, field, value) {
    // The slider limits the value.
    byId(id).value = value;
    this.chosen[field] = Number(byId(id).value);
    byId("brush-size").textContent = `${this.chosen.brush} px`;
    this._onChange();
  }

  _switchTheme() {
    const isSystemDark = matchMedia("(prefers-color-scheme: dark)").matches;
    const isDark = this.chosen.theme ? this.chosen.theme === "dark" : isSystemDark;
    this.chosen.theme = isDark ? "light" : "dark";
    document.documentElement.dataset.theme = this.chosen.theme;
  }
}

/**
 * Asks who is labelling, until a name is given.
 *
 * @param {Preferences} chosen
 * @returns {Promise<boolean>} Whether the name changed.
 */
export async function askName(chosen) {
  const dialog = byId("name-dialog");
  const before = chosen.annotator;
  byId("name").value = before;
  do {
    dialog.showModal();
    await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
    chosen.annotator = byId("name").value.trim() || before;
  } while (!chosen.annotator);
  byId("annotator").textContent = chosen.annotator;
  return chosen.annotator !== before;
}
