/**
 * The asked pixels of an item.
 *
 * A pixel is identified by its *position*: its index among the asked pixels in row-major order.
 */

/**
 * @typedef {object} Area
 * @property {number} width Of the image.
 * @property {number} height
 * @property {Uint32Array} pixels Row-major indices of the asked pixels, ascending.
 * @property {Int32Array} positions For each pixel of the image its position, -1 where not asked.
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
 * The asked pixels that a disc covers on its way from one point to another.
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
 * The asked pixels whose centres are inside of a polygon, by the even-odd rule.
 *
 * @param {Area} area
 * @param {Array<{x: number, y: number}>} corners In pixels of the image; they may be outside of it.
 * @returns {number[]} Positions, ascending.
 */
export function insidePolygon(area, corners) {
  const inside = [];
  for (let row = 0; row < area.height; row++) {
    const y = row + 0.5;
    const crossings = corners
      .map((from, i) => [from, corners[(i + 1) % corners.length]])
      .filter(([from, to]) => from.y > y !== to.y > y)
      .map(([from, to]) => from.x + ((y - from.y) * (to.x - from.x)) / (to.y - from.y))
      .sort((a, b) => a - b);
    for (let i = 0; i < crossings.length; i += 2) {
      const last = Math.min(area.width - 1, Math.ceil(crossings[i + 1] - 0.5) - 1);
      for (let column = Math.max(0, Math.ceil(crossings[i] - 0.5)); column <= last; column++) {
        const position = area.positions[row * area.width + column];
        if (position >= 0) {
          inside.push(position);
        }
      }
    }
  }
  return inside;
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
 * Visits everything that can be reached from a position through 8-neighbours.
 *
 * @param {Area} area
 * @param {number} start A position.
 * @param {(position: number) => boolean} joins Whether a neighbour belongs to it. It must
 *   return true only once for each position.
 * @param {(position: number) => void} visit Called for each position, the start first.
 */
export function flood(area, start, joins, visit) {
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
