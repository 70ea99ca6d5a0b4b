import { bounds } from "./area.js";
import { fill } from "./colours.js";

/** @typedef {import("./area.js").Area} Area */
/** @typedef {import("./partitions.js").Partition} Partition */
/** @typedef {import("./labels.js").Labels} Labels */

/**
 * What one key or click labels: a segment, a patch of it, the similar colours around a pixel, a
 * pixel, the whole component with all its segments, or the inside of a polygon that is drawn.
 *
 * @typedef {"segment" | "patch" | "similar" | "pixel" | "whole" | "polygon"} Unit
 */

/** @type {Unit[]} */
export const UNITS = ["segment", "patch", "similar", "pixel", "whole", "polygon"];

/**
 * Where the annotator is, and the order in which the units follow each other.
 *
 * The order visits nearby segments one after another, and all of a segment before the next.
 */
export class Cursor {
  /**
   * @param {Area} area
   * @param {Partition} segments
   * @param {Labels} labels
   * @param {() => Partition} patches Called when first needed.
   * @param {() => Float32Array} colours Of the positions, called when first needed.
   * @param {Partition} [wholes] The components, if segments are parts of them.
   */
  constructor(area, segments, labels, patches, colours, wholes = segments) {
    this.area = area;
    this.segments = segments;
    this.labels = labels;
    this._patches = patches;
    this._colours = colours;
    this._wholes = wholes;
    /** @type {Unit} */
    this.unit = "segment";
    /** The largest distance (Oklab) between similar colours. */
    this.tolerance = 0.08;
    this._tour = tour(area, segments);
    /** @type {Map<Unit, {stops: number[], stopOf: Int32Array}>} */
    this._ways = new Map();
    /** A position of the current unit. */
    this.position = this._way().stops[0];
    this.nextOpen(true);
  }

  /** Takes over another division of the same area. @param {Partition} segments */
  setSegments(segments) {
    this.segments = segments;
    this._tour = tour(this.area, segments);
    this._ways.clear();
  }

  /**
   * @param {number} position
   * @returns {Uint32Array} The positions of its unit, ascending.
   */
  unitAt(position) {
    switch (this.unit) {
      case "whole":
        return this._wholes.members[this._wholes.ids[position]];
      case "segment":
      case "polygon":
        return this.segments.members[this.segments.ids[position]];
      case "patch":
        return this._patches().members[this._patches().ids[position]];
      case "similar": {
        const segment = this.segments.ids[position];
        const isOpen = this._isOpen(position);
        return fill(
          this.area,
          this._colours(),
          position,
          this.tolerance,
          (other) => this.segments.ids[other] === segment && this._isOpen(other) === isOpen,
        );
      }
      default:
        return Uint32Array.of(position);
    }
  }

  /** The positions of the current unit. */
  current() {
    return this.unitAt(this.position);
  }

  /** The current segment's place in the order, from 1. */
  segmentNumber() {
    return this._tour.indexOf(this.segments.ids[this.position]) + 1;
  }

  /** @param {Unit} unit */
  setUnit(unit) {
    this.unit = unit;
    if (unit !== "segment" && !this._isOpen(this.position)) {
      const segment = this.segments.ids[this.position];
      this.position = this._firstOpen(this.segments.members[segment]) ?? this.position;
    }
  }

  /** @param {number} position */
  moveTo(position) {
    this.position = position;
  }

  /**
   * Moves to the next or previous unit; the last is followed by the first.
   *
   * @param {1 | -1} step
   */
  step(step) {
    const { stops, stopOf } = this._way();
    const here = new Set(this.unit === "similar" ? this.current() : []);
    let stop = stopOf[this.position];
    for (let i = 0; i < stops.length; i++) {
      stop = (stop + step + stops.length) % stops.length;
      if (!here.has(stops[stop])) {
        break;
      }
    }
    this.position = stops[stop];
  }

  /**
   * Moves to the next open unit in the order, first within the same segment.
   *
   * @param {boolean} [stay] Whether to stay if the current unit is open.
   * @param {1 | -1} [direction]
   * @returns {boolean} False if no other pixel is open; then it doesn't move.
   */
  nextOpen(stay = false, direction = 1) {
    const { stops, stopOf } = this._way();
    if (stay && this._hasOpen(this.position)) {
      return true;
    }
    const { ids, members } = this.segments;
    const segment = ids[this.position];
    const isSegment = ["segment", "polygon"].includes(this.unit);
    const unit = isSegment ? null : new Set(this.current());
    const isHere = (/** @type {number} */ position) =>
      unit ? unit.has(position) : ids[position] === segment;
    const isMore =
      this.unit !== "whole" &&
      members[segment].some((position) => this._isOpen(position) && !isHere(position));
    for (let i = 1; i < stops.length; i++) {
      const at = stopOf[this.position] + direction * i + stops.length;
      const stop = stops[at % stops.length];
      if ((!isMore || ids[stop] === segment) && !isHere(stop) && this._hasOpen(stop)) {
        this.position = this._isOpen(stop) ? stop : (this._firstOpen(this.unitAt(stop)) ?? stop);
        return true;
      }
    }
    return false;
  }

  /**
   * Moves to the nearest asked pixel in a direction.
   *
   * @param {number} right -1, 0 or 1.
   * @param {number} down
   */
  towards(right, down) {
    const { width, height, pixels, positions } = this.area;
    const column = pixels[this.position] % width;
    const row = Math.floor(pixels[this.position] / width);
    let best = Infinity;
    let found = this.position;
    const consider = (/** @type {number} */ x, /** @type {number} */ y) => {
      const along = (x - column) * right + (y - row) * down;
      const aside = Math.abs((x - column) * down) + Math.abs((y - row) * right);
      const away = along + 2 * aside;
      if (along > 0 && aside <= along && away < best && positions[y * width + x] >= 0) {
        best = away;
        found = positions[y * width + x];
      }
    };
    for (let along = 1; along < Math.min(best, Math.max(width, height)); along++) {
      for (let aside = -along; aside <= along; aside++) {
        const x = column + (right ? right * along : aside);
        const y = row + (down ? down * along : aside);
        if (x >= 0 && y >= 0 && x < width && y < height) {
          consider(x, y);
        }
      }
    }
    this.position = found;
  }

  /** @param {number} position */
  _isOpen(position) {
    return this.labels.values[position] < 0;
  }

  /** @param {Uint32Array} positions */
  _firstOpen(positions) {
    return positions.find((position) => this._isOpen(position));
  }

  /** @param {number} position */
  _hasOpen(position) {
    if (this._isOpen(position)) {
      return true;
    }
    if (this.unit === "pixel" || this.unit === "similar") {
      return false;
    }
    return this._firstOpen(this.unitAt(position)) !== undefined;
  }

  /** The order of the units: a position in each, and the index of each position's unit. */
  _way() {
    const unit = this.unit === "similar" ? "pixel" : this.unit;
    let way = this._ways.get(unit);
    if (!way) {
      way = this._makeWay(unit);
      this._ways.set(unit, way);
    }
    return way;
  }

  /** @param {Unit} unit */
  _makeWay(unit) {
    const { area, segments } = this;
    /** @type {number[]} */
    const stops = [];
    const stopOf = new Int32Array(area.pixels.length);
    if (unit === "whole") {
      for (const whole of tour(area, this._wholes)) {
        const members = this._wholes.members[whole];
        members.forEach((position) => (stopOf[position] = stops.length));
        stops.push(middle(area, members));
      }
      return { stops, stopOf };
    }
    for (const segment of this._tour) {
      const members = segments.members[segment];
      if (unit === "pixel") {
        for (const position of members) {
          stopOf[position] = stops.length;
          stops.push(position);
        }
      } else if (unit === "patch") {
        const { ids, members: patches } = this._patches();
        for (const patch of new Set(Array.from(members, (position) => ids[position]))) {
          patches[patch].forEach((position) => (stopOf[position] = stops.length));
          stops.push(middle(area, patches[patch]));
        }
      } else {
        members.forEach((position) => (stopOf[position] = stops.length));
        stops.push(middle(area, members));
      }
    }
    return { stops, stopOf };
  }
}

/**
 * The member nearest to the centre of all members.
 *
 * @param {Area} area
 * @param {ArrayLike<number>} members
 */
export function middle({ pixels, width }, members) {
  let [x, y] = [0, 0];
  for (let i = 0; i < members.length; i++) {
    x += (pixels[members[i]] % width) / members.length;
    y += Math.floor(pixels[members[i]] / width) / members.length;
  }
  let best = members[0];
  let nearest = Infinity;
  for (let i = 0; i < members.length; i++) {
    const pixel = pixels[members[i]];
    const away = Math.hypot((pixel % width) - x, Math.floor(pixel / width) - y);
    if (away < nearest) {
      nearest = away;
      best = members[i];
    }
  }
  return best;
}

/**
 * An order of the groups with short steps: along strips of the image, back and forth.
 *
 * @param {Area} area
 * @param {Partition} partition
 * @returns {number[]} The groups in order.
 */
export function tour(area, partition) {
  // With strips of this height, steps along a strip are about as long as those across it.
  const strip = Math.sqrt((3 * area.width * area.height) / Math.max(1, partition.count));
  const centres = partition.members.map((members) => {
    const box = bounds(area, members);
    const row = Math.floor((box.top + box.bottom) / 2 / strip);
    return { column: (box.left + box.right) / 2, strip: row };
  });
  return [...centres.keys()].sort((a, b) => {
    if (centres[a].strip !== centres[b].strip) {
      return centres[a].strip - centres[b].strip;
    }
    const direction = centres[a].strip % 2 ? -1 : 1;
    return direction * (centres[a].column - centres[b].column) || a - b;
  });
}
