/** Patterns drawn over colours, so that classes can be distinguished without seeing colours. */

/** @param {HTMLCanvasElement} canvas @param {CanvasRenderingContext2DSettings} [settings] */
export function contextOf(canvas, settings) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", settings));
}

/** Pixels of a tile per CSS pixel. */
export const TILE_DENSITY = 2;

/** CSS pixels. */
const TILE = 8;

const UP = [
  [0, 8, 8, 0],
  [-4, 4, 4, -4],
  [4, 12, 12, 4],
];
const DOWN = [
  [0, 0, 8, 8],
  [-4, 4, 4, 12],
  [4, -4, 12, 4],
];
const ACROSS = [0, 4, 8, 4];
const UPRIGHT = [4, 0, 4, 8];
const DOTS = [
  [2, 2],
  [6, 6],
];

/**
 * What each pattern draws on a tile; classes that follow each other get patterns that differ much.
 *
 * @type {Array<(ink: CanvasRenderingContext2D) => void>}
 */
const TILES = [
  (ink) => dots(ink, 0.9, ...DOTS),
  (ink) => lines(ink, ...UP),
  (ink) => lines(ink, ...DOWN),
  (ink) => lines(ink, ACROSS),
  (ink) => lines(ink, UPRIGHT),
  (ink) => dots(ink, 1.7, ...DOTS),
  (ink) => lines(ink, ACROSS, UPRIGHT),
  (ink) => lines(ink, [0, 6, 4, 2], [4, 2, 8, 6]),
  (ink) => squares(ink, [0, 0], [4, 4]),
  (ink) => rings(ink, [4, 4]),
  (ink) => lines(ink, [1, 2, 5, 2], [5, 6, 9, 6], [-3, 6, 1, 6]),
  (ink) => lines(ink, [6, 0, 2, 4], [2, 4, 6, 8]),
  (ink) => lines(ink, [2, 4, 6, 4], [4, 2, 4, 6]),
  (ink) => lines(ink, [0, 1.5, 8, 1.5], [0, 4.5, 8, 4.5]),
  (ink) => lines(ink, [1.5, 0, 1.5, 8], [4.5, 0, 4.5, 8]),
  (ink) => lines(ink, [0, 4, 8, 4], [0, 0, 8, 0], [2, 0, 2, 4], [6, 4, 6, 8]),
  (ink) => squares(ink, [2, 2]),
  (ink) => lines(ink, [1, 5, 3, 3], [5, 5, 7, 3], [1, 9, 3, 7], [5, 1, 7, -1]),
  (ink) => lines(ink, [4, 1, 7, 6], [7, 6, 1, 6], [1, 6, 4, 1]),
  (ink) => lines(ink, [0, 4, 4, 0], [4, 0, 8, 4], [8, 4, 4, 8], [4, 8, 0, 4]),
];

const CROSSED = (/** @type {CanvasRenderingContext2D} */ ink) =>
  lines(ink, [0, 8, 8, 0], [0, 0, 8, 8]);

/** @param {CanvasRenderingContext2D} ink @param {number} radius @param {number[][]} centres */
function dots(ink, radius, ...centres) {
  for (const [x, y] of centres) {
    ink.beginPath();
    ink.arc(x, y, radius, 0, 2 * Math.PI);
    ink.fill();
  }
}

/** @param {CanvasRenderingContext2D} ink @param {number[][]} centres */
function rings(ink, ...centres) {
  for (const [x, y] of centres) {
    ink.beginPath();
    ink.arc(x, y, 2.4, 0, 2 * Math.PI);
    ink.stroke();
  }
}

/** @param {CanvasRenderingContext2D} ink @param {number[][]} corners */
function squares(ink, ...corners) {
  for (const [x, y] of corners) {
    ink.fillRect(x, y, 4, 4);
  }
}

/** @param {CanvasRenderingContext2D} ink @param {number[][]} ends */
function lines(ink, ...ends) {
  ink.beginPath();
  for (const [x, y, toX, toY] of ends) {
    ink.moveTo(x, y);
    ink.lineTo(toX, toY);
  }
  ink.stroke();
}

/** @param {string} color "#rrggbb" */
export function isDark(color) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  return 0.299 * r + 0.587 * g + 0.114 * b < 140;
}

/**
 * @param {string} color Of the class, "#rrggbb".
 * @param {number} number Of the class; -1 for void.
 * @returns {HTMLCanvasElement} A tile with the pattern on a transparent background.
 */
export function patternTile(color, number) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = TILE_DENSITY * TILE;
  const ink = contextOf(tile);
  ink.scale(TILE_DENSITY, TILE_DENSITY);
  ink.strokeStyle = ink.fillStyle = isDark(color) ? "rgb(255 255 255 / 75%)" : "rgb(0 0 0 / 60%)";
  ink.lineWidth = 1.2;
  (number < 0 ? CROSSED : TILES[number % TILES.length])(ink);
  return tile;
}

/**
 * A tile of diagonal stripes in several colours.
 *
 * @param {string[]} colors
 */
export function stripes(colors) {
  const tile = document.createElement("canvas");
  const wide = TILE_DENSITY * 6;
  const side = (tile.width = tile.height = wide * colors.length);
  const ink = contextOf(tile);
  [...colors, ...colors].forEach((color, i) => {
    ink.fillStyle = color;
    ink.beginPath();
    ink.moveTo(i * wide, 0);
    ink.lineTo((i + 1) * wide, 0);
    ink.lineTo((i + 1) * wide - side, side);
    ink.lineTo(i * wide - side, side);
    ink.fill();
  });
  return tile;
}
