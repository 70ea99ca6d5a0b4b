/**
 * How a photo is shown: brighter or darker, with more or less contrast. Labels keep their colours.
 *
 * @typedef {object} Tone
 * @property {number} brightness -1 to 1; 0 changes nothing.
 * @property {number} contrast -1 to 1; 0 changes nothing.
 * @property {boolean} brighten Whether to spread the photo's own values over the whole range.
 */

/** A sample of so many pixels tells a photo's histogram well enough. */
const SAMPLE = 200_000;

/** The steepest that brightening makes the curve: more would show noise instead of objects. */
const STEEPEST = 5;

/** A photo counts as dark if half of its pixels are darker than this, of 255. */
const DARK = 48;

/**
 * @param {ArrayLike<number>} rgba Four bytes a pixel.
 * @returns {Float64Array} The share of the pixels with each luma (Rec. 601), 0 to 255.
 */
export function histogramOf(rgba) {
  const counts = new Float64Array(256);
  const step = 4 * Math.max(1, Math.floor(rgba.length / 4 / SAMPLE));
  let total = 0;
  for (let i = 0; i < rgba.length; i += step) {
    counts[Math.round(0.299 * rgba[i] + 0.587 * rgba[i + 1] + 0.114 * rgba[i + 2])]++;
    total++;
  }
  return counts.map((count) => count / total);
}

/** @param {Float64Array} histogram */
export function isDarkPhoto(histogram) {
  let below = 0;
  for (let luma = 0; luma < DARK; luma++) {
    below += histogram[luma];
  }
  return below > 0.5;
}

/**
 * @param {Tone} tone
 * @param {Float64Array} histogram Of the photo.
 * @returns {Uint8ClampedArray} The new value of each value of a channel.
 */
export function toneTable({ brightness, contrast, brighten }, histogram) {
  const start = brighten ? equalized(histogram) : null;
  return Uint8ClampedArray.from({ length: 256 }, (_, value) => {
    const spread = (start ? start[value] : value) / 255;
    const steep = (spread - 0.5) * 4 ** contrast + 0.5;
    // A power leaves black black and white white, so that nothing of the photo is lost.
    return 255 * Math.min(1, Math.max(0, steep)) ** (4 ** -brightness);
  });
}

/**
 * Histogram equalisation with a limited slope (Pizer et al., 1987, over the whole photo): values
 * that many pixels share are spread out, wherever they are.
 *
 * @param {Float64Array} histogram
 * @returns {Float64Array} The new value of each value, 0 to 255, ascending.
 */
function equalized(histogram) {
  let shares = histogram;
  // What exceeds the limit is given to all values, which can lift others above it.
  for (let i = 0; i < 20; i++) {
    const limit = STEEPEST / 256;
    const excess = shares.reduce((sum, share) => sum + Math.max(0, share - limit), 0);
    shares = shares.map((share) => Math.min(limit, share) + excess / 256);
  }
  let sum = 0;
  return shares.map((share) => 255 * (sum += share) - 127.5 * share);
}
