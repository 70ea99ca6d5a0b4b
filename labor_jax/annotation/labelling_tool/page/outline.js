import { positionAt } from "./area.js";

/** @typedef {import("./area.js").Area} Area */

/**
 * The lines around the groups of a partition.
 *
 * @param {Area} area
 * @param {(position: number) => number} groupOf The group of a position, -1 to leave it out.
 * @param {Iterable<number>} [visited] The positions that are not left out, if they are few.
 * @returns {number[]} `[x, y, x, y, …]`, four numbers a line, from corner to corner of pixels. A
 *   line between two groups appears once.
 */
export function outline(area, groupOf, visited = area.pixels.keys()) {
  const { width, pixels } = area;
  const groupAt = (/** @type {number} */ column, /** @type {number} */ row) => {
    const position = positionAt(area, column, row);
    return position < 0 ? -1 : groupOf(position);
  };
  /** @type {number[]} */
  const lines = [];
  // Lines are extended while they continue, so that a long edge is one line.
  /** @type {Map<number, number>} */
  const vertical = new Map();
  /** @param {number} column @param {number} row */
  const addHorizontal = (column, row) => {
    const last = lines.length - 4;
    if (last >= 0 && lines[last + 1] === row && lines[last + 3] === row) {
      if (lines[last + 2] === column) {
        lines[last + 2]++;
        return;
      }
    }
    lines.push(column, row, column + 1, row);
  };
  /** @type {number[]} */
  const verticalLines = [];
  /** @param {number} column @param {number} row */
  const addVertical = (column, row) => {
    const last = vertical.get(column);
    if (last !== undefined && verticalLines[last + 3] === row) {
      verticalLines[last + 3]++;
      return;
    }
    vertical.set(column, verticalLines.length);
    verticalLines.push(column, row, column, row + 1);
  };
  /** @type {Array<[number, number]>} */
  const below = [];
  for (const position of visited) {
    const pixel = pixels[position];
    const own = groupOf(position);
    if (own < 0) {
      continue;
    }
    const column = pixel % width;
    const row = (pixel - column) / width;
    if (groupAt(column, row - 1) !== own) {
      addHorizontal(column, row);
    }
    // The line to an asked neighbour in another group is added as that one's upper or left side.
    if (groupAt(column, row + 1) < 0) {
      below.push([column, row + 1]);
    }
    if (groupAt(column - 1, row) !== own) {
      addVertical(column, row);
    }
    if (groupAt(column + 1, row) < 0) {
      addVertical(column + 1, row);
    }
  }
  below.forEach(([column, row]) => addHorizontal(column, row));
  return lines.concat(verticalLines);
}

/**
 * The lines between two parts, without those around them.
 *
 * @param {Area} area
 * @param {(position: number) => number} partOf 0, 1, or -1 for the pixels of neither part.
 * @param {Iterable<number>} visited The positions of the parts.
 * @returns {number[]} As `outline` gives them, a line for each pixel's side.
 */
export function border(area, partOf, visited) {
  const { width, pixels } = area;
  /** @type {number[]} */
  const lines = [];
  for (const position of visited) {
    const column = pixels[position] % width;
    const row = Math.floor(pixels[position] / width);
    const isOther = (/** @type {number} */ position, /** @type {number} */ neighbour) =>
      neighbour >= 0 && partOf(position) + partOf(neighbour) === 1 && partOf(neighbour) >= 0;
    if (isOther(position, positionAt(area, column, row + 1))) {
      lines.push(column, row + 1, column + 1, row + 1);
    }
    if (isOther(position, positionAt(area, column + 1, row))) {
      lines.push(column + 1, row, column + 1, row + 1);
    }
  }
  return lines;
}
