/** Ink on colour, so that classes can be told apart without seeing colours. */

/** Pixels of a tile for a CSS pixel. */
export const TILE_DENSITY = 2;

/** CSS pixels. */
const TILE = 8;

/** @type {Array<(ink: CanvasRenderingContext2D) => void>} What a tile of each pattern has on it. */
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
 * @returns {HTMLCanvasElement} A tile of the ink alone.
 */
export function patternTile(color, number) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = TILE_DENSITY * TILE;
  const ink = /** @type {CanvasRenderingContext2D} */ (tile.getContext("2d"));
  ink.scale(TILE_DENSITY, TILE_DENSITY);
  ink.strokeStyle = ink.fillStyle = isDark(color) ? "rgb(255 255 255 / 75%)" : "rgb(0 0 0 / 60%)";
  ink.lineWidth = 1.2;
  (number < 0 ? CROSSED : TILES[number % TILES.length])(ink);
  return tile;
}
