import { Activity } from "./activity.js";
import { request, untilReached } from "./api.js";
import { Controls, askName } from "./controls.js";
import { UNITS } from "./cursor.js";
import { Drawing } from "./drawing.js";
import { listen } from "./gestures.js";
import { itemsDialog } from "./items.js";
import { meaning } from "./keys.js";
import { byId, showMessage, showOffline, showSession, warn } from "./messages.js";
import { Palette, makeEntries } from "./palette.js";
import { preferences } from "./preferences.js";
import { Queue } from "./queue.js";
import { NAMES } from "./task.js";
import { toImage } from "./view.js";
import { Viewport } from "./viewport.js";

/** @typedef {import("./palette.js").Entry} Entry */
/** @typedef {import("./cursor.js").Unit} Unit */
/** @typedef {import("./task.js").Task} Task */
/** @typedef {import("./view.js").Point} Point */

/** How far beside a pixel the mouse points at it, in CSS pixels. */
const REACH = 10;

/** The page, once the server has told what is labelled. */
class Page {
  /** @param {any} session @param {typeof import("./preferences.js").DEFAULTS} chosen */
  constructor(session, chosen) {
    const activity = new Activity(() => performance.now());
    this.session = session;
    this.chosen = chosen;
    this.canvas = /** @type {HTMLCanvasElement} */ (byId("canvas"));
    this.entries = makeEntries(session.classes, session.void);
    this.palette = new Palette(byId("palette"), byId("search"), this.entries, (entry, isDirect) =>
      this.choose(entry, isDirect),
    );
    this.viewport = new Viewport(this.canvas, () => this.redraw());
    this.queue = new Queue({
      session,
      activity,
      annotator: () => chosen.annotator,
      onOpen: (task, picture) => this.open(task, picture),
      onChange: () => this.changed(),
    });
    /** @type {Drawing | null} */
    this.drawing = null;
    /** Where the mouse is. @type {Point | null} */
    this.pointer = null;
    /** The positions of an unfinished stroke. @type {Set<number> | null} */
    this.painting = null;
    this.isOverlayHidden = false;
    this.isDrawn = false;
    this.controls = new Controls(
      chosen,
      () => this.changed(),
      (unit) => this.setUnit(unit),
    );
    this.showItems = itemsDialog(
      (id) => this.queue.reopen(id),
      (error) => warn(error.message),
    );
    this.commands = this.makeCommands();
    this.listen(activity);
    byId("patch").hidden = !session.settings.superpixels;
    byId("annotator").textContent = chosen.annotator;
  }

  get task() {
    return this.queue.task;
  }

  // What the annotator does.

  /** @param {Task} task @param {HTMLCanvasElement} picture */
  open(task, picture) {
    const { item } = task;
    const isPoints = item.kind === "points";
    this.drawing = new Drawing(this.canvas, byId("overview"), this.entries, picture, task);
    byId("message").hidden = true;
    byId("item-name").textContent = byId("item-name").title = item.name;
    byId("units").hidden = byId("brush-row").hidden = isPoints;
    byId("units").querySelector("span").textContent = NAMES[item.kind][0];
    byId("guess-row").hidden = !task.guess;
    this.viewport.begin(item);
    this.setUnit(isPoints ? "segment" : this.controls.unit);
  }

  /** @param {Entry} entry @param {boolean} isDirect Whether it was searched for. */
  choose(entry, isDirect) {
    if (isDirect || this.chosen.direct) {
      this.label(entry);
    } else {
      this.palette.choose(entry);
      this.redraw();
    }
    if (isDirect) {
      this.canvas.focus();
    }
  }

  /** Labels the current unit and goes on. @param {Entry} entry */
  label(entry) {
    if (this.task) {
      this.palette.choose(entry);
      this.mark(this.task.targets(this.task.cursor.current()));
    }
  }

  /** Gives pixels the chosen class and goes on. @param {Uint32Array} positions */
  mark(positions) {
    const { task } = this;
    if (!task) {
      return;
    }
    const label = this.palette.active.number;
    const pixels = task.mark(positions, label);
    if (pixels) {
      this.queue.post("marks", { label, pixels });
    }
    if (task.isComplete && this.chosen.autoSubmit) {
      this.submit();
      return;
    }
    if (!task.isComplete) {
      task.cursor.nextOpen(true);
      this.goThere();
    }
    this.changed();
  }

  /** @param {Point} point On the canvas. @param {number} reach */
  click(point, reach) {
    const hit = this.under(point, reach);
    if (this.task && hit) {
      this.task.cursor.moveTo(hit.position);
      this.mark(hit.positions);
    }
  }

  /** @param {Point} from On the canvas. @param {Point} to */
  paint(from, to) {
    const { task, viewport } = this;
    if (task) {
      this.painting ??= new Set();
      const [a, b] = [toImage(viewport.view, from), toImage(viewport.view, to)];
      for (const position of task.stroke(a, b, this.chosen.brush)) {
        this.painting.add(position);
      }
      this.redraw();
    }
  }

  /** @param {boolean} isDone Or it was no stroke after all. */
  endStroke(isDone) {
    const stroke = this.painting;
    this.painting = null;
    if (isDone && stroke?.size) {
      this.mark(Uint32Array.from(stroke));
    }
    this.redraw();
  }

  /** @param {"undo" | "redo"} action */
  change(action) {
    const { task } = this;
    if (task && (action === "undo" ? task.canUndo : task.canRedo)) {
      task.change(action);
      this.queue.post(action);
      this.moved();
    }
  }

  submit() {
    if (this.task?.isComplete) {
      this.queue.leave("submit");
    } else if (this.task) {
      this.task.cursor.nextOpen(true);
      this.moved();
    }
  }

  skip() {
    if (this.task) {
      this.queue.leave("skip");
    }
  }

  /** To the next or previous open one; where none is open, to any. @param {1 | -1} direction */
  goOn(direction) {
    const { task } = this;
    if (task) {
      if (!task.cursor.nextOpen(false, direction)) {
        task.cursor.step(direction);
      }
      this.moved();
    }
  }

  /** To the neighbour, by pixels that which lies there. @param {number} right @param {number} down */
  step(right, down) {
    const { task } = this;
    if (task) {
      if (task.cursor.unit === "pixel") {
        task.cursor.towards(right, down);
      } else {
        task.cursor.step(right + down > 0 ? 1 : -1);
      }
      this.moved();
    }
  }

  /** @param {Unit} unit */
  setUnit(unit) {
    this.controls.unit = unit;
    if (this.task) {
      this.task.cursor.setUnit(unit);
      this.moved();
    }
  }

  /** @param {(unit: Unit) => Unit} choose */
  switchUnit(choose) {
    if (this.task && this.task.item.kind !== "points") {
      this.setUnit(choose(this.controls.unit));
    }
  }

  // What is shown.

  /** The cursor moved. */
  moved() {
    this.changed();
    this.goThere();
  }

  /** Labels, cursor or settings changed. */
  changed() {
    const { task } = this;
    const isComplete = Boolean(task?.isComplete);
    byId("undo").disabled = !task?.canUndo;
    byId("redo").disabled = !task?.canRedo;
    byId("skip").disabled = !task;
    byId("submit").disabled = !isComplete;
    byId("submit").classList.toggle("ready", isComplete);
    byId("status").classList.toggle("done", isComplete);
    byId("tolerance-row").hidden = task?.cursor.unit !== "similar";
    let status = byId("message").hidden ? "" : byId("status").textContent;
    if (task && this.drawing) {
      const { open, values } = task.labels;
      task.cursor.tolerance = this.chosen.tolerance;
      byId("item-progress").value = values.length ? 1 - open / values.length : 1;
      const here = task.describe((label) => this.nameOf(label));
      status = isComplete ? `All labelled: Enter submits · ${here}` : here;
      this.drawing.setLabels(values);
    } else {
      this.canvas.dataset.item = "";
    }
    // Screen readers tell it only when it changes.
    if (byId("status").textContent !== status) {
      byId("status").textContent = status;
    }
    this.redraw();
  }

  redraw() {
    if (!this.isDrawn) {
      this.isDrawn = true;
      requestAnimationFrame(() => {
        this.isDrawn = false;
        this.draw();
      });
    }
  }

  draw() {
    const { task, drawing, pointer, painting, viewport, chosen, canvas } = this;
    if (!task || !drawing) {
      return;
    }
    const { scale, x, y } = viewport.view;
    drawing.draw({
      view: viewport.view,
      opacity: this.isOverlayHidden ? 0 : chosen.opacity,
      current: task.cursor.current(),
      pointed: painting ?? (pointer && this.under(pointer, REACH)?.positions) ?? [],
      active: this.palette.active,
      showsGuess: this.controls.showsGuess,
      isSmooth: chosen.smooth,
    });
    // Where the image lies and which pixel is current, for scripts that drive the page.
    canvas.dataset.view = `${scale} ${x} ${y}`;
    canvas.dataset.item = task.item.id;
    canvas.dataset.pixel = String(task.area.pixels[task.cursor.position]);
  }

  /** Shows the current unit. */
  goThere() {
    if (this.task) {
      const { segment, unit } = this.task.boxes();
      this.viewport.goTo(segment, unit, this.chosen.autoZoom);
    }
  }

  zoomThere() {
    if (this.task) {
      this.viewport.zoomTo(this.task.boxes().unit);
    }
  }

  /** What a click there would label. @param {Point} point On the canvas. @param {number} reach */
  under(point, reach) {
    const { view } = this.viewport;
    return this.task?.at(toImage(view, point), reach / view.scale) ?? null;
  }

  /** @param {boolean} isHidden */
  hideOverlay(isHidden) {
    this.isOverlayHidden = isHidden;
    this.redraw();
  }

  /** @param {number} label */
  nameOf(label) {
    return this.entries.find((entry) => entry.number === label)?.name ?? String(label);
  }

  // Keys, buttons and the rest.

  /** @returns {Record<string, () => void>} What each command of `keys.js` does. */
  makeCommands() {
    const { controls, viewport } = this;
    const units = UNITS.filter((unit) => unit !== "patch" || this.session.settings.superpixels);
    return {
      void: () => this.label(this.entries[this.entries.length - 1]),
      undo: () => this.change("undo"),
      redo: () => this.change("redo"),
      submit: () => this.submit(),
      skip: () => this.skip(),
      "next open": () => this.goOn(1),
      "previous open": () => this.goOn(-1),
      left: () => this.step(-1, 0),
      right: () => this.step(1, 0),
      up: () => this.step(0, -1),
      down: () => this.step(0, 1),
      fill: () => this.switchUnit((unit) => (unit === "similar" ? "segment" : "similar")),
      unit: () => this.switchUnit((unit) => units[(units.indexOf(unit) + 1) % units.length]),
      hide: () => this.hideOverlay(true),
      guess: () => controls.switchGuess(),
      items: () => this.showItems(),
      "zoom to current": () => this.zoomThere(),
      "zoom in": () => viewport.zoomBy(1.3),
      "zoom out": () => viewport.zoomBy(1 / 1.3),
      "whole image": () => viewport.showWhole(),
      "smaller brush": () => controls.growBrush(-1),
      "larger brush": () => controls.growBrush(1),
      "less overlay": () => controls.addOpacity(-0.1),
      "more overlay": () => controls.addOpacity(0.1),
      help: () => byId("help-dialog").showModal(),
      search: () => this.palette.search(),
    };
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const isTyping = target.matches('input[type="search"]');
    // These have their own use of some keys.
    const isPressing = target.matches("button, input, summary") && /^(Enter| )$/.test(event.key);
    const isSliding =
      target.matches('input[type="range"], input[type="radio"]') && /^(Arrow|Home)/.test(event.key);
    if (isTyping || isPressing || isSliding || document.querySelector("dialog[open]")) {
      return;
    }
    const found = meaning(event, this.entries.length - 1);
    if (!found) {
      return;
    }
    event.preventDefault();
    if ("pick" in found) {
      this.palette.choose(this.entries[found.pick]);
      this.redraw();
    } else if ("label" in found) {
      // A key that is held labels once.
      if (!event.repeat) {
        this.label(this.entries[found.label]);
      }
    } else if (!event.repeat || !["void", "submit", "skip"].includes(found.command)) {
      this.commands[found.command]();
    }
  }

  /** @param {Activity} activity */
  listen(activity) {
    const { canvas, viewport } = this;
    for (const [id, command] of [
      ["undo", "undo"],
      ["redo", "redo"],
      ["skip", "skip"],
      ["submit", "submit"],
      ["zoom-in", "zoom in"],
      ["zoom-out", "zoom out"],
      ["whole", "whole image"],
      ["current", "zoom to current"],
      ["help", "help"],
      ["items", "items"],
    ]) {
      byId(id).addEventListener("click", () => this.commands[command]());
    }
    byId("warning-close").addEventListener("click", () => (byId("warning").hidden = true));
    byId("annotator").addEventListener("click", async () => {
      if (await askName(this.chosen)) {
        this.queue.annotatorChanged();
      }
    });
    // After a click the keys are for the image again: Enter submits, and presses no button twice.
    document.addEventListener("click", (event) => {
      const control = /** @type {Element} */ (event.target).closest("button, input");
      const isText = control?.matches('[type="search"], [type="range"]');
      if (event.detail > 0 && control && !isText && !document.querySelector("dialog[open]")) {
        canvas.focus({ preventScroll: true });
      }
    });
    listen(canvas, {
      click: (point, reach) => this.click(point, reach),
      paint: (from, to) => this.paint(from, to),
      painted: () => this.endStroke(true),
      cancelled: () => this.endStroke(false),
      hover: (point) => {
        this.pointer = point;
        this.redraw();
      },
      pan: (right, down) => viewport.panBy(right, down),
      zoom: (point, factor) => viewport.zoomBy(factor, point),
      pinch: (before, after) => viewport.pinch(before, after),
    });
    for (const kind of /** @type {const} */ (["pointerdown", "pointermove"])) {
      byId("overview").addEventListener(kind, (/** @type {PointerEvent} */ event) => {
        const box = byId("overview").getBoundingClientRect();
        const item = this.task?.item;
        if (item && event.buttons === 1) {
          viewport.centreOn({
            x: ((event.clientX - box.left) / box.width) * item.width,
            y: ((event.clientY - box.top) / box.height) * item.height,
          });
        }
      });
    }
    document.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("keyup", (event) => event.key === "h" && this.hideOverlay(false));
    for (const kind of ["pointerdown", "pointermove", "keydown", "wheel"]) {
      document.addEventListener(kind, () => activity.input(), { capture: true, passive: true });
    }
    document.addEventListener("visibilitychange", () =>
      activity.setVisible(document.visibilityState === "visible"),
    );
    window.addEventListener(
      "beforeunload",
      (event) => this.queue.unsaved && event.preventDefault(),
    );
    new ResizeObserver(() => {
      viewport.resized();
      this.goThere();
    }).observe(canvas);
  }
}

async function start() {
  const chosen = preferences(localStorage);
  document.documentElement.dataset.theme = chosen.theme;
  const address = new URL(location.href);
  if (address.searchParams.has("token")) {
    // A cookie has it now, and the history needn't.
    history.replaceState(null, "", address.pathname);
  }
  let session;
  try {
    session = await untilReached(
      () => request("GET", "/api/session"),
      (error) => showOffline(error, 0),
      (milliseconds) => new Promise((done) => setTimeout(done, milliseconds)),
    );
  } catch (error) {
    showMessage("The labelling tool can't be opened", /** @type {Error} */ (error).message);
    return;
  }
  showSession(session);
  const page = new Page(session, chosen);
  if (!chosen.annotator) {
    await askName(chosen);
  }
  page.canvas.focus();
  await page.queue.start();
}

start();
