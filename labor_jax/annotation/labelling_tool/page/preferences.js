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
  smooth: false,
  direct: false,
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
