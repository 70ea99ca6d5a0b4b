/**
 * The asked pixels of an item and how they fall into parts that are labelled at once.
 *
 * Pixels are told by their *position*: their index among the asked pixels in row-major order.
 */

/**
 * @typedef {object} Area
 * @property {number} width Of the image.
 * @property {number} height
 * @property {Uint32Array} pixels Row-major indices of the asked pixels, ascending.
 * @property {Int32Array} positions For each pixel of the image its position, -1 where not asked.
 */

/**
 * Parts of an area: each asked pixel is in exactly one.
 *
 * @typedef {object} Parts
 * @property {number} count
 * @property {Int32Array} ids The part of each position.
 * @property {Uint32Array[]} members The positions of each part, ascending.
 */

/**
 * @param {Uint32Array} pixels Row-major indices, ascending.
 * @param {number} width
 * @param {number} height
 * @returns {Area}
 */
export function makeArea(pixels, width, height) {
  if (pixels.length && pixels[pixels.length - 1] >= width * height) {
    throw new RangeError(`pixel ${pixels[pixels.length - 1]} is outside of ${width}x${height}`);
  }
  const positions = new Int32Array(width * height).fill(-1);
  pixels.forEach((pixel, position) => (positions[pixel] = position));
  return { width, height, pixels, positions };
}

/**
 * The position of the asked pixel in a column and row, -1 for none, also outside of the image.
 *
 * @param {Area} area
 * @param {number} column
 * @param {number} row
 */
export function positionAt(area, column, row) {
  if (column < 0 || row < 0 || column >= area.width || row >= area.height) {
    return -1;
  }
  return area.positions[row * area.width + column];
}

/**
 * Everything that is reached from a position through 8-neighbours.
 *
 * @param {Area} area
 * @param {number} start A position.
 * @param {(position: number) => boolean} joins Whether a neighbour belongs to it. Asked once for
 *   every position that it accepts.
 * @param {(position: number) => void} visit Called for each position, the start first.
 */
function flood(area, start, joins, visit) {
  const waiting = [start];
  visit(start);
  while (waiting.length) {
    const pixel = area.pixels[/** @type {number} */ (waiting.pop())];
    const column = pixel % area.width;
    const row = (pixel - column) / area.width;
    for (let y = row - 1; y <= row + 1; y++) {
      for (let x = column - 1; x <= column + 1; x++) {
        const position = positionAt(area, x, y);
        if (position >= 0 && joins(position)) {
          visit(position);
          waiting.push(position);
        }
      }
    }
  }
}

/**
 * @param {Int32Array} ids The part of each position, 0 to count - 1.
 * @param {number} count
 * @returns {Parts}
 */
export function makeParts(ids, count) {
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
 * @param {Int32Array} [groups] Neighbours are only connected if they are of one group.
 * @returns {Parts}
 */
export function components(area, groups) {
  const ids = new Int32Array(area.pixels.length).fill(-1);
  let count = 0;
  for (let start = 0; start < ids.length; start++) {
    if (ids[start] < 0) {
      const joins = (/** @type {number} */ position) =>
        ids[position] < 0 && (!groups || groups[position] === groups[start]);
      flood(area, start, joins, (position) => (ids[position] = count));
      count++;
    }
  }
  return makeParts(ids, count);
}

/**
 * Every pixel is a part.
 *
 * @param {Area} area
 * @returns {Parts}
 */
export function singlePixels(area) {
  return makeParts(Int32Array.from(area.pixels.keys()), area.pixels.length);
}

/**
 * Square windows of an odd side, clipped to the image, that touch but never overlap, as RIPU asks
 * its regions: touching ones are one component, but different questions.
 *
 * @param {Area} area
 * @returns {Parts} The windows of the largest side of which the area is made; its components where
 *   there is none.
 */
export function windows(area) {
  const whole = components(area);
  const smallest = Math.min(...whole.members.map((members) => members.length));
  let side = Math.floor(Math.sqrt(Math.max(...whole.members.map((members) => members.length))));
  for (side -= 1 - (side % 2); side >= 3; side -= 2) {
    // A window in a corner of the image has at least a quarter of its pixels.
    if (smallest >= ((side + 1) / 2) ** 2) {
      const parts = windowsOfSide(area, side);
      if (parts) {
        return parts;
      }
    }
  }
  return whole;
}

/**
 * @param {Area} area
 * @param {number} side
 * @returns {Parts | null} Null if the area is not made of such windows.
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

  // The first free pixel is a window's upper left corner. How much the image's border clips of it
  // is told by the rest of the window at the lower and right border, and by trying at the others.
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
        return makeParts(ids, count);
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

/**
 * Flood fill: the pixels around one that look like it.
 *
 * @param {Area} area
 * @param {Float32Array} colours Three numbers a position, see `oklab`.
 * @param {number} start A position.
 * @param {number} tolerance Largest distance of a colour to the first one's.
 * @param {(position: number) => boolean} [isAllowed] Where it may go.
 * @returns {Uint32Array} Positions, ascending, with the start.
 */
export function fill(area, colours, start, tolerance, isAllowed = () => true) {
  const filled = new Set();
  flood(
    area,
    start,
    (position) =>
      !filled.has(position) &&
      isAllowed(position) &&
      distance(colours, start, position) <= tolerance,
    (position) => filled.add(position),
  );
  return Uint32Array.from(filled).sort();
}

/**
 * @param {Float32Array} colours
 * @param {number} a
 * @param {number} b
 */
function distance(colours, a, b) {
  return Math.hypot(
    colours[3 * a] - colours[3 * b],
    colours[3 * a + 1] - colours[3 * b + 1],
    colours[3 * a + 2] - colours[3 * b + 2],
  );
}

/**
 * The asked pixels within a disc, or along the way of its centre.
 *
 * @param {Area} area
 * @param {{x: number, y: number}} from Where the centre was, in pixels of the image.
 * @param {{x: number, y: number}} to Where it is.
 * @param {number} diameter In pixels; 1 is the pixel under the centre.
 * @returns {number[]} Positions, ascending.
 */
export function brushed(area, from, to, diameter) {
  const found = new Set();
  const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / 0.5));
  const radius = diameter / 2;
  for (let step = 0; step <= steps; step++) {
    const x = from.x + ((to.x - from.x) * step) / steps;
    const y = from.y + ((to.y - from.y) * step) / steps;
    const add = (/** @type {number} */ column, /** @type {number} */ row) => {
      const position = positionAt(area, column, row);
      if (position >= 0) {
        found.add(position);
      }
    };
    add(Math.floor(x), Math.floor(y));
    for (let row = Math.floor(y - radius); row <= y + radius; row++) {
      for (let column = Math.floor(x - radius); column <= x + radius; column++) {
        // A pixel counts if its centre is covered.
        if (Math.hypot(column + 0.5 - x, row + 0.5 - y) <= radius && diameter > 1) {
          add(column, row);
        }
      }
    }
  }
  return [...found].sort((a, b) => a - b);
}

/**
 * The asked pixel nearest to a point.
 *
 * @param {Area} area
 * @param {{x: number, y: number}} point In pixels of the image.
 * @param {number} reach Largest distance from the point to the pixel's square, in pixels.
 * @returns {number} Its position, -1 if there is none within reach.
 */
export function nearestPosition(area, point, reach) {
  let nearest = -1;
  let best = reach;
  for (let row = Math.floor(point.y - reach); row <= point.y + reach; row++) {
    for (let column = Math.floor(point.x - reach); column <= point.x + reach; column++) {
      const position = positionAt(area, column, row);
      if (position >= 0) {
        const away = Math.hypot(
          Math.max(column - point.x, 0, point.x - column - 1),
          Math.max(row - point.y, 0, point.y - row - 1),
        );
        if (away < best || (away === best && nearest < 0)) {
          best = away;
          nearest = position;
        }
      }
    }
  }
  return nearest;
}

/**
 * The smallest rectangle around positions, in pixels of the image; right and bottom are outside.
 *
 * @param {Area} area
 * @param {Iterable<number>} positions
 */
export function bounds(area, positions) {
  const box = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const position of positions) {
    const column = area.pixels[position] % area.width;
    const row = Math.floor(area.pixels[position] / area.width);
    box.left = Math.min(box.left, column);
    box.top = Math.min(box.top, row);
    box.right = Math.max(box.right, column + 1);
    box.bottom = Math.max(box.bottom, row + 1);
  }
  return box;
}

/**
 * The lines around parts.
 *
 * @param {Area} area
 * @param {(position: number) => number} partOf The part of a position, -1 to leave it out.
 * @param {Iterable<number>} [visited] The positions that are not left out, ascending, where they are
 *   few.
 * @returns {number[]} `[x, y, x, y, …]`, four numbers a line, from corner to corner of pixels. A
 *   line between two parts is there once.
 */
export function outline(area, partOf, visited = area.pixels.keys()) {
  const { width, pixels } = area;
  const part = (/** @type {number} */ column, /** @type {number} */ row) => {
    const position = positionAt(area, column, row);
    return position < 0 ? -1 : partOf(position);
  };
  /** @type {number[]} */
  const lines = [];
  // Lines grow while they go on, so that a long edge is one line: by row, and by column.
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
    const own = partOf(position);
    if (own < 0) {
      continue;
    }
    const column = pixel % width;
    const row = (pixel - column) / width;
    if (part(column, row - 1) !== own) {
      addHorizontal(column, row);
    }
    // The line to an asked neighbour of another part comes with that one's upper or left side.
    if (part(column, row + 1) < 0) {
      below.push([column, row + 1]);
    }
    if (part(column - 1, row) !== own) {
      addVertical(column, row);
    }
    if (part(column + 1, row) < 0) {
      addVertical(column + 1, row);
    }
  }
  below.forEach(([column, row]) => addHorizontal(column, row));
  return lines.concat(verticalLines);
}

/**
 * The positions' colours in Oklab (Björn Ottosson, 2020), where distances are those that people
 * see: lightness 0 to 1, and two axes of about -0.4 to 0.4.
 *
 * @param {Area} area
 * @param {ArrayLike<number>} rgba The image, four bytes a pixel.
 * @returns {Float32Array} Three numbers a position.
 */
export function oklab(area, rgba) {
  const colours = new Float32Array(3 * area.pixels.length);
  area.pixels.forEach((pixel, position) => {
    const [r, g, b] = [0, 1, 2].map((channel) => linear(rgba[4 * pixel + channel] / 255));
    const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
    const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
    const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
    colours[3 * position] = 0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s;
    colours[3 * position + 1] = 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s;
    colours[3 * position + 2] = 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s;
  });
  return colours;
}

/** @param {number} value A channel of sRGB, 0 to 1. */
function linear(value) {
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}
