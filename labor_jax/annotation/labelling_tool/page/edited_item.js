import { Cursor } from "./cursor.js";
import { Labels, OPEN } from "./labels.js";
import { ClassSets } from "./class_sets.js";
import { bounds, brushed, makeArea, nearestPosition } from "./area.js";
import { oklab } from "./colours.js";
import { components, makePartition, singlePixels, windows } from "./partitions.js";
import { decodeRuns } from "./pixel_runs.js";
import { cut, segmentsAlongEdges } from "./segments.js";
import { superpixels } from "./superpixels.js";

/**
 * An item as the server sends it. `asked`, `labels` and `guess` hold runs of pixels.
 *
 * @typedef {object} Item
 * @property {string} id
 * @property {string} lease
 * @property {number} round
 * @property {string} name Of the image.
 * @property {number} width
 * @property {number} height
 * @property {"points" | "regions" | "mask" | "full" | "superpixels" | "classes" | "corrections"} kind
 * @property {string} image
 * @property {number[]} asked
 * @property {number[][] | null} [segments] The segments, if the server sends them; else the page
 *   finds them.
 * @property {Array<[number, number[]]>} labels
 * @property {Array<[number, number[]]> | null} guess
 * @property {number[][] | null} [candidates] The classes of each segment, if they may be several.
 * @property {boolean} can_undo
 * @property {boolean} can_redo
 * @property {any} progress
 */

/** In a guess, the label of a pixel without one. */
const NO_GUESS = 255;

/** The names of what is asked, singular and plural. */
export const NAMES = {
  points: ["point", "points"],
  regions: ["region", "regions"],
  mask: ["segment", "segments"],
  full: ["segment", "segments"],
  superpixels: ["superpixel", "superpixels"],
  classes: ["part", "parts"],
  corrections: ["part", "parts"],
};

/** Kinds whose parts get an answer each, as wholes. @type {ReadonlyArray<Item["kind"]>} */
const WHOLE = ["points", "superpixels", "classes", "corrections"];

/** An item that is being labelled. */
export class EditedItem {
  /**
   * @param {Item} item
   * @param {ArrayLike<number>} rgba The image at the item's size, four bytes a pixel.
   * @param {{superpixels: boolean}} [settings] Whether edges of the image divide a mask's segments.
   */
  constructor(item, rgba, settings = { superpixels: true }) {
    this.item = item;
    this.canUndo = item.can_undo;
    this.canRedo = item.can_redo;
    this.area = makeArea(decodeRuns(item.asked), item.width, item.height);
    this._colours = once(() => oklab(this.area, rgba));
    /** The components, if segments are parts of them. */
    this.wholes =
      item.kind === "mask" && !item.segments && settings.superpixels ? components(this.area) : null;
    this.segments = this.wholes
      ? segmentsAlongEdges(this.area, this._colours())
      : findSegments(item, this.area);
    /** The labels, if parts may hold several classes; else null. */
    this.sets = item.kind === "classes" ? new ClassSets(this.area, this.segments) : null;
    this.labels = this.sets ?? new Labels(this.area);
    this.labels.replace(item.labels, item.candidates);
    this.guess = item.guess && valuesOf(this.area, item.guess);
    if (this.guess && this.isCorrection) {
      this.guess = commonestOf(this.segments, this.guess);
    }
    /** @type {import("./partitions.js").Partition | null} */
    this._patches = null;
    /** @type {Map<number, import("./segments.js").Cut | null>} */
    this._cuts = new Map();
    this.cursor = new Cursor(
      this.area,
      this.segments,
      this.labels,
      () => this.patches(),
      this._colours,
      this.wholes ?? this.segments,
    );
  }

  /** Patches of one colour within the segments. */
  patches() {
    return (this._patches ??= superpixels(this.area, this._colours(), this.segments));
  }

  /** Whether a key may label less than a segment. */
  get isDivisible() {
    return !WHOLE.includes(this.item.kind);
  }

  /** Whether most of the image is asked, to be labelled in parts of the annotator's choice. */
  get isWholeImage() {
    const { width, height, pixels } = this.area;
    return this.item.kind === "full" && 2 * pixels.length > width * height;
  }

  /** Whether people are to say whether the model's guess is right. */
  get isCorrection() {
    return this.item.kind === "corrections";
  }

  /** The class that the model guesses for the current segment, if that is asked; else null. */
  guessed() {
    const label = this.isCorrection ? this.guess?.[this.cursor.position] : NO_GUESS;
    return label === undefined || label === NO_GUESS ? null : label;
  }

  /** Whether segments are parts of components, so that a key may also label a whole component. */
  get isDivided() {
    return this.wholes !== null;
  }

  /** The strong edge in the current unit, if nobody has labelled any of it yet; else null. */
  warning() {
    const { cursor, labels } = this;
    if (this.item.kind !== "mask" || !["segment", "whole"].includes(cursor.unit)) {
      return null;
    }
    const members = cursor.current();
    const isOpen = members.every((position) => labels.values[position] === OPEN);
    const found = isOpen ? this._cut(members) : null;
    return found?.isStrong ? found : null;
  }

  /** Divides the current segment of a mask. @returns {boolean} Whether it is now two. */
  split() {
    const { ids, count, members } = this.segments;
    const isMask = this.item.kind === "mask";
    const found = isMask ? this._cut(members[ids[this.cursor.position]]) : null;
    if (found) {
      const divided = Int32Array.from(ids);
      found.second.forEach((position) => (divided[position] = count));
      this.segments = makePartition(divided, count + 1);
      this._patches = null;
      this._cuts.clear();
      this.cursor.setSegments(this.segments);
    }
    return found !== null;
  }

  /** @param {Uint32Array} members */
  _cut(members) {
    const key = this.cursor.unit === "whole" ? -1 - members[0] : members[0];
    if (!this._cuts.has(key)) {
      this._cuts.set(key, cut(this.area, this._colours(), members));
    }
    return this._cuts.get(key) ?? null;
  }

  /** Identifies what is asked: other data may give the same item id to something else. */
  get question() {
    const { id, round, name, width, height, asked } = this.item;
    const opinion = id.split("-")[2];
    // FNV-1a, over whole numbers.
    const hash = asked.reduce((sum, number) => Math.imul(sum ^ number, 0x01000193), 0x811c9dc5);
    return `${round} ${opinion} ${name} ${width}x${height} ${hash >>> 0}`;
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
   * @returns {number[] | string | null} The pixels whose label changed, null if there are none.
   */
  mark(positions, label) {
    const different = positions.filter((position) => this.labels.values[position] !== label).sort();
    if (!different.length) {
      return null;
    }
    this.labels.mark(different, label);
    this.canUndo = true;
    this.canRedo = false;
    return this.labels.sent(different);
  }

  /** The classes of the current part, if they may be several; else null. */
  held() {
    return this.sets && this.sets.sets[this.segments.ids[this.cursor.position]];
  }

  /**
   * Adds a class to the parts of some positions that lack it; if none does, takes it away.
   *
   * @param {Uint32Array} positions
   * @param {number} label
   * @returns {number[] | string} The pixels of these parts.
   */
  toggle(positions, label) {
    const sets = /** @type {ClassSets} */ (this.sets);
    const touched = sets.segmentsOf(positions);
    const lacking = touched.filter((segment) => !sets.sets[segment].includes(label));
    this.canUndo = true;
    this.canRedo = false;
    return sets.sent(sets.toggle(lacking.length ? lacking : touched, label));
  }

  /**
   * Undoes or redoes a mark. Only the server knows marks made before the page was opened; for them
   * nothing changes until it has answered.
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
   * Takes over the server's answer, once everything was sent.
   *
   * @param {{labels: Array<[number, number[]]>, candidates?: number[][] | null, can_undo: boolean,
   *   can_redo: boolean}} answer
   */
  confirm(answer) {
    this.labels.replace(answer.labels, answer.candidates);
    this.canUndo = answer.can_undo;
    this.canRedo = answer.can_redo;
  }

  /** The bounds of the current unit, and of the segment that it is in. */
  boxes() {
    const { area, cursor, segments } = this;
    const segment = segments.members[segments.ids[cursor.position]];
    const unit = bounds(area, cursor.current());
    return { segment: cursor.unit === "whole" ? unit : bounds(area, segment), unit };
  }

  /**
   * The positions that a label for these would change: the open ones, or all if none is open. So an
   * annotator can paint the smaller class of a mixed segment, then label the rest in one press.
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
    const position = nearestPosition(this.area, point, reach);
    return position < 0
      ? null
      : { position, positions: this.targets(this.cursor.unitAt(position)) };
  }

  /**
   * What a stroke covers: the pixels under the brush, or all of what it touches if the unit is the
   * patch, or if only whole segments get an answer.
   *
   * @param {import("./view.js").Point} from In pixels of the image.
   * @param {import("./view.js").Point} to
   * @param {number} diameter
   * @returns {Iterable<number>}
   */
  stroke(from, to, diameter) {
    const covered = brushed(this.area, from, to, diameter);
    if (this.isDivisible && this.cursor.unit !== "patch") {
      return covered;
    }
    const { ids, members } = this.isDivisible ? this.patches() : this.segments;
    const touched = new Set(covered.map((position) => ids[position]));
    return [...touched].flatMap((each) => Array.from(members[each]));
  }

  /**
   * The status line below the image, which screen readers announce.
   *
   * @param {(label: number) => string} nameOf
   */
  describe(nameOf) {
    const { area, cursor, labels, segments } = this;
    const [one] = NAMES[this.item.kind];
    const positions = cursor.current();
    const found = new Set();
    positions.forEach((position) => found.add(labels.values[position]));
    const held = this.held() ?? [];
    const shown = held.length ? held : [...found];
    const names = shown.map((label) => (label === OPEN ? "open" : nameOf(label)));
    const { left, top, right, bottom } = bounds(area, positions);
    const column = Math.floor((left + right) / 2);
    const row = Math.floor((top + bottom) / 2);
    const guess = this.guessed();
    return [
      `${capital(one)} ${cursor.segmentNumber()} of ${segments.count}`,
      ...(guess === null ? [] : [`guessed ${nameOf(guess)}`]),
      ...(cursor.unit === "segment" || segments.members[segments.ids[cursor.position]].length === 1
        ? []
        : [cursor.unit === "similar" ? "fill" : cursor.unit]),
      names.join(" and "),
      positions.length === 1 ? "1 pixel" : `${positions.length} pixels`,
      `column ${column}, row ${row}`,
      ...(this.warning() ? ["may hold two classes"] : []),
    ].join(" · ");
  }
}

/** @param {string} word */
function capital(word) {
  return word[0].toUpperCase() + word.slice(1);
}

/**
 * @param {Item} item
 * @param {import("./area.js").Area} area
 */
function findSegments(item, area) {
  if (item.segments) {
    const ids = new Int32Array(area.pixels.length);
    item.segments.forEach((runs, id) => {
      decodeRuns(runs).forEach((pixel) => (ids[area.positions[pixel]] = id));
    });
    return makePartition(ids, item.segments.length);
  }
  switch (item.kind) {
    case "points":
      return singlePixels(area);
    case "regions":
      return windows(area);
    default:
      return components(area);
  }
}

/**
 * @param {import("./area.js").Area} area
 * @param {Array<[number, number[]]>} labels
 */
function valuesOf(area, labels) {
  const values = new Labels(area);
  values.replace(labels);
  return values.values;
}

/**
 * The commonest label in each segment, of equally common ones the lowest.
 *
 * @param {import("./partitions.js").Partition} segments
 * @param {Int16Array} values Labels by position.
 */
function commonestOf(segments, values) {
  const commonest = Int16Array.from(values);
  for (const members of segments.members) {
    const counts = new Map();
    members.forEach((position) =>
      counts.set(values[position], (counts.get(values[position]) ?? 0) + 1),
    );
    const [[label]] = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
    members.forEach((position) => (commonest[position] = label));
  }
  return commonest;
}

/**
 * @template T
 * @param {() => T} make
 * @returns {() => T} Makes it on the first call, and keeps it.
 */
function once(make) {
  /** @type {{made: T} | null} */
  let kept = null;
  return () => (kept ??= { made: make() }).made;
}
