import { ApiError, untilReached } from "./api.js";

const PREFIX = "labor_jax.outbox.";

/**
 * A write that the server has not acknowledged yet.
 *
 * @typedef {object} Letter
 * @property {string} item
 * @property {string} question What the item asks: after the data changed, it may be something else.
 * @property {string} action "marks", "toggles", "undo", "redo", "submit" or "skip".
 * @property {{request: string, lease: string, [field: string]: any}} body Its `request` stays the
 *   same until it is acknowledged, so that repeating it has no effect.
 * @property {boolean} [isAgain] Whether it was repeated under a new lease.
 */

/**
 * Sends writes to the server one after another, and repeats each until it is acknowledged. Meanwhile
 * they are kept in the browser, so that a reload loses none.
 */
export class Outbox {
  /**
   * @param {object} options
   * @param {string} options.run The run's identity: another run's writes stay in the browser.
   * @param {(letter: Letter) => Promise<any>} options.send
   * @param {Storage} options.storage
   * @param {() => string} options.unique
   * @param {(milliseconds: number) => Promise<void>} options.wait
   * @param {(answer: any, letter: Letter) => void} options.onAnswer
   * @param {(error: ApiError, letters: Letter[]) => void} options.onRefused Called with the
   *   refused letter and those behind it, which were not sent; the outbox is empty then.
   * @param {(error: ApiError | null) => void} options.onState Called with temporary failures.
   */
  constructor(options) {
    this._options = options;
    this._prefix = `${PREFIX}${options.run}.`;
    this._key = this._prefix + options.unique();
    /** @type {Letter[]} */
    this._letters = [];
    /** @type {Promise<void> | null} */
    this._sending = null;
  }

  /** How many writes are not acknowledged. */
  get size() {
    return this._letters.length;
  }

  /**
   * @param {{item: string, question: string, action: string}} letter
   * @param {{lease: string, [field: string]: any}} body
   */
  post(letter, body) {
    this.put([{ ...letter, body: { ...body, request: this._options.unique() } }]);
  }

  /** @param {Letter[]} letters They keep the requests they had before. */
  put(letters) {
    this._letters.push(...letters);
    this._keep();
    this._sending ??= this._sendAll().finally(() => (this._sending = null));
  }

  /** Waits until everything is acknowledged or refused. */
  async settled() {
    while (this._sending) {
      await this._sending;
    }
  }

  /** @returns {Letter[]} The run's unacknowledged writes of earlier pages in this browser. */
  takeLeft() {
    const { storage } = this._options;
    const keys = Array.from({ length: storage.length }, (_, i) => String(storage.key(i)));
    const left = [];
    for (const key of keys.filter((key) => key.startsWith(this._prefix) && key !== this._key)) {
      try {
        left.push(...JSON.parse(storage.getItem(key) ?? "[]"));
      } catch {
        // Not written by this page.
      }
      storage.removeItem(key);
    }
    return left;
  }

  async _sendAll() {
    const { send, onAnswer, onRefused, onState, wait } = this._options;
    while (this._letters.length) {
      const letter = this._letters[0];
      try {
        const answer = await untilReached(() => send(letter), onState, wait);
        this._letters.shift();
        this._keep();
        onAnswer(answer, letter);
      } catch (error) {
        if (!(error instanceof ApiError)) {
          throw error;
        }
        onState(null);
        const refused = this._letters.splice(0);
        this._keep();
        onRefused(error, refused);
      }
    }
  }

  _keep() {
    const { storage } = this._options;
    storage.removeItem(this._key);
    if (this._letters.length) {
      try {
        storage.setItem(this._key, JSON.stringify(this._letters));
      } catch {
        // The browser's storage is full or disabled: they are kept while the page is open.
      }
    }
  }
}
