const KEY = "labor_jax.preferences";

/** What the annotator chose, kept in the browser. */
export const DEFAULTS = {
  annotator: "",
  /** "light", "dark", or "" for the system's. */
  theme: "",
  opacity: 0.55,
  brush: 3,
  tolerance: 0.08,
  autoSubmit: false,
  autoZoom: true,
  /** Show the whole image before zooming in. */
  wholeFirst: true,
  smoothPhoto: true,
  direct: false,
  /** How photos are shown, see `photo_tone.js`. */
  brightness: 0,
  contrast: 0,
  brighten: false,
  /** The introduction was shown. */
  introduced: false,
  /** The keys of the classes that were chosen, by list of classes: see `class_keys.js`.
   * @type {Record<string, string[]>} */
  classKeys: {},
};

/**
 * @param {Storage} storage
 * @returns {typeof DEFAULTS} Setting a field also stores it.
 */
export function preferences(storage) {
  let kept = {};
  try {
    kept = JSON.parse(storage.getItem(KEY) ?? "{}");
  } catch {
    // Not written by this page: use the defaults.
  }
  return new Proxy(Object.assign({ ...DEFAULTS }, kept), {
    set(target, field, value) {
      Reflect.set(target, field, value);
      storage.setItem(KEY, JSON.stringify(target));
      return true;
    },
  });
}
