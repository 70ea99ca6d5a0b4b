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
import { Task } from "./task.js";

/** @typedef {import("./outbox.js").Letter} Letter */
/** @typedef {import("./task.js").Item} Item */

/** While nobody has touched the page for so long, the item is not kept from others. */
const AWAY_SECONDS = 600;

/** The longest time between renewals; browsers take one of months for none at all. */
const RENEW_SECONDS = 60;

/** When nothing is open, how often the page asks whether something has come back. */
const RETRY_SECONDS = 10;

/** `crypto.randomUUID` is there on loopback only. */
const unique = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");

const wait = (/** @type {number} */ milliseconds) =>
  new Promise((/** @type {(value?: any) => void} */ done) => {
    setTimeout(done, milliseconds);
    window.addEventListener("online", () => done(), { once: true });
  });

/** The items that the server gives out, one at a time, and what is answered to each. */
export class Queue {
  /**
   * @param {object} options
   * @param {any} options.session
   * @param {import("./activity.js").Activity} options.activity
   * @param {() => string} options.annotator
   * @param {(task: Task, picture: HTMLCanvasElement) => void} options.onOpen
   * @param {() => void} options.onChange The task's labels changed, or there is none any more.
   */
  constructor(options) {
    this._options = options;
    this._session = options.session;
    /** @type {Task | null} The open item. */
    this.task = null;
    /** Writes that a lost lease held up. @type {Letter[]} */
    this._held = [];
    /** Counts openings, so that an answer that comes late changes nothing; 0 while it starts. */
    this._openings = 0;
    this._onState = (/** @type {Error | null} */ error) => showOffline(error, this.unsaved);
    this._outbox = new Outbox({
      send: ({ item, action, body }) => request("POST", address(item, action), body),
      storage: localStorage,
      unique,
      wait,
      onAnswer: (answer, letter) => this._onAnswer(answer, letter),
      onRefused: (error, letters) => this._onRefused(error, letters),
      onState: this._onState,
    });
  }

  /** How many writes the server has not acknowledged. */
  get unsaved() {
    return this._outbox.size;
  }

  /** Sends what an earlier page left behind, and opens an item. */
  async start() {
    this._outbox.put(this._outbox.takeLeft());
    await this._outbox.settled();
    const pause = Math.min(RENEW_SECONDS, this._session.settings.lease_seconds / 4);
    setInterval(() => this._renew(), pause * 1000);
    await this.next(this._held.length ? { prefer: this._held[0].item } : {});
  }

  /** Somebody else labels now. */
  async annotatorChanged() {
    if (this._openings) {
      await this._outbox.settled();
      await this.next();
    }
  }

  /** @param {{after?: string, prefer?: string}} [wish] */
  async next(wish = {}) {
    const body = { annotator: this._options.annotator(), ...wish };
    await this._open(
      () => request("POST", "/api/next", body),
      (error) => showMessage("Nothing can be opened", error.message),
    );
  }

  /** Opens an item again, also one that is done. @param {string} id */
  async reopen(id) {
    await this._outbox.settled();
    const body = { annotator: this._options.annotator(), request: unique() };
    await this._open(
      () => request("POST", address(id, "reopen"), body),
      (error) => {
        warn(error.message);
        this.next();
      },
    );
  }

  /** Does something with the open item. @param {string} action @param {object} [body] */
  post(action, body = {}) {
    const { item, question } = /** @type {Task} */ (this.task);
    const seconds = this._options.activity.take();
    this._outbox.post({ item: item.id, question, action }, { lease: item.lease, ...body, seconds });
  }

  /** Submits or skips the open item, and opens another. @param {"submit" | "skip"} action */
  async leave(action) {
    const { id } = /** @type {Task} */ (this.task).item;
    this.post(action);
    this._close();
    const number = this._openings;
    await this._outbox.settled();
    // A refusal has opened the item again.
    if (number === this._openings) {
      await this.next({ after: id });
    }
  }

  _close() {
    this.task = null;
    this._options.onChange();
  }

  /**
   * @param {() => Promise<any>} ask
   * @param {(error: Error) => void} onRefusal
   */
  async _open(ask, onRefusal) {
    const number = ++this._openings;
    const isWanted = () => number === this._openings;
    this._close();
    try {
      // What isn't wanted any more isn't tried again.
      const given = await untilReached(() => isWanted() && ask(), this._onState, wait);
      if (!isWanted()) {
        return;
      }
      const { item, progress } = given;
      showProgress(item ? item.progress : progress);
      if (!item) {
        this._takeHeld(null);
        await this._wait(progress);
        return;
      }
      const load = () => isWanted() && loadImage(item);
      const loaded = await untilReached(load, this._onState, wait);
      if (loaded && isWanted()) {
        const { picture, rgba } = loaded;
        this.task = new Task(item, rgba);
        this._options.activity.restart();
        this._options.onOpen(this.task, picture);
        this._replay(this._takeHeld(this.task.question));
      }
    } catch (error) {
      if (isWanted() && error instanceof Error) {
        onRefusal(error);
      }
    }
  }

  /** Nothing is open: tells why, and asks again later. @param {any} progress */
  async _wait(progress) {
    const number = this._openings;
    this._session = await request("GET", "/api/session").catch(() => this._session);
    showSession(this._session);
    showNothingOpen(this._session, progress);
    setTimeout(() => number === this._openings && this.next(), RETRY_SECONDS * 1000);
  }

  /**
   * What is held up for a question; what is for others is lost, and that is told.
   *
   * @param {string | null} question
   */
  _takeHeld(question) {
    const mine = this._held.filter((letter) => letter.question === question);
    const lost = this._held.length - mine.length;
    this._held = [];
    if (lost) {
      const answers = count(lost, "answer", "answers");
      warn(`${answers} could not be saved: the image is no longer yours to label.`);
    }
    return mine;
  }

  /** Does again under the new lease what an old one could not. @param {Letter[]} letters */
  _replay(letters) {
    if (!this.task || !letters.length) {
      return;
    }
    const { item, labels, cursor } = this.task;
    for (const { action, body } of letters) {
      if (action === "marks") {
        labels.mark(labels.positions(body.pixels), body.label);
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
    if (this.task?.item.id !== letter.item) {
      return;
    }
    if (["submit", "skip"].includes(letter.action)) {
      // Only a step that was repeated under a new lease finds its item still open.
      this.next({ after: letter.item });
    } else if (this.unsaved === 0) {
      this.task.confirm(answer);
      this._options.onChange();
    }
  }

  /** @param {ApiError} error @param {Letter[]} letters */
  _onRefused(error, letters) {
    if (error.status === 409 && !letters.some((letter) => letter.isAgain)) {
      this._held = letters;
    } else {
      const answers = count(letters.length, "answer", "answers");
      warn(`${answers} could not be saved: ${error.message}`);
    }
    // While it starts, it opens an item by itself.
    if (this._openings) {
      this.next({ prefer: letters[0].item });
    }
  }

  async _renew() {
    const { task } = this;
    if (!task || this._options.activity.idle() > AWAY_SECONDS * 1000) {
      return;
    }
    const { id, lease } = task.item;
    try {
      const body = { lease, request: unique(), seconds: 0 };
      showProgress((await request("POST", address(id, "renew"), body)).progress);
    } catch (error) {
      await this._outbox.settled();
      if (error instanceof ApiError && error.status === 409 && this.task === task) {
        await this.next({ prefer: id });
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
    await request("GET", image); // whose answer tells why
    throw new ApiError(0, "the image can't be loaded");
  }
  const picture = document.createElement("canvas");
  picture.width = width;
  picture.height = height;
  const ink = contextOf(picture, { willReadFrequently: true });
  ink.drawImage(element, 0, 0, width, height);
  return { picture, rgba: ink.getImageData(0, 0, width, height).data };
}
