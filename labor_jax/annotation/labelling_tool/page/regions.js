/** @typedef {import("./area.js").Area} Area */

/**
 * Regions of an area that join: each has a mean colour. At first each position is one.
 *
 * The cost of joining two is what it adds to the sum of squared distances of the pixels from their
 * region's mean (Ward, 1963), in pixels times squared Oklab distance.
 */
export class Regions {
  /** @param {Float32Array} colours Three numbers a position, see `oklab`. */
  constructor(colours) {
    const count = colours.length / 3;
    this._parents = Int32Array.from({ length: count }, (_, position) => position);
    this._sums = Float64Array.from(colours);
    /** The regions' pixels, at their roots. */
    this.sizes = new Uint32Array(count).fill(1);
    this.count = count;
  }

  /** The position that stands for a position's region. @param {number} position */
  root(position) {
    const parents = this._parents;
    while (parents[position] !== position) {
      parents[position] = parents[parents[position]];
      position = parents[position];
    }
    return position;
  }

  /** The squared distance of two regions' colours. @param {number} a A root. @param {number} b */
  difference(a, b) {
    const { _sums: sums, sizes } = this;
    const first = sums[3 * a] / sizes[a] - sums[3 * b] / sizes[b];
    const second = sums[3 * a + 1] / sizes[a] - sums[3 * b + 1] / sizes[b];
    const third = sums[3 * a + 2] / sizes[a] - sums[3 * b + 2] / sizes[b];
    return first * first + second * second + third * third;
  }

  /** @param {number} a A root. @param {number} b */
  cost(a, b) {
    const { sizes } = this;
    return (this.difference(a, b) * sizes[a] * sizes[b]) / (sizes[a] + sizes[b]);
  }

  /** @param {number} a A root. @param {number} b Another. */
  join(a, b) {
    const root = Math.min(a, b);
    const other = Math.max(a, b);
    this.count--;
    this._parents[other] = root;
    this.sizes[root] += this.sizes[other];
    for (let channel = 0; channel < 3; channel++) {
      this._sums[3 * root + channel] += this._sums[3 * other + channel];
    }
  }

  /**
   * Joins pairs of regions that cost less than a limit, the cheapest about first.
   *
   * @param {Int32Array} pairs Positions, two a pair; overwritten.
   * @param {number} limit
   * @returns {Int32Array} The pairs of roots that are left.
   */
  joinSimilar(pairs, limit) {
    for (let share = 2 ** -8; share < 1; share *= 2) {
      pairs = this._pass(pairs, limit * share);
    }
    for (let before = Infinity; pairs.length < before;) {
      before = pairs.length;
      pairs = this._pass(pairs, limit);
    }
    return pairs;
  }

  /** @param {Int32Array} pairs @param {number} limit */
  _pass(pairs, limit) {
    let end = 0;
    for (let i = 0; i < pairs.length; i += 2) {
      const a = this.root(pairs[i]);
      const b = this.root(pairs[i + 1]);
      if (a !== b && this.cost(a, b) < limit) {
        this.join(a, b);
      } else if (a !== b) {
        pairs[end++] = a;
        pairs[end++] = b;
      }
    }
    return pairs.subarray(0, end);
  }

  /**
   * Joins each small region with the one of most similar colour that it is paired with, the
   * smallest about first.
   *
   * @param {Int32Array} pairs Positions, two a pair; overwritten.
   * @param {number} smallest Regions with fewer pixels are small.
   * @returns {Int32Array} The pairs of roots that are left.
   */
  joinSmall(pairs, smallest) {
    const nearest = new Int32Array(this.sizes.length).fill(-1);
    const differences = new Float64Array(this.sizes.length);
    for (let size = 2; size < 2 * smallest; size *= 2) {
      /** @type {number[]} */
      let small;
      do {
        pairs = this._pass(pairs, 0); // joins nothing, but brings the pairs up to date
        small = this._nearest(pairs, Math.min(size, smallest), nearest, differences);
        for (const region of small) {
          const [a, b] = [this.root(region), this.root(nearest[region])];
          nearest[region] = -1;
          if (a !== b && this.sizes[a] < Math.min(size, smallest)) {
            this.join(a, b);
          }
        }
      } while (small.length);
    }
    return pairs;
  }

  /**
   * Finds the partner of most similar colour of each small region.
   *
   * @param {Int32Array} pairs Pairs of roots.
   * @param {number} smallest
   * @param {Int32Array} nearest Is given the partners; -1 before.
   * @param {Float64Array} differences Is given their differences.
   * @returns {number[]} The small regions that have a partner.
   */
  _nearest(pairs, smallest, nearest, differences) {
    /** @type {number[]} */
    const found = [];
    /** @param {number} region @param {number} other @param {number} difference */
    const consider = (region, other, difference) => {
      if (nearest[region] < 0) {
        found.push(region);
      } else if (difference >= differences[region]) {
        return;
      }
      nearest[region] = other;
      differences[region] = difference;
    };
    for (let i = 0; i < pairs.length; i += 2) {
      const [a, b] = [pairs[i], pairs[i + 1]];
      if (this.sizes[a] < smallest || this.sizes[b] < smallest) {
        const difference = this.difference(a, b);
        if (this.sizes[a] < smallest) {
          consider(a, b, difference);
        }
        if (this.sizes[b] < smallest) {
          consider(b, a, difference);
        }
      }
    }
    return found;
  }

  /** The number of each position's region, in the order of their first positions. */
  numbers() {
    const numbers = new Map();
    const ids = this._parents.map((_, position) => {
      const root = this.root(position);
      numbers.set(root, numbers.get(root) ?? numbers.size);
      return numbers.get(root);
    });
    return { ids, count: numbers.size };
  }
}

/**
 * The pairs of 8-neighbours.
 *
 * @param {Area} area
 * @returns {Int32Array} Positions, two a pair.
 */
export function neighbours({ width, pixels, positions }) {
  const pairs = new Int32Array(8 * pixels.length);
  let end = 0;
  const add = (/** @type {number} */ position, /** @type {number} */ pixel) => {
    if (pixel < positions.length && positions[pixel] >= 0) {
      pairs[end++] = position;
      pairs[end++] = positions[pixel];
    }
  };
  pixels.forEach((pixel, position) => {
    const column = pixel % width;
    if (column < width - 1) {
      add(position, pixel + 1);
      add(position, pixel + width + 1);
    }
    if (column > 0) {
      add(position, pixel + width - 1);
    }
    add(position, pixel + width);
  });
  return pairs.subarray(0, end);
}
