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
  return new Proxy(Object.assign({ ...DEFAULTS }, stored(storage)), {
    set(target, field, value) {
      const name = String(field);
      const before = Reflect.get(target, field);
      Reflect.set(target, field, value);
      // Other tabs may have stored other fields meanwhile.
      const others = stored(storage);
      const merged = isRecord(value) ? withChanges(others[name] ?? {}, before, value) : value;
      try {
        storage.setItem(KEY, JSON.stringify({ ...others, [name]: merged }));
      } catch {
        // The browser's storage is full: the choice lasts as long as the page.
      }
      return true;
    },
  });
}

/** @param {Storage} storage @returns {Record<string, any>} */
function stored(storage) {
  try {
    const kept = JSON.parse(storage.getItem(KEY) ?? "{}");
    return isRecord(kept) ? kept : {};
  } catch {
    return {}; // Not written by this page: use the defaults.
  }
}

/** @param {unknown} value @returns {value is Record<string, any>} */
function isRecord(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * @param {Record<string, any>} kept
 * @param {Record<string, any>} before
 * @param {Record<string, any>} after
 * @returns {Record<string, any>} `kept` with the entries that differ before and after.
 */
function withChanges(kept, before, after) {
  const isChanged = (/** @type {[string, any]} */ [key]) => before[key] !== after[key];
  return Object.fromEntries([
    ...Object.entries(kept).filter((entry) => !isChanged(entry)),
    ...Object.entries(after).filter(isChanged),
  ]);
}
