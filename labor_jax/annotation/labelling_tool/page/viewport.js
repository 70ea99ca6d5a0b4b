import * as views from "./view.js";

/** @typedef {import("./view.js").Point} Point */
/** @typedef {import("./view.js").Box} Box */

const GLIDE_MILLISECONDS = 140;

/** How long the whole image is shown before the page zooms in. */
const WHOLE_MILLISECONDS = 800;

/** How long that zoom takes: slow enough to follow it with the eyes. */
const ZOOM_IN_MILLISECONDS = 350;

/** Zooms that differ by a smaller factor count as equal, to keep the view calm. */
const SAME_ZOOM = 1.4;

/** Which section of an image the canvas shows, and how that changes. */
export class Viewport {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} onMove
   */
  constructor(canvas, onMove) {
    this._canvas = canvas;
    this._onMove = onMove;
    this._image = { width: 1, height: 1 };
    this._glides = 0;
    /** The timer while the whole image is shown first, else 0. */
    this._holding = 0;
    /** Whether the annotator has zoomed; then the page keeps that zoom. */
    this.isOwn = false;
    /** @type {views.View} */
    this.view = { scale: 1, x: 0, y: 0 };
  }

  /** The canvas in CSS pixels. */
  get size() {
    return { width: this._canvas.clientWidth, height: this._canvas.clientHeight };
  }

  /** Shows another image. @param {views.Size} image */
  begin(image) {
    this.endHold();
    this._image = image;
    this.isOwn = false;
    this._set(views.fitted(image, this.size));
  }

  /**
   * Keeps the whole image for a moment; `goTo` does nothing until then.
   *
   * @param {(milliseconds: number) => void} onEnd Called afterwards, unless `endHold` was; with the
   *   time for the way to what comes next.
   */
  holdWhole(onEnd) {
    this.endHold();
    this._holding = window.setTimeout(() => {
      this._holding = 0;
      onEnd(ZOOM_IN_MILLISECONDS);
    }, WHOLE_MILLISECONDS);
  }

  /** @returns {boolean} Whether the whole image was being shown first. */
  endHold() {
    const wasHolding = this._holding > 0;
    window.clearTimeout(this._holding);
    this._holding = 0;
    return wasHolding;
  }

  /** The canvas changed its size. */
  resized() {
    const view = this._holding
      ? views.fitted(this._image, this.size)
      : views.kept(this.view, this._image, this.size);
    this._set(view);
  }

  showWhole() {
    this.isOwn = true;
    this._glide(views.fitted(this._image, this.size));
  }

  /** @param {number} factor @param {Point} [point] On the canvas; the middle by default. */
  zoomBy(factor, point) {
    const middle = { x: this.size.width / 2, y: this.size.height / 2 };
    this.isOwn = true;
    this._set(views.zoomed(this.view, point ?? middle, factor, this._image, this.size));
  }

  /** @param {number} right @param {number} down */
  panBy(right, down) {
    this._set(views.panned(this.view, right, down, this._image, this.size));
  }

  /** @param {[Point, Point]} before @param {[Point, Point]} after */
  pinch(before, after) {
    this.isOwn = true;
    this._set(views.pinched(this.view, before, after, this._image, this.size));
  }

  /** @param {Point} point In pixels of the image; it moves to the middle. */
  centreOn(point) {
    const { x, y } = views.toCanvas(this.view, point);
    this.panBy(this.size.width / 2 - x, this.size.height / 2 - y);
  }

  /**
   * Moves to a unit, with a zoom that shows its surroundings, and lets the page zoom again.
   *
   * @param {Box} box
   */
  zoomTo(box) {
    this.isOwn = false;
    this._glide(views.around(box, this._image, this.size));
  }

  /**
   * Moves to a segment, if it isn't well visible already.
   *
   * @param {Box} box
   * @param {Box} inner The unit in it, which must be visible if the zoom stays.
   * @param {boolean} zooms Whether the zoom may change.
   * @param {number} [milliseconds] How long the way takes.
   */
  goTo(box, inner, zooms, milliseconds) {
    if (this._holding) {
      return;
    }
    const target = views.around(box, this._image, this.size);
    const isSameZoom = Math.abs(Math.log(target.scale / this.view.scale)) < Math.log(SAME_ZOOM);
    if (zooms && !this.isOwn && !isSameZoom) {
      this._glide(target, milliseconds);
    } else {
      const moved = views.shown(this.view, isSameZoom ? box : inner, this._image, this.size);
      this._glide(moved, milliseconds);
    }
  }

  /** @param {views.View} target */
  _set(target) {
    this._glides++;
    this.view = target;
    this._onMove();
  }

  /** @param {views.View} target @param {number} [milliseconds] */
  _glide(target, milliseconds = GLIDE_MILLISECONDS) {
    const from = this.view;
    const start = performance.now();
    const number = ++this._glides;
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const step = () => {
      if (number !== this._glides) {
        return;
      }
      const share = isStill ? 1 : Math.min(1, (performance.now() - start) / milliseconds);
      this.view = share < 1 ? views.between(from, target, share, this.size) : target;
      this._onMove();
      if (share < 1) {
        requestAnimationFrame(step);
      }
    };
    step();
  }
}
