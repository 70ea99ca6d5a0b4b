import { Labels, OPEN } from "./labels.js";

/** In answers, the label of a part that is void, or that holds several classes. */
const VOID = 255;

/**
 * The labels of an item whose parts may hold several classes each.
 *
 * @typedef {{positions: Uint32Array, before: Int16Array, sets?: Array<[number, number[]]>}} Change
 */
export class ClassSets extends Labels {
  /**
   * @param {import("./area.js").Area} area
   * @param {import("./partitions.js").Partition} segments
   */
  constructor(area, segments) {
    super(area);
    this._segments = segments;
    /** The classes of each segment, ascending. @type {number[][]} */
    this.sets = Array.from({ length: segments.count }, () => []);
  }

  /** The segments of some positions. @param {Iterable<number>} positions @returns {number[]} */
  segmentsOf(positions) {
    return [...new Set(Array.from(positions, (position) => this._segments.ids[position]))];
  }

  /**
   * Adds a class to each of some segments, or takes it away where one has it. Void takes all away.
   *
   * @param {number[]} segments
   * @param {number} label
   * @returns {Uint32Array} The positions of these segments, ascending.
   */
  toggle(segments, label) {
    const { ids, members } = this._segments;
    /** @type {Map<number, number>} */
    const values = new Map();
    /** @type {Array<[number, number[]]>} */
    const before = segments.map((segment) => [segment, this.sets[segment]]);
    for (const segment of segments) {
      const set = this.sets[segment];
      const value = this.values[members[segment][0]];
      const isVoid = value === VOID && !set.length;
      const others = set.filter((each) => each !== label);
      const isAdded = others.length === set.length;
      const next = label === VOID ? [] : isAdded ? [...set, label].sort((a, b) => a - b) : others;
      const none = label === VOID && !isVoid ? VOID : OPEN;
      this.sets[segment] = next;
      values.set(segment, next.length > 1 ? VOID : (next[0] ?? none));
    }
    const positions = Uint32Array.from(segments.flatMap((each) => [...members[each]])).sort();
    const change = this._write(positions, (position) => Number(values.get(ids[position])));
    this._done.push(/** @type {Change} */ ({ ...change, sets: before }));
    this._undone = [];
    return positions;
  }

  /**
   * @param {Array<[number, number[]]>} labels
   * @param {number[][] | null} [sets] The classes of each segment.
   */
  replace(labels, sets) {
    super.replace(labels);
    if (sets && JSON.stringify(sets) !== JSON.stringify(this.sets)) {
      this.sets = sets;
      this._done = [];
      this._undone = [];
    }
  }

  /** @param {Change[]} from @param {Change[]} to */
  _swap(from, to) {
    const change = from[from.length - 1];
    const sets = change?.sets ?? [];
    const before = sets.map(([segment]) => [segment, this.sets[segment]]);
    sets.forEach(([segment, set]) => (this.sets[segment] = set));
    const positions = super._swap(from, to);
    if (positions) {
      to[to.length - 1].sets = /** @type {Array<[number, number[]]>} */ (before);
    }
    return positions;
  }
}
