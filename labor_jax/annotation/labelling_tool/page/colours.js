import { flood } from "./area.js";

/** @typedef {import("./area.js").Area} Area */

/**
 * The positions' colours in Oklab (Björn Ottosson, 2020), where distances match what people
 * see. It has a lightness from 0 to 1, and two axes from about -0.4 to 0.4.
 *
 * @param {Area} area
 * @param {ArrayLike<number>} rgba The image, four bytes a pixel.
 * @returns {Float32Array} Three numbers a position.
 */
export function oklab(area, rgba) {
  const colours = new Float32Array(3 * area.pixels.length);
  area.pixels.forEach((pixel, position) => {
    const r = LINEAR[rgba[4 * pixel]];
    const g = LINEAR[rgba[4 * pixel + 1]];
    const b = LINEAR[rgba[4 * pixel + 2]];
    const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
    const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
    const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
    colours[3 * position] = 0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s;
    colours[3 * position + 1] = 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s;
    colours[3 * position + 2] = 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s;
  });
  return colours;
}

/** The linear light of each value of an sRGB channel, 0 to 1. */
const LINEAR = Float32Array.from({ length: 256 }, (_, byte) => {
  const value = byte / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
});

/**
 * Flood fill: the connected pixels of similar colour around one.
 *
 * @param {Area} area
 * @param {Float32Array} colours Three numbers a position, see `oklab`.
 * @param {number} start A position.
 * @param {number} tolerance The largest distance from the first pixel's colour.
 * @param {(position: number) => boolean} [isAllowed] Which positions it may fill.
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
