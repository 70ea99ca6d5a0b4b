import { askName } from "./controls.js";
import { copyText } from "./copy.js";
import { listen } from "./gestures.js";
import { meaning } from "./keys.js";
import { byId } from "./messages.js";

/** @typedef {import("./page.js").Page} Page */

/**
 * Connects keys, buttons and pointers with what the page does.
 *
 * @param {Page} page
 * @param {import("./activity.js").Activity} activity Counts the annotator's active time.
 */
export function connectInput(page, activity) {
  const { canvas, viewport } = page;
  for (const [id, command] of [
    ["undo", "undo"],
    ["redo", "redo"],
    ["skip", "skip"],
    ["submit", "submit"],
    ["split", "split"],
    ["confirm", "confirm"],
    ["zoom-in", "zoom in"],
    ["zoom-out", "zoom out"],
    ["whole", "whole image"],
    ["current", "zoom to current"],
    ["help", "help"],
    ["items", "items"],
  ]) {
    byId(id).addEventListener("click", () => page.commands[command]());
  }
  byId("warning-close").addEventListener("click", () => (byId("warning").hidden = true));
  byId("class-keys").addEventListener("click", () => page.showClassKeys());
  byId("show-intro").addEventListener("click", () => {
    byId("help-dialog").close();
    page.introduce().then(() => canvas.focus());
  });
  byId("copy").addEventListener("click", async () => {
    const isCopied = await copyText(byId("command"));
    byId("copied").textContent = isCopied ? "Copied" : "Selected: press Ctrl+C to copy it";
  });
  byId("annotator").addEventListener("click", async () => {
    if (await askName(page.chosen)) {
      page.queue.annotatorChanged();
    }
  });
  // After a click, keys go to the image again, so that Enter submits instead of pressing a button.
  document.addEventListener("click", (event) => {
    const control = /** @type {Element} */ (event.target).closest("button, input");
    const isText = control?.matches('[type="search"], [type="range"]');
    if (event.detail > 0 && control && !isText && !document.querySelector("dialog[open]")) {
      canvas.focus({ preventScroll: true });
    }
  });
  listen(canvas, {
    click: (point, reach) => page.click(point, reach),
    paint: (from, to) => page.paint(from, to),
    painted: () => page.endStroke(true),
    cancelled: () => page.endStroke(false),
    hover: (point) => {
      page.pointer = point;
      page.redraw();
    },
    tap: () => document.querySelector("dialog[open]") || page.commands.confirm(),
    pan: (right, down) => viewport.panBy(right, down),
    zoom: (point, factor) => viewport.zoomBy(factor, point),
    pinch: (before, after) => viewport.pinch(before, after),
  });
  canvas.addEventListener("dblclick", () => page.closePolygon());
  for (const kind of /** @type {const} */ (["pointerdown", "pointermove"])) {
    byId("overview").addEventListener(kind, (/** @type {PointerEvent} */ event) => {
      const box = byId("overview").getBoundingClientRect();
      const item = page.edited?.item;
      if (item && event.buttons === 1) {
        viewport.centreOn({
          x: ((event.clientX - box.left) / box.width) * item.width,
          y: ((event.clientY - box.top) / box.height) * item.height,
        });
      }
    });
  }
  // Whoever begins to work doesn't wait until the page zooms in.
  for (const kind of ["keydown", "pointerdown", "wheel"]) {
    const endHold = (/** @type {Event} */ event) => {
      const isOnImage = byId("view").contains(/** @type {Node} */ (event.target));
      if (viewport.endHold() && (kind === "keydown" || !isOnImage)) {
        page.showCurrent();
      }
    };
    document.addEventListener(kind, endHold, { capture: true, passive: true });
  }
  // By its place, because the letter at the release may be another: of caps lock, or with shift.
  let hidingKey = "";
  document.addEventListener("keydown", (event) => {
    const wasHidden = page.isOverlayHidden;
    pressKey(page, event);
    hidingKey = page.isOverlayHidden && !wasHidden ? event.code : hidingKey;
  });
  const showOverlay = () => page.isOverlayHidden && page.hideOverlay(false);
  document.addEventListener("keyup", (event) => event.code === hidingKey && showOverlay());
  // The release may go to another window.
  window.addEventListener("blur", showOverlay);
  for (const kind of ["pointerdown", "pointermove", "keydown", "wheel"]) {
    document.addEventListener(kind, () => activity.input(), { capture: true, passive: true });
  }
  document.addEventListener("visibilitychange", () =>
    activity.setVisible(document.visibilityState === "visible"),
  );
  window.addEventListener(
    "beforeunload",
    (event) => page.queue.unsaved && event.preventDefault(),
  );
  new ResizeObserver(() => {
    viewport.resized();
    page.showCurrent();
  }).observe(canvas);
}

/** @param {Page} page @param {KeyboardEvent} event */
function pressKey(page, event) {
  const target = /** @type {HTMLElement} */ (event.target);
  const isTyping = target.matches('input[type="search"]');
  // These controls use some keys themselves.
  const isPressing = target.matches("button, input, summary") && /^(Enter| )$/.test(event.key);
  const isSliding =
    target.matches('input[type="range"], input[type="radio"]') && /^(Arrow|Home)/.test(event.key);
  if (isTyping || isPressing || isSliding || document.querySelector("dialog[open]")) {
    return;
  }
  const found = meaning(event, page.entries.slice(0, -1).map(({ key }) => key));
  if (!found) {
    return;
  }
  event.preventDefault();
  if ("pick" in found) {
    page.palette.choose(page.entries[found.pick]);
    page.redraw();
  } else if ("label" in found) {
    // A key that is held down labels only once.
    if (!event.repeat) {
      page.label(page.entries[found.label]);
    }
  } else if (!event.repeat || !["void", "submit", "skip", "split"].includes(found.command)) {
    page.commands[found.command]();
  }
}
