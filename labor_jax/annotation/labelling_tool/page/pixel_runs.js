/**
 * Sets of pixels as they are sent: `[start, length, start, length, …]`, row-major and ascending.
 *
 * @typedef {number[]} Runs
 */

/**
 * @param {ArrayLike<number>} pixels Pixel indices, ascending and each once.
 * @returns {Runs}
 */
export function encodeRuns(pixels) {
  const runs = [];
  for (let i = 0; i < pixels.length; i++) {
    if (i > 0 && pixels[i] === pixels[i - 1] + 1) {
      runs[runs.length - 1]++;
    } else {
      runs.push(pixels[i], 1);
    }
  }
  return runs;
}

/**
 * @param {Runs} runs
 * @returns {Uint32Array} Pixel indices, ascending.
 * @throws {RangeError} If the runs are not pairs, are not ascending or overlap.
 */
export function decodeRuns(runs) {
  let size = 0;
  let end = 0;
  if (runs.length % 2) {
    throw new RangeError(`runs are pairs of start and length; got ${runs.length} numbers`);
  }
  for (let i = 0; i < runs.length; i += 2) {
    const [start, length] = [runs[i], runs[i + 1]];
    if (!Number.isInteger(start) || !Number.isInteger(length) || start < end || length < 1) {
      throw new RangeError(`run ${i / 2} starts at ${start} with length ${length}, after ${end}`);
    }
    size += length;
    end = start + length;
  }
  const pixels = new Uint32Array(size);
  let filled = 0;
  for (let i = 0; i < runs.length; i += 2) {
    for (let offset = 0; offset < runs[i + 1]; offset++) {
      pixels[filled++] = runs[i] + offset;
    }
  }
  return pixels;
}
