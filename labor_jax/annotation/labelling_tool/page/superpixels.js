import { components, makePartition } from "./partitions.js";

/** @typedef {import("./area.js").Area} Area */
/** @typedef {import("./partitions.js").Partition} Partition */

const ROUNDS = 4;

/** The Oklab distance that weighs as much as one step of the grid; smaller favours colour. */
const COMPACTNESS = 0.08;

/**
 * The usual side of a patch. Images of any size get as many patches, but never tiny ones.
 *
 * @param {Area} area
 */
export function patchSide({ width, height }) {
  return Math.min(24, Math.max(4, Math.round(Math.sqrt(width * height) / 90)));
}

/**
 * Patches of similar colour within the asked pixels: SLIC (Achanta et al., PAMI 2012). Each
 * pixel compares the centres of the 3x3 grid cells around it.
 *
 * @param {Area} area
 * @param {Float32Array} colours Of the positions, see `oklab`.
 * @param {Partition} segments No patch spans two of them.
 * @param {number} [side] Of the grid's cells, in pixels.
 * @returns {Partition} Connected patches.
 */
export function superpixels(area, colours, segments, side = patchSide(area)) {
  const { pixels, width, height } = area;
  const columns = Math.ceil(width / side);
  const rows = Math.ceil(height / side);
  const cellOf = (/** @type {number} */ pixel) =>
    Math.floor(Math.floor(pixel / width) / side) * columns + Math.floor((pixel % width) / side);
  const nearest = Int32Array.from(pixels, cellOf);
  const centres = new Float64Array(5 * columns * rows);
  const sizes = new Uint32Array(columns * rows);
  for (let round = 0; round < ROUNDS; round++) {
    centres.fill(0);
    sizes.fill(0);
    nearest.forEach((cell, position) => {
      const pixel = pixels[position];
      sizes[cell]++;
      centres[5 * cell] += pixel % width;
      centres[5 * cell + 1] += Math.floor(pixel / width);
      for (let channel = 0; channel < 3; channel++) {
        centres[5 * cell + 2 + channel] += colours[3 * position + channel];
      }
    });
    sizes.forEach((size, cell) => {
      for (let i = 5 * cell; size && i < 5 * cell + 5; i++) {
        centres[i] /= size;
      }
    });
    for (let position = 0; position < pixels.length; position++) {
      const column = pixels[position] % width;
      const row = (pixels[position] - column) / width;
      const homeColumn = Math.floor(column / side);
      const homeRow = Math.floor(row / side);
      const [lightness, a, b] = [
        colours[3 * position],
        colours[3 * position + 1],
        colours[3 * position + 2],
      ];
      let best = Infinity;
      for (let y = Math.max(0, homeRow - 1); y <= Math.min(rows - 1, homeRow + 1); y++) {
        for (let x = Math.max(0, homeColumn - 1); x <= Math.min(columns - 1, homeColumn + 1); x++) {
          const cell = y * columns + x;
          const at = 5 * cell;
          const away =
            ((centres[at] - column) ** 2 + (centres[at + 1] - row) ** 2) / side ** 2 +
            ((centres[at + 2] - lightness) ** 2 +
              (centres[at + 3] - a) ** 2 +
              (centres[at + 4] - b) ** 2) /
              COMPACTNESS ** 2;
          if (sizes[cell] && away < best) {
            best = away;
            nearest[position] = cell;
          }
        }
      }
    }
  }
  // A cluster that isn't connected, or spans two segments, becomes several patches.
  const groups = new Map();
  const ids = nearest.map((cell, position) => {
    const key = cell * segments.count + segments.ids[position];
    groups.set(key, groups.get(key) ?? groups.size);
    return groups.get(key);
  });
  const patches = components(area, ids);
  return joinSmall(area, patches, segments, Math.max(2, Math.floor((side * side) / 8)));
}

/**
 * Joins small patches with the neighbour in their segment that they touch most.
 *
 * @param {Area} area
 * @param {Partition} patches
 * @param {Partition} segments
 * @param {number} smallest Patches with fewer pixels are small.
 * @returns {Partition}
 */
function joinSmall(area, patches, segments, smallest) {
  const target = Int32Array.from({ length: patches.count }, (_, id) => id);
  const root = (/** @type {number} */ id) => {
    while (target[id] !== id) {
      id = target[id];
    }
    return id;
  };
  patches.members.forEach((members, id) => {
    if (members.length >= smallest) {
      return;
    }
    /** @type {Map<number, number>} */
    const touching = new Map();
    for (const position of members) {
      const pixel = area.pixels[position];
      const column = pixel % area.width;
      for (const [step, isInside] of /** @type {Array<[number, boolean]>} */ ([
        [-1, column > 0],
        [1, column < area.width - 1],
        [-area.width, pixel >= area.width],
        [area.width, pixel + area.width < area.positions.length],
      ])) {
        const other = isInside ? area.positions[pixel + step] : -1;
        if (other >= 0 && segments.ids[other] === segments.ids[position]) {
          const neighbour = root(patches.ids[other]);
          if (neighbour !== root(id)) {
            touching.set(neighbour, (touching.get(neighbour) ?? 0) + 1);
          }
        }
      }
    }
    const [most] = [...touching].sort((a, b) => b[1] - a[1]);
    if (most) {
      target[root(id)] = most[0];
    }
  });
  const numbers = new Map();
  const ids = patches.ids.map((id) => {
    const found = root(id);
    numbers.set(found, numbers.get(found) ?? numbers.size);
    return numbers.get(found);
  });
  return makePartition(ids, numbers.size);
}
