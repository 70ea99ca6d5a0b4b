/**
 * Sets of pixels as they are sent: `[start, length, start, length, …]`, row-major and ascending.
 *
 * @typedef {number[]} Runs
 */

/** The size up to which a list is sent as runs; of a longer one, bits may be shorter. */
const SHORT = 10_000;

/** How many bytes become a text at once: functions don't take as many arguments as an image has. */
const CHUNK = 3 * 2 ** 12;

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

/**
 * The shorter of two ways to send asked pixels, so that no image's are too many for one request.
 *
 * @param {Runs} runs Of pixels.
 * @param {Iterable<number>} positions Their places among the asked pixels.
 * @param {number} asked How many pixels are asked.
 * @returns {Runs | string} The runs, or in base64 one bit for each asked pixel.
 */
export function encodePixels(runs, positions, asked) {
  if (runs.length <= SHORT || JSON.stringify(runs).length < asked / 6) {
    return runs;
  }
  const bytes = new Uint8Array(Math.ceil(asked / 8));
  for (const position of positions) {
    bytes[position >> 3] |= 1 << (position & 7);
  }
  let text = "";
  for (let i = 0; i < bytes.length; i += CHUNK) {
    text += btoa(String.fromCharCode(...bytes.subarray(i, i + CHUNK)));
  }
  return text;
}

/** @param {string} text Bits as `encodePixels` makes them. @returns {Uint32Array} The positions. */
export function decodeBits(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const positions = [];
  for (let position = 0; position < 8 * bytes.length; position++) {
    if ((bytes[position >> 3] >> (position & 7)) & 1) {
      positions.push(position);
    }
  }
  return Uint32Array.from(positions);
}
