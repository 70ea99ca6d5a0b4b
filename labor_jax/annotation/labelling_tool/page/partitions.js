import { flood, positionAt } from "./area.js";

/** @typedef {import("./area.js").Area} Area */

/**
 * A division of an area into groups; each asked pixel is in exactly one.
 *
 * @typedef {object} Partition
 * @property {number} count
 * @property {Int32Array} ids The group of each position.
 * @property {Uint32Array[]} members The positions of each group, ascending.
 */

/**
 * @param {Int32Array} ids The group of each position, 0 to count - 1.
 * @param {number} count
 * @returns {Partition}
 */
export function makePartition(ids, count) {
  const sizes = new Uint32Array(count);
  ids.forEach((id) => sizes[id]++);
  const members = Array.from(sizes, (size) => new Uint32Array(size));
  const filled = new Uint32Array(count);
  ids.forEach((id, position) => (members[id][filled[id]++] = position));
  return { count, ids, members };
}

/**
 * The 8-connected components, in the order of their first pixels.
 *
 * @param {Area} area
 * @param {Int32Array} [values] Neighbours are only connected if their values are equal.
 * @returns {Partition}
 */
export function components(area, values) {
  const ids = new Int32Array(area.pixels.length).fill(-1);
  let count = 0;
  for (let start = 0; start < ids.length; start++) {
    if (ids[start] < 0) {
      const joins = (/** @type {number} */ position) =>
        ids[position] < 0 && (!values || values[position] === values[start]);
      flood(area, start, joins, (position) => (ids[position] = count));
      count++;
    }
  }
  return makePartition(ids, count);
}

/**
 * Every pixel is a group.
 *
 * @param {Area} area
 * @returns {Partition}
 */
export function singlePixels(area) {
  return makePartition(Int32Array.from(area.pixels.keys()), area.pixels.length);
}

/**
 * Square windows of an odd side, clipped to the image, that may touch but never overlap, as RIPU
 * asks regions. Touching ones are one component, but are labelled separately.
 *
 * @param {Area} area
 * @returns {Partition} Windows of the largest side that divides the area; if there is no such side,
 *   the components.
 */
export function windows(area) {
  const whole = components(area);
  const smallest = Math.min(...whole.members.map((members) => members.length));
  let side = Math.floor(Math.sqrt(Math.max(...whole.members.map((members) => members.length))));
  for (side -= 1 - (side % 2); side >= 3; side -= 2) {
    // A window in a corner of the image has at least a quarter of its pixels.
    if (smallest >= ((side + 1) / 2) ** 2) {
      const found = windowsOfSide(area, side);
      if (found) {
        return found;
      }
    }
  }
  return whole;
}

/**
 * @param {Area} area
 * @param {number} side
 * @returns {Partition | null} Null if the area is not made of such windows.
 */
function windowsOfSide(area, side) {
  const { width, height, pixels, positions } = area;
  const ids = new Int32Array(pixels.length).fill(-1);
  let count = 0;
  let tries = 64 * pixels.length;

  /** @param {number} left @param {number} top @param {number} columns @param {number} rows */
  const take = (left, top, columns, rows) => {
    for (let row = top; row < top + rows; row++) {
      for (let column = left; column < left + columns; column++) {
        const position = positionAt(area, column, row);
        if (position < 0 || ids[position] >= 0) {
          return false;
        }
      }
    }
    for (let row = top; row < top + rows; row++) {
      for (let column = left; column < left + columns; column++) {
        ids[positions[row * width + column]] = count;
      }
    }
    count++;
    return true;
  };
  const giveBack = () => {
    count--;
    ids.forEach((id, position) => id === count && (ids[position] = -1));
  };

  // The first free pixel is a window's upper left corner. At the lower and right border of the image
  // its size follows from the space that is left; at the upper and left border, try all sizes.
  const sizes = (/** @type {number} */ start, /** @type {number} */ room) =>
    start > 0 ? [Math.min(side, room)] : range(Math.min(side, room), (side + 1) / 2);
  /** @typedef {{left: number, top: number, start: number, next: number, sizes: number[][]}} Try */
  /** @type {Try[]} */
  const taken = [];
  let start = 0;
  /** @type {Try | null | undefined} */
  let options = null;
  for (;;) {
    if (!options) {
      while (start < ids.length && ids[start] >= 0) {
        start++;
      }
      if (start === ids.length) {
        return makePartition(ids, count);
      }
      const left = pixels[start] % width;
      const top = (pixels[start] - left) / width;
      options = { left, top, start, next: 0, sizes: /** @type {number[][]} */ ([]) };
      for (const rows of sizes(top, height - top)) {
        for (const columns of sizes(left, width - left)) {
          if (Math.min(rows, columns) > side / 2) {
            options.sizes.push([columns, rows]);
          }
        }
      }
    }
    if (options.next === options.sizes.length) {
      options = taken.pop();
      if (!options) {
        return null;
      }
      giveBack();
      start = options.start;
      continue;
    }
    if (tries-- === 0) {
      return null;
    }
    const [columns, rows] = options.sizes[options.next++];
    if (take(options.left, options.top, columns, rows)) {
      taken.push(options);
      options = null;
    }
  }
}

/** @param {number} last @param {number} first @returns {number[]} From the last down to the first. */
function range(last, first) {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => last - i);
}
