/** Patterns drawn over colours, so that classes can be distinguished without seeing colours. */

/** @param {HTMLCanvasElement} canvas @param {CanvasRenderingContext2DSettings} [settings] */
export function contextOf(canvas, settings) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", settings));
}

/** Pixels of a tile per CSS pixel. */
export const TILE_DENSITY = 2;

/** CSS pixels. */
const TILE = 8;

/** @type {Array<(ink: CanvasRenderingContext2D) => void>} What each pattern draws on a tile. */
const TILES = [
  () => {},
  (ink) => lines(ink, [0, 8, 8, 0], [-4, 4, 4, -4], [4, 12, 12, 4]),
  (ink) => lines(ink, [0, 0, 8, 8], [-4, 4, 4, 12], [4, -4, 12, 4]),
  (ink) => lines(ink, [0, 4, 8, 4]),
  (ink) => lines(ink, [4, 0, 4, 8]),
  (ink) => {
    for (const [x, y] of [
      [2, 2],
      [6, 6],
    ]) {
      ink.fillRect(x - 1, y - 1, 2, 2);
    }
  },
  (ink) => lines(ink, [0, 4, 8, 4], [4, 0, 4, 8]),
];

const CROSSED = (/** @type {CanvasRenderingContext2D} */ ink) =>
  lines(ink, [0, 8, 8, 0], [0, 0, 8, 8]);

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
