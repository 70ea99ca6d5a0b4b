import { toImage } from "./view.js";

/** From this size of an image's pixel on, in CSS pixels, its squares are shown. */
const SQUARES = 20;

/**
 * Whether the photo is drawn smoothly.
 *
 * @param {number} scale The size of an image's pixel, in CSS pixels.
 * @param {number} density Of the screen.
 * @param {boolean} isChosen Whether the annotator wants smooth photos.
 */
export function isSmooth(scale, density, isChosen) {
  return scale * density < 1 || (isChosen && scale < SQUARES);
}

/**
 * Draws the lines between the image's pixels, where they are large enough to be told apart.
 *
 * @param {CanvasRenderingContext2D} ink In CSS pixels of the canvas.
 * @param {import("./view.js").View} view
 * @param {import("./view.js").Size} image
 * @param {import("./view.js").Size} canvas
 */
export function drawPixelGrid(ink, view, image, canvas) {
  if (view.scale < SQUARES) {
    return;
  }
  const a = toImage(view, { x: 0, y: 0 });
  const b = toImage(view, { x: canvas.width, y: canvas.height });
  const [left, right] = [Math.max(0, Math.floor(a.x)), Math.min(image.width, Math.ceil(b.x))];
  const [top, bottom] = [Math.max(0, Math.floor(a.y)), Math.min(image.height, Math.ceil(b.y))];
  ink.beginPath();
  for (let column = left; column <= right; column++) {
    const x = Math.round(column * view.scale + view.x) + 0.5;
    ink.moveTo(x, top * view.scale + view.y);
    ink.lineTo(x, bottom * view.scale + view.y);
  }
  for (let row = top; row <= bottom; row++) {
    const y = Math.round(row * view.scale + view.y) + 0.5;
    ink.moveTo(left * view.scale + view.x, y);
    ink.lineTo(right * view.scale + view.x, y);
  }
  ink.strokeStyle = "rgb(128 128 128 / 40%)";
  ink.lineWidth = 1;
  ink.stroke();
}
