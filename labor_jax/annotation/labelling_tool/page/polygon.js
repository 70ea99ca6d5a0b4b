import { insidePolygon } from "./area.js";

/** @typedef {import("./view.js").Point} Point */

/** A polygon that is drawn corner by corner, in pixels of the image. */
export class Polygon {
  constructor() {
    /** @type {Point[]} */
    this.corners = [];
  }

  /** Whether it has an inside. */
  get isDrawn() {
    return this.corners.length > 2;
  }

  /**
   * Adds a corner, unless the point is at the first or last one.
   *
   * @param {Point} point
   * @param {number} reach How far away a corner may be.
   * @returns {boolean} Whether the polygon is to be closed: the point is at such a corner.
   */
  add(point, reach) {
    const ends = [this.corners[0], this.corners[this.corners.length - 1]];
    const isEnd = this.isDrawn && ends.some((end) => apart(point, end) <= reach);
    if (!isEnd) {
      this.corners.push(point);
    }
    return isEnd;
  }

  takeBack() {
    this.corners.pop();
  }

  clear() {
    this.corners = [];
  }

  /** @param {import("./area.js").Area} area @returns {Uint32Array} The asked pixels inside. */
  positions(area) {
    return Uint32Array.from(insidePolygon(area, this.corners));
  }
}

/** @param {Point} a @param {Point} b */
function apart(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
