import { decodeBits, decodeRuns, encodePixels, encodeRuns } from "./pixel_runs.js";

/** @typedef {import("./area.js").Area} Area */

/** The label of a pixel that has none yet. */
export const OPEN = -1;

/**
 * The labels of an item's asked pixels, and what can be undone. They change at once, so that nobody
 * waits for the server; its answer then replaces them.
 */
export class Labels {
  /** @param {Area} area */
  constructor(area) {
    this.area = area;
    /** The label of each position: a class, the void label or `OPEN`. */
    this.values = new Int16Array(area.pixels.length).fill(OPEN);
    this.open = area.pixels.length;
    /** @type {Array<{positions: Uint32Array, before: Int16Array}>} */
    this._done = [];
    /** @type {Array<{positions: Uint32Array, before: Int16Array}>} */
    this._undone = [];
  }

  /**
   * @param {Iterable<number>} positions
   * @param {number} label
   */
  mark(positions, label) {
    this._done.push(this._write(positions, () => label));
    this._undone = [];
  }

  /** @returns {Uint32Array | null} What changed; null if the last mark isn't known here. */
  undo() {
    return this._swap(this._done, this._undone);
  }

  /** @returns {Uint32Array | null} What changed; null if no undone mark is known here. */
  redo() {
    return this._swap(this._undone, this._done);
  }

  /**
   * Takes over the labels that the server has.
   *
   * @param {Array<[number, number[]]>} labels Runs of pixels by label.
   * @param {number[][] | null} [sets] See `ClassSets`.
   */
  replace(labels, sets) {
    const values = new Int16Array(this.values.length).fill(OPEN);
    for (const [label, runs] of labels) {
      for (const position of this.positions(runs)) {
        values[position] = label;
      }
    }
    if (values.some((value, position) => value !== this.values[position])) {
      // The marks made here led to other labels, so they can't be undone here.
      this._done = [];
      this._undone = [];
      this._write(values.keys(), (position) => values[position]);
    }
  }

  /** @param {Iterable<number>} positions @returns {Uint32Array} Those without a label. */
  openOf(positions) {
    return Uint32Array.from(positions).filter((position) => this.values[position] === OPEN);
  }

  /** Whether the last mark is known here, so that it can be undone at once. */
  get canUndo() {
    return this._done.length > 0;
  }

  /** Whether an undone mark is known here. */
  get canRedo() {
    return this._undone.length > 0;
  }

  /** @param {import("./pixel_runs.js").Runs | string} sent See `sent`. @returns {Uint32Array} */
  positions(sent) {
    return typeof sent === "string"
      ? decodeBits(sent)
      : decodeRuns(sent).map((pixel) => this.area.positions[pixel]);
  }

  /** @param {Uint32Array} positions Ascending. @returns The pixels, as they are sent. */
  sent(positions) {
    const { pixels } = this.area;
    const runs = encodeRuns(positions.map((position) => pixels[position]));
    return encodePixels(runs, positions, pixels.length);
  }

  /**
   * @param {Iterable<number>} positions
   * @param {(position: number, i: number) => number} labelOf
   */
  _write(positions, labelOf) {
    const written = Uint32Array.from(positions);
    const before = new Int16Array(written.length);
    written.forEach((position, i) => {
      const label = labelOf(position, i);
      before[i] = this.values[position];
      this.values[position] = label;
      this.open += Number(label === OPEN) - Number(before[i] === OPEN);
    });
    return { positions: written, before };
  }

  /**
   * @param {Array<{positions: Uint32Array, before: Int16Array}>} from
   * @param {Array<{positions: Uint32Array, before: Int16Array}>} to
   */
  _swap(from, to) {
    const change = from.pop();
    if (change) {
      to.push(this._write(change.positions, (_, i) => change.before[i]));
    }
    return change?.positions ?? null;
  }
}
