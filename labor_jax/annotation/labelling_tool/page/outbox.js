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
 * @property {string} [annotator] Who did it; earlier versions didn't tell.
 * @property {number} [number] Later letters have larger ones, also those of a later page.
 * @property {boolean} [isAgain] Whether this page repeated it under a new lease.
 */

/**
 * Sends writes to the server one after another, and repeats each until it is acknowledged. Meanwhile
 * they are kept in the browser, each under a key of its own, so that a reload loses none.
 */
export class Outbox {
  /**
   * @param {object} options
   * @param {() => string} options.annotator Who labels now.
   * @param {string} options.run The run's identity: another run's writes stay in the browser.
   * @param {(letter: Letter) => Promise<any>} options.send
   * @param {Storage} options.storage
   * @param {() => string} options.unique
   * @param {(milliseconds: number) => Promise<void>} options.wait
   * @param {(answer: any, letter: Letter) => void} options.onAnswer
   * @param {(error: ApiError, letters: Letter[], isHeld: boolean) => void} options.onRefused Called
   *   with the refused letter and the same annotator's behind it to the same question, which were
   *   not sent. Those whose lease was lost are held, the others are dropped.
   * @param {(error: ApiError | null) => void} options.onState Called with temporary failures.
   * @param {() => void} options.onUnkept Called once, when the browser can't keep a letter.
   */
  constructor(options) {
    this._options = options;
    this._prefix = `${PREFIX}${options.run}.`;
    /** @type {Letter[]} */
    this._letters = [];
    /** Those that wait for a new lease. @type {Letter[]} */
    this._held = [];
    /** The requests of the letters that the browser keeps as they are. @type {Set<string>} */
    this._kept = new Set();
    this._hasToldOfUnkept = false;
    /** The largest number so far. */
    this._last = 0;
    /** @type {Promise<void> | null} */
    this._sending = null;
  }

  /** How many writes are not acknowledged. */
  get size() {
    return this._letters.length + this._held.length;
  }

  /** Whether nothing is being sent. */
  get isIdle() {
    return !this._letters.length;
  }

  /** The item of the annotator's writes that wait longest for a new lease. */
  get heldItem() {
    return this._held.find((letter) => this.isOwn(letter))?.item;
  }

  /** Those of other annotators that wait for a new lease, which only their authors may give. */
  get heldOfOthers() {
    return this._held.filter((letter) => !this.isOwn(letter));
  }

  /** Whether the present annotator wrote it. @param {Letter} letter */
  isOwn({ annotator }) {
    return annotator === undefined || annotator === this._options.annotator();
  }

  /**
   * @param {{item: string, question: string, action: string}} letter
   * @param {{lease: string, [field: string]: any}} body
   */
  post(letter, body) {
    const { annotator, unique } = this._options;
    this.put([{ ...letter, annotator: annotator(), body: { ...body, request: unique() } }]);
  }

  /** @param {Letter[]} letters They keep the requests they had before. */
  put(letters) {
    for (const letter of letters) {
      // The time, so that letters of later pages have larger numbers.
      const number = letter.number ?? Math.max(Date.now(), this._last + 1);
      this._last = Math.max(this._last, number);
      this._letters.push({ ...letter, number });
      this._kept.delete(letter.body.request);
    }
    this._keep();
    this._sending ??= this._sendAll().finally(() => (this._sending = null));
  }

  /** Waits until everything is acknowledged or refused. */
  async settled() {
    while (this._sending) {
      await this._sending;
    }
  }

  /**
   * @returns {Letter[]} The run's unacknowledged writes of earlier pages in this browser, which
   *   keeps them until they are acknowledged or dropped.
   */
  takeLeft() {
    const { storage } = this._options;
    const keys = Array.from({ length: storage.length }, (_, i) => String(storage.key(i)));
    const left = [];
    for (const key of keys.filter((key) => key.startsWith(this._prefix))) {
      try {
        const found = JSON.parse(storage.getItem(key) ?? "[]");
        const letters = [found].flat().filter((letter) => letter?.body?.request);
        left.push(...letters);
        // Earlier versions kept all letters of a page under one key.
        if (Array.isArray(found)) {
          letters.forEach((letter) => this._write(letter));
          storage.removeItem(key);
        }
      } catch {
        // Not written by this page, or there is no room for a second copy.
      }
    }
    return left
      .map((letter) => ({ ...letter, isAgain: false }))
      .sort((a, b) => (a.number ?? 0) - (b.number ?? 0));
  }

  /**
   * @param {(letter: Letter) => boolean} isTaken
   * @returns {Letter[]} The annotator's held letters, to be put again or forgotten.
   */
  takeHeld(isTaken) {
    const taken = this._held.filter((letter) => this.isOwn(letter) && isTaken(letter));
    this._held = this._held.filter((letter) => !taken.includes(letter));
    return taken;
  }

  /** No longer keeps letters that were acknowledged or dropped. @param {Letter[]} letters */
  forget(letters) {
    for (const { body } of letters) {
      this._options.storage.removeItem(this._prefix + body.request);
      this._kept.delete(body.request);
    }
    this._keep(); // there may be room now
  }

  async _sendAll() {
    const { send, onAnswer, onState, wait } = this._options;
    while (this._letters.length) {
      const letter = this._letters[0];
      try {
        const answer = await untilReached(() => send(letter), onState, wait);
        this._letters.shift();
        this.forget([letter]);
        onAnswer(answer, letter);
      } catch (error) {
        if (!(error instanceof ApiError)) {
          throw error;
        }
        onState(null);
        this._refuse(error, letter);
      }
    }
  }

  /** @param {ApiError} error @param {Letter} first */
  _refuse(error, { question, annotator }) {
    const refused = this._letters.filter(
      (letter) => letter.question === question && letter.annotator === annotator,
    );
    this._letters = this._letters.filter((letter) => !refused.includes(letter));
    const isHeld = error.status === 409 && !refused.some((letter) => letter.isAgain);
    if (isHeld) {
      this._held.push(...refused);
    } else {
      this.forget(refused);
    }
    this._options.onRefused(error, refused, isHeld);
  }

  /** Keeps letters in the browser, none before those ahead of it: it builds on them. */
  _keep() {
    const letters = [...this._held, ...this._letters];
    for (const letter of letters.filter((letter) => !this._isKept(letter))) {
      try {
        this._write(letter);
      } catch {
        // The browser's storage is full or disabled: they are kept while the page is open.
        if (!this._hasToldOfUnkept) {
          this._hasToldOfUnkept = true;
          this._options.onUnkept();
        }
        return;
      }
      this._kept.add(letter.body.request);
    }
  }

  /** @param {Letter} letter */
  _isKept({ body }) {
    // Another page that took the letter, too, removes it when it gives it up.
    const isThere = this._options.storage.getItem(this._prefix + body.request) !== null;
    return isThere && this._kept.has(body.request);
  }

  /** @param {Letter} letter */
  _write(letter) {
    this._options.storage.setItem(this._prefix + letter.body.request, JSON.stringify(letter));
  }
}
