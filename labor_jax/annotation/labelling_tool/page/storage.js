/** A storage that lasts as long as the page. */
class PageStorage {
  constructor() {
    /** @type {Map<string, string>} */
    this._kept = new Map();
  }

  get length() {
    return this._kept.size;
  }

  /** @param {number} index */
  key(index) {
    return [...this._kept.keys()][index] ?? null;
  }

  /** @param {string} key */
  getItem(key) {
    return this._kept.get(key) ?? null;
  }

  /** @param {string} key @param {string} value */
  setItem(key, value) {
    this._kept.set(key, value);
  }

  /** @param {string} key */
  removeItem(key) {
    this._kept.delete(key);
  }
}

/**
 * The browser's storage. Where a browser blocks it, which some do for a page in a frame of another
 * site, a storage that lasts as long as the page.
 *
 * @param {() => Storage} find
 * @returns {Storage}
 */
export function usableStorage(find = () => localStorage) {
  try {
    return find();
  } catch {
    return new PageStorage();
  }
}
