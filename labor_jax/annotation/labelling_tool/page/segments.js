import { makeArea } from "./area.js";
import { makePartition } from "./partitions.js";
import { Regions, neighbours } from "./regions.js";
import { patchSide } from "./superpixels.js";

/** @typedef {import("./area.js").Area} Area */
/** @typedef {import("./partitions.js").Partition} Partition */

/**
 * What one more segment must take from the sum of the pixels' squared Oklab distances to their
 * segment's mean, for each pixel of a patch. On the masks that SPL asks of CamVid it makes about
 * three times as many segments as components.
 */
const PRICE = 0.0004;

/** The largest Oklab distance of a crumb to the segment that it joins. */
const CRUMB_TOLERANCE = 0.05;

/** A cut joins the last parts of a segment, about as many as these, in the exact order. */
const MANY = 64;

/** The Oklab distance of two parts of a segment from which people are warned. */
const STRONG_EDGE = 0.12;

/**
 * The segments that one key labels: connected pixels that no edge of the image divides. No segment
 * is smaller than half a patch where it has a neighbour. Crumbs, components smaller than a quarter
 * of a patch, belong to a segment of like colour that is at most a patch away.
 *
 * @param {Area} area
 * @param {Float32Array} colours Three numbers a position, see `oklab`.
 * @returns {Partition}
 */
export function segmentsAlongEdges(area, colours) {
  const side = patchSide(area);
  const smallest = Math.round((side * side) / 2);
  const regions = new Regions(colours);
  const pairs = regions.joinSimilar(neighbours(area), PRICE * side * side);
  regions.joinSmall(pairs, smallest);
  joinCrumbs(area, regions, smallest / 2, side);
  const { ids, count } = regions.numbers();
  return makePartition(ids, count);
}

/**
 * @param {Area} area
 * @param {Regions} regions
 * @param {number} smallest Regions with fewer pixels are crumbs.
 * @param {number} reach How far away the nearest segment may be, in pixels.
 */
function joinCrumbs({ width, height, pixels, positions }, regions, smallest, reach) {
  /** @type {Map<number, {other: number, away: number}>} */
  const nearest = new Map();
  pixels.forEach((pixel, position) => {
    const crumb = regions.root(position);
    if (regions.sizes[crumb] >= smallest) {
      return;
    }
    const column = pixel % width;
    const row = (pixel - column) / width;
    /** @param {number} x @param {number} y @param {number} gap */
    const consider = (x, y, gap) => {
      const found = x < 0 || x >= width ? -1 : positions[y * width + x];
      const other = found < 0 ? crumb : regions.root(found);
      const difference = other === crumb ? Infinity : regions.difference(crumb, other);
      // The colour decides between those that are equally near.
      const away = gap + difference;
      if (difference <= CRUMB_TOLERANCE ** 2 && away < (nearest.get(crumb)?.away ?? Infinity)) {
        nearest.set(crumb, { other, away });
      }
    };
    // Squares around the pixel, until nothing nearer can be found.
    for (let gap = 1; gap <= Math.min(reach, nearest.get(crumb)?.away ?? reach); gap++) {
      for (let y = Math.max(0, row - gap); y <= Math.min(height - 1, row + gap); y++) {
        const step = Math.abs(y - row) === gap ? 1 : 2 * gap;
        for (let x = column - gap; x <= column + gap; x += step) {
          consider(x, y, gap);
        }
      }
    }
  });
  for (const [crumb, { other }] of nearest) {
    const [a, b] = [regions.root(crumb), regions.root(other)];
    if (a !== b) {
      regions.join(a, b);
    }
  }
}

/**
 * A division of a segment in two parts.
 *
 * @typedef {object} Cut
 * @property {Uint32Array} second The positions of the part that doesn't hold the first pixel.
 * @property {boolean} isStrong Whether people should be warned of it.
 */

/**
 * Divides a segment along its strongest edge: in the two parts that leave the least variance.
 *
 * @param {Area} area
 * @param {Float32Array} colours Three numbers a position of the area.
 * @param {Uint32Array} members The segment's positions, ascending.
 * @returns {Cut | null} Null if it has no two parts of at least an eighth of a patch.
 */
export function cut(area, colours, members) {
  const pixels = members.map((position) => area.pixels[position]);
  const part = makeArea(pixels, area.width, area.height);
  const own = new Float32Array(3 * members.length);
  members.forEach((position, i) => {
    own.set(colours.subarray(3 * position, 3 * position + 3), 3 * i);
  });
  const side = patchSide(area);
  const smallest = Math.max(2, Math.round((side * side) / 8));
  const regions = new Regions(own);
  let pairs = neighbours(part);
  let limit = (PRICE * side * side) / 16;
  // More parts than two, but few enough for the exact order below.
  do {
    pairs = regions.joinSimilar(pairs, limit);
    limit *= 2;
  } while (regions.count > MANY && pairs.length);
  pairs = regions.joinSmall(pairs, smallest);
  const roots = new Set(Array.from(own.subarray(0, members.length), (_, i) => regions.root(i)));
  while (roots.size > 2) {
    const [a, b] = cheapest(regions, pairs) ?? cheapest(regions, everyPair([...roots])) ?? [0, 0];
    regions.join(a, b);
    roots.delete(Math.max(a, b));
  }
  const [a, b] = roots;
  if (b === undefined || Math.min(regions.sizes[a], regions.sizes[b]) < smallest) {
    return null;
  }
  const share = Math.min(regions.sizes[a], regions.sizes[b]) / members.length;
  return {
    second: members.filter((_, i) => regions.root(i) !== regions.root(0)),
    isStrong: share >= 1 / 8 && regions.difference(a, b) >= STRONG_EDGE ** 2,
  };
}

/**
 * The two regions of a pair that cost least to join; null if every pair is joined.
 *
 * @param {Regions} regions
 * @param {ArrayLike<number>} pairs Positions, two a pair.
 */
function cheapest(regions, pairs) {
  let least = Infinity;
  let found = null;
  for (let i = 0; i < pairs.length; i += 2) {
    const a = regions.root(pairs[i]);
    const b = regions.root(pairs[i + 1]);
    const cost = a === b ? Infinity : regions.cost(a, b);
    if (cost < least) {
      least = cost;
      found = [a, b];
    }
  }
  return found;
}

/** @param {number[]} roots @returns {number[]} Two a pair. */
function everyPair(roots) {
  return roots.flatMap((a, i) => roots.slice(i + 1).flatMap((b) => [a, b]));
}
