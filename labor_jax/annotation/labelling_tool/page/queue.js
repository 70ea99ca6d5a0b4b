import { ApiError, request, untilReached } from "./api.js";
import {
  count,
  showMessage,
  showNothingOpen,
  showOffline,
  showProgress,
  showSession,
  warn,
} from "./messages.js";
import { Outbox } from "./outbox.js";
import { contextOf } from "./patterns.js";
import { EditedItem } from "./edited_item.js";
import { usableStorage } from "./storage.js";

/** @typedef {import("./outbox.js").Letter} Letter */
/** @typedef {import("./edited_item.js").Item} Item */

/** After so long without input, the lease is no longer renewed, so others can take the item. */
const AWAY_SECONDS = 600;

/** The longest time between renewals. (Browsers treat intervals of months as zero.) */
const RENEW_SECONDS = 60;

/** How often the page asks for an item while none is open. */
const RETRY_SECONDS = 10;

/** `crypto.randomUUID` exists only on loopback and HTTPS. */
const unique = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");

const wait = (/** @type {number} */ milliseconds) =>
  new Promise((/** @type {(value?: any) => void} */ done) => {
    setTimeout(done, milliseconds);
    window.addEventListener("online", () => done(), { once: true });
  });

/** Fetches items from the server, one at a time, and sends what is done to them. */
export class Queue {
  /**
   * @param {object} options
   * @param {any} options.session
   * @param {import("./activity.js").Activity} options.activity
   * @param {() => string} options.annotator
   * @param {(edited: EditedItem, picture: HTMLCanvasElement) => void} options.onOpen
   * @param {() => void} options.onChange The item's labels changed, or it was closed.
   */
  constructor(options) {
    this._options = options;
    this._session = options.session;
    /** @type {EditedItem | null} The open item. */
    this.edited = null;
    /** What was left unfinished for items of the list. @type {Array<{id: string, lease: string}>} */
    this._left = [];
    /** Counts openings, so that late answers are ignored; 0 until the first. */
    this._openings = 0;
    this._onState = (/** @type {ApiError | null} */ error) => showOffline(error, this.unsaved);
    /** Later sessions may be of another run. */
    this._run = options.session.run_id;
    this._outbox = new Outbox({
      annotator: options.annotator,
      run: this._run,
      send: ({ item, action, body }) => this._post(address(item, action), body),
      storage: usableStorage(),
      unique,
      wait,
      onAnswer: (answer, letter) => this._onAnswer(answer, letter),
      onRefused: (error, letters, isHeld) => this._onRefused(error, letters, isHeld),
      onState: this._onState,
      onUnkept: () =>
        warn(
          "The browser's storage is full: answers that the server didn't get yet last only while " +
            "this page is open.",
        ),
    });
  }

  /** How many writes the server has not acknowledged. */
  get unsaved() {
    return this._outbox.size;
  }

  /** Sends the writes that an earlier page did not finish, and opens an item. */
  async start() {
    this._outbox.put(this._outbox.takeLeft());
    await this._outbox.settled();
    this._tellOfOthers();
    const pause = Math.min(RENEW_SECONDS, this._session.settings.lease_seconds / 4);
    setInterval(() => this._renew(), pause * 1000);
    await this.next();
  }

  /** Another annotator has signed in: gives the open item back, and those that were left for it. */
  async annotatorChanged() {
    if (!this._openings) {
      return;
    }
    const reserved = [...this._left, ...(this.edited ? [this.edited.item] : [])];
    this._left = [];
    this._close();
    const number = ++this._openings;
    await this._outbox.settled();
    this._tellOfOthers();
    // If the server refused something, an item is being opened already.
    if (number === this._openings) {
      // If it fails, the lease runs out by itself.
      const release = (/** @type {{id: string, lease: string}} */ { id, lease }) =>
        this._post(address(id, "release"), { lease }).catch(() => {});
      await Promise.all(reserved.map(release));
      await this.next();
    }
  }

  /** @param {{after?: string, prefer?: string}} [wish] */
  async next(wish = {}) {
    const wanted = wish.prefer ?? this._outbox.heldItem;
    const body = { annotator: this._options.annotator(), ...wish };
    await this._open(
      wanted,
      async () => {
        const left = wanted ? undefined : await this._lastLeft();
        const given = await this._post("/api/next", { ...body, prefer: wanted ?? left });
        // What isn't given is done.
        this._left = this._left.filter(({ id }) => ![left, given.item?.id].includes(id));
        return given;
      },
      (error) => showMessage("Nothing can be opened", error.message),
    );
  }

  /** Opens any item, even one that is done. @param {string} id */
  async reopen(id) {
    await this._outbox.settled();
    const left = this._left.filter((item) => item.id !== id);
    if (this.edited && this.edited.item.id !== id) {
      // What is complete may be done already, and was only looked at: it comes after the others.
      left[this.edited.isComplete ? "unshift" : "push"](this.edited.item);
    }
    this._left = left;
    const body = { annotator: this._options.annotator(), request: unique() };
    await this._open(
      id,
      () => this._post(address(id, "reopen"), body),
      (error) => {
        warn(error.message);
        this.next();
      },
    );
  }

  /** Sends an action on the open item. @param {string} action @param {object} [body] */
  post(action, body = {}) {
    const { item, question } = /** @type {EditedItem} */ (this.edited);
    const seconds = this._options.activity.take();
    this._outbox.post({ item: item.id, question, action }, { lease: item.lease, ...body, seconds });
  }

  /** Submits or skips the open item, and opens another. @param {"submit" | "skip"} action */
  async leave(action) {
    const { id } = /** @type {EditedItem} */ (this.edited).item;
    this.post(action);
    this._close();
    const number = this._openings;
    await this._outbox.settled();
    // If the server refused, the item is open again already.
    if (number === this._openings) {
      await this.next({ after: id });
    }
  }

  /** The item that was left last, unless another page has opened it since. */
  async _lastLeft() {
    for (let item; (item = this._left.at(-1)); this._left.pop()) {
      try {
        await this._renewLease(item);
        return item.id;
      } catch (error) {
        if (!(error instanceof ApiError) || error.isTemporary) {
          throw error;
        }
      }
    }
  }

  /** @param {{id: string, lease: string}} item @returns {Promise<any>} */
  _renewLease({ id, lease }) {
    return this._post(address(id, "renew"), { lease, request: unique(), seconds: 0 });
  }

  /**
   * Another run may be served at the address meanwhile; the server refuses what isn't for it.
   *
   * @param {string} path @param {object} body
   */
  _post(path, body) {
    return request("POST", path, { ...body, run_id: this._run });
  }

  _close() {
    this.edited = null;
    this._options.onChange();
  }

  /**
   * @param {string | undefined} wanted The item that should open, if any.
   * @param {() => Promise<any>} ask
   * @param {(error: Error) => void} onRefusal
   */
  async _open(wanted, ask, onRefusal) {
    const number = ++this._openings;
    const isWanted = () => number === this._openings;
    this._close();
    try {
      // Stop trying once another item is wanted.
      const given = await untilReached(() => isWanted() && ask(), this._onState, wait);
      if (!isWanted()) {
        return;
      }
      const { item, progress } = given;
      showProgress(item ? item.progress : progress);
      if (!item) {
        this._giveUpHeld(() => true);
        await this._wait(progress);
        return;
      }
      const load = () => isWanted() && loadImage(item);
      const loaded = await untilReached(load, this._onState, wait);
      if (loaded && isWanted()) {
        const { picture, rgba } = loaded;
        this.edited = new EditedItem(item, rgba, this._session.settings);
        this._options.activity.restart();
        this._options.onOpen(this.edited, picture);
        const { question } = this.edited;
        this._replay(this._outbox.takeHeld((letter) => letter.question === question));
        this._giveUpHeld((letter) => letter.item === wanted);
      }
    } catch (error) {
      if (isWanted() && error instanceof Error) {
        onRefusal(error);
      }
    }
  }

  /** Says why nothing is open, and asks again later. @param {any} progress */
  async _wait(progress) {
    const number = this._openings;
    this._session = await request("GET", "/api/session").catch(() => this._session);
    showSession(this._session);
    showNothingOpen(this._session, progress);
    setTimeout(() => number === this._openings && this.next(), RETRY_SECONDS * 1000);
  }

  /**
   * Gives held writes up whose item didn't open, and tells it.
   *
   * @param {(letter: Letter) => boolean} isLost
   */
  _giveUpHeld(isLost) {
    const lost = this._outbox.takeHeld(isLost);
    if (lost.length) {
      this._outbox.forget(lost);
      const answers = count(lost.length, "answer", "answers");
      warn(`${answers} could not be saved: the image is no longer yours to label.`);
    }
  }

  /** Tells of held writes that wait for other annotators, under whose names alone they may go. */
  _tellOfOthers() {
    const held = this._outbox.heldOfOthers;
    for (const name of new Set(held.map((letter) => letter.annotator))) {
      const { length } = held.filter((letter) => letter.annotator === name);
      const wait = count(length, "answer waits", "answers wait");
      warn(`${wait} in this browser until ${name} signs in here again.`);
    }
  }

  /** Repeats held writes under the new lease. @param {Letter[]} letters */
  _replay(letters) {
    if (!this.edited || !letters.length) {
      return;
    }
    const { item, labels, cursor } = this.edited;
    for (const { action, body } of letters) {
      if (action === "marks") {
        labels.mark(labels.positions(body.pixels), body.label);
      } else if (action === "toggles") {
        this.edited.sets?.toggle(this.edited.sets.segmentsOf(labels.positions(body.pixels)), body.label);
      } else if (action === "undo") {
        labels.undo();
      } else if (action === "redo") {
        labels.redo();
      }
    }
    const body = { lease: item.lease };
    this._outbox.put(
      letters.map((letter) => ({ ...letter, isAgain: true, body: { ...letter.body, ...body } })),
    );
    cursor.nextOpen(true);
    this._options.onChange();
  }

  /** @param {any} answer @param {Letter} letter */
  _onAnswer(answer, letter) {
    showProgress(answer.progress);
    if (this.edited?.item.id !== letter.item) {
      return;
    }
    if (["submit", "skip"].includes(letter.action)) {
      // The item is still open only if the step was repeated under a new lease.
      this.next({ after: letter.item });
    } else if (this._outbox.isIdle) {
      this.edited.confirm(answer);
      this._options.onChange();
    }
  }

  /** @param {ApiError} error @param {Letter[]} letters @param {boolean} isHeld */
  _onRefused(error, letters, isHeld) {
    const [{ item }] = letters;
    if (!isHeld) {
      const answers = count(letters.length, "answer", "answers");
      warn(`${answers} could not be saved: ${error.message}`);
    }
    // During the start, `start` opens an item, and when another annotator signs in,
    // `annotatorChanged` does. Another item that is open meanwhile stays open.
    const isAwaited = this._outbox.isOwn(letters[0]) && this._openings;
    if (isAwaited && (this.edited?.item.id ?? item) === item) {
      this.next({ prefer: item });
    }
  }

  async _renew() {
    const { edited } = this;
    if (!edited || this._options.activity.idle() > AWAY_SECONDS * 1000) {
      return;
    }
    try {
      showProgress((await this._renewLease(edited.item)).progress);
    } catch (error) {
      await this._outbox.settled();
      if (error instanceof ApiError && error.status === 409 && this.edited === edited) {
        await this.next({ prefer: edited.item.id });
      }
    }
  }
}

/** @param {string} item @param {string} action */
function address(item, action) {
  return `/api/items/${encodeURIComponent(item)}/${action}`;
}

/** @param {Item} item */
async function loadImage({ image, width, height }) {
  const element = new Image();
  element.src = image;
  try {
    await element.decode();
  } catch {
    await request("GET", image); // throws an error that says why
    throw new ApiError(0, "the image can't be loaded");
  }
  const picture = document.createElement("canvas");
  picture.width = width;
  picture.height = height;
  const ink = contextOf(picture, { willReadFrequently: true });
  ink.drawImage(element, 0, 0, width, height);
  return { picture, rgba: ink.getImageData(0, 0, width, height).data };
}
