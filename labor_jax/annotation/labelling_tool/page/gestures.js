/** @typedef {import("./view.js").Point} Point */

/** How long Space may be held and still count as a tap. */
const TAP_MILLISECONDS = 600;

/** How far a press may move and still count as a click, in CSS pixels. */
const SLIP = { mouse: 4, pen: 6, touch: 10 };

/**
 * Turns pointer events on the canvas into gestures: click, paint, move, zoom.
 *
 * @param {HTMLElement} element
 * @param {object} on
 * @param {(point: Point, reach: number) => void} on.click Reach: how far away the target may be.
 * @param {(from: Point, to: Point) => void} on.paint A section of a stroke.
 * @param {() => void} on.painted The stroke's end.
 * @param {() => void} on.cancelled The stroke doesn't count.
 * @param {(point: Point | null) => void} on.hover
 * @param {() => void} on.tap Space was pressed, and nothing moved with it.
 * @param {(right: number, down: number) => void} on.pan
 * @param {(point: Point, factor: number) => void} on.zoom
 * @param {(before: [Point, Point], after: [Point, Point]) => void} on.pinch
 */
export function listen(element, on) {
  /** @type {Map<number, Point>} */
  const fingers = new Map();
  /** @type {{id: number, start: Point, last: Point, kind: "press" | "paint" | "pan"} | null} */
  let stroke = null;
  let isSpaceHeld = false;
  /** When Space was pressed, if it may become a tap. @type {number | null} */
  let tapFrom = null;

  const pointOf = (/** @type {MouseEvent} */ event) => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const cancel = () => {
    if (stroke?.kind === "paint") {
      on.cancelled();
    }
    stroke = null;
  };

  element.addEventListener("pointerdown", (event) => {
    const point = pointOf(event);
    element.focus({ preventScroll: true });
    element.setPointerCapture(event.pointerId);
    if (event.pointerType === "touch") {
      fingers.set(event.pointerId, point);
      if (fingers.size > 1) {
        cancel();
        return;
      }
    }
    const isPan = event.button === 1 || (event.button === 0 && isSpaceHeld);
    if (stroke || (event.button !== 0 && !isPan)) {
      return;
    }
    event.preventDefault();
    tapFrom = null;
    stroke = { id: event.pointerId, start: point, last: point, kind: isPan ? "pan" : "press" };
  });

  element.addEventListener("pointermove", (event) => {
    const point = pointOf(event);
    if (fingers.size > 1 && fingers.has(event.pointerId)) {
      const before = [...fingers.values()].slice(0, 2);
      fingers.set(event.pointerId, point);
      const after = [...fingers.values()].slice(0, 2);
      on.pinch(/** @type {[Point, Point]} */ (before), /** @type {[Point, Point]} */ (after));
      return;
    }
    if (!stroke || stroke.id !== event.pointerId) {
      on.hover(event.pointerType === "touch" ? null : point);
      return;
    }
    if (stroke.kind === "pan") {
      on.pan(point.x - stroke.last.x, point.y - stroke.last.y);
    } else {
      const slip = SLIP[/** @type {keyof typeof SLIP} */ (event.pointerType)] ?? SLIP.mouse;
      if (stroke.kind === "press") {
        if (Math.hypot(point.x - stroke.start.x, point.y - stroke.start.y) <= slip) {
          return;
        }
        stroke.kind = "paint";
      }
      on.hover(point);
      on.paint(stroke.last, point);
    }
    stroke.last = point;
  });

  const end = (/** @type {PointerEvent} */ event) => {
    fingers.delete(event.pointerId);
    if (!stroke || stroke.id !== event.pointerId) {
      return;
    }
    const { kind } = stroke;
    if (event.type === "pointercancel") {
      cancel();
      return;
    }
    stroke = null;
    if (kind === "press") {
      on.click(pointOf(event), event.pointerType === "touch" ? 24 : 10);
    } else if (kind === "paint") {
      on.painted();
    }
  };
  element.addEventListener("pointerup", end);
  element.addEventListener("pointercancel", end);
  element.addEventListener("pointerleave", () => on.hover(null));
  element.addEventListener("contextmenu", (event) => event.preventDefault());

  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      // Some mice count in lines or pages. Trackpads report a pinch as ctrl and wheel, in small steps.
      const step = event.deltaY * [1, 33, 400][event.deltaMode] * (event.ctrlKey ? 6 : 1);
      on.zoom(pointOf(event), Math.exp(-0.0016 * Math.max(-400, Math.min(400, step))));
    },
    { passive: false },
  );

  document.addEventListener("keydown", (event) => {
    if (event.code === "Space" && (event.target === element || event.target === document.body)) {
      tapFrom = event.repeat ? tapFrom : event.timeStamp;
      isSpaceHeld = true;
      element.classList.add("moving");
      event.preventDefault();
    }
  });
  const release = () => {
    isSpaceHeld = false;
    element.classList.remove("moving");
  };
  document.addEventListener("keyup", (event) => {
    if (event.code === "Space") {
      release();
      if (tapFrom !== null && event.timeStamp - tapFrom < TAP_MILLISECONDS) {
        on.tap();
      }
      tapFrom = null;
    }
  });
  window.addEventListener("blur", () => {
    tapFrom = null;
    release();
  });
}
