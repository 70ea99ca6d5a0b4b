import { byId } from "./messages.js";

/** @typedef {import("./cursor.js").Unit} Unit */
/** @typedef {typeof import("./preferences.js").DEFAULTS} Preferences */

/** The sliders and the settings that they set. */
const SLIDERS = /** @type {const} */ (["brush", "opacity", "tolerance", "brightness", "contrast"]);

/** @typedef {typeof SLIDERS[number]} Slider */

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
    for (const field of SLIDERS) {
      this._set(field, chosen[field]);
      byId(field).addEventListener("input", () => this._set(field, byId(field).value));
    }
    for (const [id, field] of /** @type {const} */ ([
      ["auto-submit", "autoSubmit"],
      ["auto-zoom", "autoZoom"],
      ["whole-first", "wholeFirst"],
      ["smooth", "smoothPhoto"],
      ["brighten", "brighten"],
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
    byId("tone-reset").addEventListener("click", () => this.resetTone());
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

  switchBrighten() {
    this.chosen.brighten = byId("brighten").checked = !this.chosen.brighten;
    this._onChange();
  }

  /** Shows photos as they are. */
  resetTone() {
    this.chosen.brighten = byId("brighten").checked = false;
    this._set("brightness", 0);
    this._set("contrast", 0);
  }

  /** @param {number} pixels */
  growBrush(pixels) {
    this._set("brush", this.chosen.brush + pixels);
  }

  /** @param {number} share */
  addOpacity(share) {
    this._set("opacity", this.chosen.opacity + share);
  }

  /** @param {Slider} field @param {number} value */
  _set(field, value) {
    // The slider limits the value.
    byId(field).value = value;
    this.chosen[field] = Number(byId(field).value);
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
 * Asks who is labelling, until a name is given. Escape leaves the name as it was.
 *
 * @param {Preferences} chosen
 * @returns {Promise<boolean>} Whether the name changed.
 */
export async function askName(chosen) {
  const dialog = byId("name-dialog");
  const before = chosen.annotator;
  byId("name").value = before;
  do {
    dialog.returnValue = "";
    dialog.showModal();
    await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
    if (dialog.returnValue) {
      chosen.annotator = byId("name").value.trim() || before;
    }
  } while (!chosen.annotator);
  byId("annotator").textContent = chosen.annotator;
  return chosen.annotator !== before;
}
