/** After so many seconds without input, an annotator counts as away. */
export const PAUSE_SECONDS = 30;

/** Measures how long an annotator has worked: while the page is visible and used. */
export class Activity {
  /** @param {() => number} now Milliseconds. @param {boolean} [isVisible] A page may open hidden. */
  constructor(now, isVisible = true) {
    this._now = now;
    this._last = now();
    this._visible = isVisible;
    this._milliseconds = 0;
  }

  /** Something was pressed, moved or touched. */
  input() {
    this._count();
    this._last = this._now();
  }

  /** @param {boolean} visible */
  setVisible(visible) {
    if (visible !== this._visible) {
      this._count();
      this._visible = visible;
      this._last = this._now();
    }
  }

  /** Starts counting from zero, for a new item. */
  restart() {
    this._milliseconds = 0;
    this._last = this._now();
  }

  /** @returns {number} Seconds of work since the last call. */
  take() {
    this._count();
    this._last = this._now();
    const seconds = this._milliseconds / 1000;
    this._milliseconds = 0;
    return Math.round(seconds * 1000) / 1000;
  }

  /** Milliseconds since the last input. */
  idle() {
    return this._now() - this._last;
  }

  _count() {
    if (this._visible) {
      this._milliseconds += Math.min(this.idle(), PAUSE_SECONDS * 1000);
    }
  }
}
