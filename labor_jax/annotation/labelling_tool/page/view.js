/**
 * How the image lies on the canvas: `canvas = image * scale + (x, y)`, in CSS pixels.
 *
 * @typedef {{scale: number, x: number, y: number}} View
 * @typedef {{width: number, height: number}} Size
 * @typedef {{left: number, top: number, right: number, bottom: number}} Box
 * @typedef {{x: number, y: number}} Point
 */

/** CSS pixels that may stay empty beyond the image's border, for what is drawn around a unit. */
const SLACK = 24;

/** The largest size of an image's pixel, in CSS pixels. */
export const LARGEST_SCALE = 96;

/** The share of the canvas that a unit may fill when the view moves to it. */
const FILLED = 0.4;

/**
 * How many pixels around a unit people need to recognise it, divided by the square root of the
 * image's shorter side: in a larger image objects are larger, but not in proportion.
 */
const CONTEXT = 8;

/**
 * @param {View} view
 * @param {Point} point On the canvas.
 * @returns {Point} In pixels of the image.
 */
export function toImage(view, point) {
  return { x: (point.x - view.x) / view.scale, y: (point.y - view.y) / view.scale };
}

/**
 * @param {View} view
 * @param {Point} point In pixels of the image.
 * @returns {Point} On the canvas.
 */
export function toCanvas(view, point) {
  return { x: point.x * view.scale + view.x, y: point.y * view.scale + view.y };
}

/**
 * The whole image, centred.
 *
 * @param {Size} image
 * @param {Size} canvas
 * @returns {View}
 */
export function fitted(image, canvas) {
  return centred(
    { x: image.width / 2, y: image.height / 2 },
    Math.min(LARGEST_SCALE, canvas.width / image.width, canvas.height / image.height) * 0.98,
    canvas,
  );
}

/**
 * @param {Point} point In pixels of the image: what comes to the middle.
 * @param {number} scale
 * @param {Size} canvas
 * @returns {View}
 */
function centred(point, scale, canvas) {
  return { scale, x: canvas.width / 2 - point.x * scale, y: canvas.height / 2 - point.y * scale };
}

/**
 * Zooms about a point of the canvas. The point stays where it is, unless zooming out would show too
 * much beyond the image's border.
 *
 * @param {View} view
 * @param {Point} point On the canvas.
 * @param {number} factor
 * @param {Size} image
 * @param {Size} canvas
 * @returns {View}
 */
export function zoomed(view, point, factor, image, canvas) {
  const smallest = fitted(image, canvas).scale / 2;
  const scale = Math.min(LARGEST_SCALE, Math.max(smallest, view.scale * factor));
  const fixed = toImage(view, point);
  const target = { scale, x: point.x - fixed.x * scale, y: point.y - fixed.y * scale };
  return factor < 1 ? bordered(target, image, canvas) : kept(target, image, canvas);
}

/**
 * @param {View} view
 * @param {number} right Canvas pixels by which the image moves.
 * @param {number} down
 * @param {Size} image
 * @param {Size} canvas
 * @returns {View}
 */
export function panned(view, right, down, image, canvas) {
  return kept({ scale: view.scale, x: view.x + right, y: view.y + down }, image, canvas);
}

/**
 * A view that can't lose the image: the middle of the canvas is always on it.
 *
 * @param {View} view
 * @param {Size} image
 * @param {Size} canvas
 * @returns {View}
 */
export function kept(view, image, canvas) {
  const middle = toImage(view, { x: canvas.width / 2, y: canvas.height / 2 });
  const point = {
    x: Math.min(image.width, Math.max(0, middle.x)),
    y: Math.min(image.height, Math.max(0, middle.y)),
  };
  return centred(point, view.scale, canvas);
}

/**
 * A unit with its surroundings.
 *
 * @param {Box} box The unit.
 * @param {Size} image
 * @param {Size} canvas
 * @returns {View}
 */
export function around(box, image, canvas) {
  const [width, height] = [box.right - box.left, box.bottom - box.top];
  const context = CONTEXT * Math.sqrt(Math.min(image.width, image.height));
  const whole = fitted(image, canvas).scale;
  const scale = Math.min(
    (canvas.width * FILLED) / width,
    (canvas.height * FILLED) / height,
    canvas.width / (width + context),
    canvas.height / (height + context),
    LARGEST_SCALE,
  );
  const centre = { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 };
  return bordered(centred(centre, Math.max(scale, whole), canvas), image, canvas);
}

/**
 * The same zoom, moved only if a unit is not well inside the canvas.
 *
 * @param {View} view
 * @param {Box} box The unit.
 * @param {Size} image
 * @param {Size} canvas
 * @returns {View}
 */
export function shown(view, box, image, canvas) {
  const corner = toCanvas(view, { x: box.left, y: box.top });
  const opposite = toCanvas(view, { x: box.right, y: box.bottom });
  const margin = 0.15;
  if (
    corner.x >= canvas.width * margin &&
    corner.y >= canvas.height * margin &&
    opposite.x <= canvas.width * (1 - margin) &&
    opposite.y <= canvas.height * (1 - margin)
  ) {
    return view;
  }
  const centre = { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 };
  return bordered(centred(centre, view.scale, canvas), image, canvas);
}

/**
 * Moves the image so that the canvas shows as little as possible beyond its border.
 *
 * @param {View} view
 * @param {Size} image
 * @param {Size} canvas
 * @returns {View}
 */
function bordered(view, image, canvas) {
  const along = (
    /** @type {number} */ offset,
    /** @type {number} */ size,
    /** @type {number} */ room,
  ) => (size <= room ? (room - size) / 2 : Math.min(SLACK, Math.max(room - size - SLACK, offset)));
  return {
    scale: view.scale,
    x: along(view.x, image.width * view.scale, canvas.width),
    y: along(view.y, image.height * view.scale, canvas.height),
  };
}

/**
 * A view between two others, for an animation.
 *
 * @param {View} from
 * @param {View} to
 * @param {number} share 0 to 1.
 * @param {Size} canvas
 * @returns {View}
 */
export function between(from, to, share, canvas) {
  const middle = { x: canvas.width / 2, y: canvas.height / 2 };
  const [start, end] = [toImage(from, middle), toImage(to, middle)];
  const eased = share * (2 - share);
  return centred(
    { x: start.x + (end.x - start.x) * eased, y: start.y + (end.y - start.y) * eased },
    from.scale * (to.scale / from.scale) ** eased,
    canvas,
  );
}

/**
 * Two fingers that moved: pinch and pan at once.
 *
 * @param {View} view
 * @param {[Point, Point]} before
 * @param {[Point, Point]} after
 * @param {Size} image
 * @param {Size} canvas
 * @returns {View}
 */
export function pinched(view, before, after, image, canvas) {
  const middle = (/** @type {[Point, Point]} */ [a, b]) => ({
    x: (a.x + b.x) / 2,
    y: (a.y + b.y) / 2,
  });
  const spread = (/** @type {[Point, Point]} */ [a, b]) => Math.hypot(a.x - b.x, a.y - b.y);
  const [old, now] = [middle(before), middle(after)];
  const factor = spread(before) > 0 ? spread(after) / spread(before) : 1;
  return panned(
    zoomed(view, old, factor, image, canvas),
    now.x - old.x,
    now.y - old.y,
    image,
    canvas,
  );
}
