import { Cursor } from "./cursor.js";
import { Labels, OPEN } from "./labels.js";
import * as regions from "./regions.js";
import { decodeRuns } from "./runs.js";
import { superpixels } from "./superpixels.js";

/**
 * An item as the server gives it; `asked` and the like are runs of pixels.
 *
 * @typedef {object} Item
 * @property {string} id
 * @property {string} lease
 * @property {number} round
 * @property {string} name Of the image.
 * @property {number} width
 * @property {number} height
 * @property {"points" | "regions" | "mask" | "full"} kind
 * @property {string} image
 * @property {number[]} asked
 * @property {number[][]} [segments] What is one question each; without it the page finds them.
 * @property {Array<[number, number[]]>} labels
 * @property {Array<[number, number[]]> | null} guess
 * @property {boolean} can_undo
 * @property {boolean} can_redo
 * @property {any} progress
 */

/** What a question is called, one and many. */
export const NAMES = {
  points: ["point", "points"],
  regions: ["region", "regions"],
  mask: ["segment", "segments"],
  full: ["segment", "segments"],
};

/** An item that is being labelled. */
export class Task {
  /**
   * @param {Item} item
   * @param {ArrayLike<number>} rgba The image at the item's size, four bytes a pixel.
   */
  constructor(item, rgba) {
    this.item = item;
    this.canUndo = item.can_undo;
    this.canRedo = item.can_redo;
    this.area = regions.makeArea(decodeRuns(item.asked), item.width, item.height);
    this.segments = questions(item, this.area);
    this.labels = new Labels(this.area);
    this.labels.replace(item.labels);
    this.guess = item.guess && valuesOf(this.area, item.guess);
    const colours = once(() => regions.oklab(this.area, rgba));
    const patches = once(() => superpixels(this.area, colours(), this.segments));
    this.patches = patches;
    this.cursor = new Cursor(this.area, this.segments, this.labels, patches, colours);
  }

  /** What tells this question from those that other runs ask under the same number. */
  get question() {
    const { round, name, width, height, asked } = this.item;
    // FNV-1a, over whole numbers.
    const hash = asked.reduce((sum, number) => Math.imul(sum ^ number, 0x01000193), 0x811c9dc5);
    return `${round} ${name} ${width}x${height} ${hash >>> 0}`;
  }

  /** Whether every asked pixel has a label. */
  get isComplete() {
    return this.labels.open === 0;
  }

  /**
   * Gives pixels a label.
   *
   * @param {Uint32Array} positions
   * @param {number} label
   * @returns {number[] | null} The runs of pixels that have another label now, null for none.
   */
  mark(positions, label) {
    const different = positions.filter((position) => this.labels.values[position] !== label).sort();
    if (!different.length) {
      return null;
    }
    this.labels.mark(different, label);
    this.canUndo = true;
    this.canRedo = false;
    return this.labels.runs(different);
  }

  /**
   * Undoes the last mark, or does it again. What was done before the page was opened is known by
   * the server alone: then nothing changes before it has answered.
   *
   * @param {"undo" | "redo"} action
   */
  change(action) {
    const { labels } = this;
    const positions = action === "undo" ? labels.undo() : labels.redo();
    if (positions) {
      this.cursor.moveTo(positions[0]);
    }
    this.canUndo = action === "redo" || labels.canUndo;
    this.canRedo = action === "undo" || labels.canRedo;
  }

  /**
   * The server's answer to all that was sent.
   *
   * @param {{labels: Array<[number, number[]]>, can_undo: boolean, can_redo: boolean}} answer
   */
  confirm(answer) {
    this.labels.replace(answer.labels);
    this.canUndo = answer.can_undo;
    this.canRedo = answer.can_redo;
  }

  /** The part that is being labelled: the current unit, and the segment that it is in. */
  boxes() {
    const { area, cursor, segments } = this;
    const segment = segments.members[segments.ids[cursor.position]];
    const isWhole = cursor.unit === "segment";
    return {
      segment: regions.bounds(area, segment),
      unit: regions.bounds(area, isWhole ? segment : cursor.current()),
    };
  }

  /**
   * What a label for these would change: their open pixels, and all of them if none is open. So a
   * person paints the smaller part of a mixed segment and gives the rest its class in one press.
   *
   * @param {Uint32Array} positions
   * @returns {Uint32Array}
   */
  targets(positions) {
    const open = this.labels.openOf(positions);
    return open.length ? open : positions;
  }

  /**
   * What a click labels.
   *
   * @param {import("./view.js").Point} point In pixels of the image.
   * @param {number} reach How far beside a pixel the click may be, in pixels of the image.
   * @returns {{position: number, positions: Uint32Array} | null}
   */
  at(point, reach) {
    const position = regions.nearestPosition(this.area, point, reach);
    return position < 0
      ? null
      : { position, positions: this.targets(this.cursor.unitAt(position)) };
  }

  /**
   * What a stroke covers: pixels under the brush, whole patches where the unit is the patch.
   *
   * @param {import("./view.js").Point} from In pixels of the image.
   * @param {import("./view.js").Point} to
   * @param {number} diameter
   * @returns {Iterable<number>}
   */
  stroke(from, to, diameter) {
    const covered = regions.brushed(this.area, from, to, diameter);
    if (this.cursor.unit !== "patch") {
      return covered;
    }
    const { ids, members } = this.patches();
    const touched = new Set(covered.map((position) => ids[position]));
    return [...touched].flatMap((patch) => Array.from(members[patch]));
  }

  /**
   * What screen readers and the line below the image tell of the current question.
   *
   * @param {(label: number) => string} nameOf
   */
  describe(nameOf) {
    const { area, cursor, labels, segments } = this;
    const [one] = NAMES[this.item.kind];
    const positions = cursor.current();
    const found = new Set();
    positions.forEach((position) => found.add(labels.values[position]));
    const names = [...found].map((label) => (label === OPEN ? "open" : nameOf(label)));
    const { left, top, right, bottom } = regions.bounds(area, positions);
    const column = Math.floor((left + right) / 2);
    const row = Math.floor((top + bottom) / 2);
    return [
      `${capital(one)} ${cursor.segmentNumber()} of ${segments.count}`,
      ...(cursor.unit === "segment" || segments.members[segments.ids[cursor.position]].length === 1
        ? []
        : [cursor.unit === "similar" ? "fill" : cursor.unit]),
      names.join(" and "),
      positions.length === 1 ? "1 pixel" : `${positions.length} pixels`,
      `column ${column}, row ${row}`,
    ].join(" · ");
  }
}

/** @param {string} word */
function capital(word) {
  return word[0].toUpperCase() + word.slice(1);
}

/**
 * @param {Item} item
 * @param {regions.Area} area
 */
function questions(item, area) {
  if (item.segments) {
    const ids = new Int32Array(area.pixels.length);
    item.segments.forEach((runs, id) => {
      decodeRuns(runs).forEach((pixel) => (ids[area.positions[pixel]] = id));
    });
    return regions.makeParts(ids, item.segments.length);
  }
  switch (item.kind) {
    case "points":
      return regions.singlePixels(area);
    case "regions":
      return regions.windows(area);
    default:
      return regions.components(area);
  }
}

/**
 * @param {regions.Area} area
 * @param {Array<[number, number[]]>} labels
 */
function valuesOf(area, labels) {
  const values = new Labels(area);
  values.replace(labels);
  return values.values;
}

/**
 * @template T
 * @param {() => T} make
 * @returns {() => T} Makes it when it is first asked for.
 */
function once(make) {
  /** @type {{made: T} | null} */
  let kept = null;
  return () => (kept ??= { made: make() }).made;
}
