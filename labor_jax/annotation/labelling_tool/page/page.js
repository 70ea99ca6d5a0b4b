import { Activity } from "./activity.js";
import { Controls } from "./controls.js";
import { UNITS } from "./cursor.js";
import { Drawing } from "./drawing.js";
import { NAMES } from "./edited_item.js";
import { itemsDialog } from "./item_list.js";
import { byId, warn } from "./messages.js";
import { connectInput } from "./page_input.js";
import { Palette, makeEntries } from "./palette.js";
import { Queue } from "./queue.js";
import { toImage } from "./view.js";
import { Viewport } from "./viewport.js";

/** @typedef {import("./palette.js").Entry} Entry */
/** @typedef {import("./cursor.js").Unit} Unit */
/** @typedef {import("./edited_item.js").EditedItem} EditedItem */
/** @typedef {import("./view.js").Point} Point */

/** How far beside a pixel the mouse points at it, in CSS pixels. */
const REACH = 10;

/** The page, once the server has said what is to be labelled. */
export class Page {
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
      onOpen: (edited, picture) => this.open(edited, picture),
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
    connectInput(this, activity);
    byId("patch").hidden = !session.settings.superpixels;
    byId("annotator").textContent = chosen.annotator;
  }

  get edited() {
    return this.queue.edited;
  }

  // Actions of the annotator.

  /** @param {EditedItem} edited @param {HTMLCanvasElement} picture */
  open(edited, picture) {
    const { item } = edited;
    const isPoints = item.kind === "points";
    this.drawing = new Drawing(this.canvas, byId("overview"), this.entries, picture, edited);
    byId("message").hidden = true;
    byId("item-name").textContent = byId("item-name").title = item.name;
    byId("units").hidden = byId("brush-row").hidden = isPoints;
    byId("units").querySelector('[value="segment"] + span').textContent = NAMES[item.kind][0];
    byId("guess-row").hidden = !edited.guess;
    byId("whole-unit").hidden = !edited.isDivided;
    this.viewport.begin(item);
    const isOffered = !isPoints && (this.controls.unit !== "whole" || edited.isDivided);
    this.setUnit(isOffered ? this.controls.unit : "segment");
  }

  /** @param {Entry} entry @param {boolean} isDirect Whether the annotator searched for it. */
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

  /** Labels the current unit and moves to the next. @param {Entry} entry */
  label(entry) {
    if (this.edited) {
      this.palette.choose(entry);
      this.mark(this.edited.targets(this.edited.cursor.current()));
    }
  }

  /** Gives pixels the chosen class and moves on. @param {Uint32Array} positions */
  mark(positions) {
    const { edited } = this;
    if (!edited) {
      return;
    }
    const label = this.palette.active.number;
    const pixels = edited.mark(positions, label);
    if (pixels) {
      this.queue.post("marks", { label, pixels });
    }
    if (edited.isComplete && this.chosen.autoSubmit) {
      this.submit();
      return;
    }
    if (!edited.isComplete) {
      edited.cursor.nextOpen(true);
      this.showCurrent();
    }
    this.changed();
  }

  /** @param {Point} point On the canvas. @param {number} reach */
  click(point, reach) {
    const hit = this.hitAt(point, reach);
    if (this.edited && hit) {
      this.edited.cursor.moveTo(hit.position);
      this.mark(hit.positions);
    }
  }

  /** @param {Point} from On the canvas. @param {Point} to */
  paint(from, to) {
    const { edited, viewport } = this;
    if (edited) {
      this.painting ??= new Set();
      const [a, b] = [toImage(viewport.view, from), toImage(viewport.view, to)];
      for (const position of edited.stroke(a, b, this.chosen.brush)) {
        this.painting.add(position);
      }
      this.redraw();
    }
  }

  /** @param {boolean} isDone False if the stroke was cancelled. */
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
    const { edited } = this;
    if (edited && (action === "undo" ? edited.canUndo : edited.canRedo)) {
      edited.change(action);
      this.queue.post(action);
      this.moved();
    }
  }

  submit() {
    if (this.edited?.isComplete) {
      this.queue.leave("submit");
    } else if (this.edited) {
      this.edited.cursor.nextOpen(true);
      this.moved();
    }
  }

  skip() {
    if (this.edited) {
      this.queue.leave("skip");
    }
  }

  /** Moves to the next or previous open unit; if none is open, to any. @param {1 | -1} direction */
  goToOpen(direction) {
    const { edited } = this;
    if (edited) {
      if (!edited.cursor.nextOpen(false, direction)) {
        edited.cursor.step(direction);
      }
      this.moved();
    }
  }

  /** Moves to a neighbouring unit. @param {number} right -1, 0 or 1. @param {number} down */
  step(right, down) {
    const { edited } = this;
    if (edited) {
      if (edited.cursor.unit === "pixel") {
        edited.cursor.towards(right, down);
      } else {
        edited.cursor.step(right + down > 0 ? 1 : -1);
      }
      this.moved();
    }
  }

  /** @param {Unit} unit */
  setUnit(unit) {
    this.controls.unit = unit;
    if (this.edited) {
      this.edited.cursor.setUnit(unit);
      this.moved();
    }
  }

  /** @param {(unit: Unit) => Unit} choose */
  switchUnit(choose) {
    if (this.edited && this.edited.item.kind !== "points") {
      this.setUnit(choose(this.controls.unit));
    }
  }

  /** Divides the current segment in two, or the current component in its segments. */
  split() {
    const { edited } = this;
    if (edited?.cursor.unit === "whole") {
      this.setUnit("segment");
    } else if (edited?.split()) {
      this.drawing?.setSegments(edited.segments);
      this.moved();
    }
  }

  // Display.

  /** The cursor moved. */
  moved() {
    this.changed();
    this.showCurrent();
  }

  /** Labels, cursor or settings changed. */
  changed() {
    const { edited } = this;
    const isComplete = Boolean(edited?.isComplete);
    byId("undo").disabled = !edited?.canUndo;
    byId("redo").disabled = !edited?.canRedo;
    byId("skip").disabled = !edited;
    byId("submit").disabled = !isComplete;
    byId("submit").classList.toggle("ready", isComplete);
    byId("status").classList.toggle("done", isComplete);
    byId("tolerance-row").hidden = edited?.cursor.unit !== "similar";
    byId("split").hidden = !edited?.warning();
    let status = byId("message").hidden ? "" : byId("status").textContent;
    if (edited && this.drawing) {
      const { open, values } = edited.labels;
      edited.cursor.tolerance = this.chosen.tolerance;
      byId("item-progress").value = values.length ? 1 - open / values.length : 1;
      const here = edited.describe((label) => this.nameOf(label));
      status = isComplete ? `All labelled: Enter submits · ${here}` : here;
      this.drawing.setLabels(values);
    } else {
      this.canvas.dataset.item = "";
    }
    // Screen readers announce it only when it changes.
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
    const { edited, drawing, pointer, painting, viewport, chosen, canvas } = this;
    if (!edited || !drawing) {
      return;
    }
    const { scale, x, y } = viewport.view;
    drawing.draw({
      view: viewport.view,
      opacity: this.isOverlayHidden ? 0 : chosen.opacity,
      current: edited.cursor.current(),
      pointed: painting ?? (pointer && this.hitAt(pointer, REACH)?.positions) ?? [],
      active: this.palette.active,
      showsGuess: this.controls.showsGuess,
      isSmooth: chosen.smooth,
      edge: edited.warning()?.second ?? [],
    });
    // The image's place and the current pixel, for scripts that drive the page.
    canvas.dataset.view = `${scale} ${x} ${y}`;
    canvas.dataset.item = edited.item.id;
    canvas.dataset.pixel = String(edited.area.pixels[edited.cursor.position]);
  }

  /** Moves the view so that the current unit is visible. */
  showCurrent() {
    if (this.edited) {
      const { segment, unit } = this.edited.boxes();
      this.viewport.goTo(segment, unit, this.chosen.autoZoom);
    }
  }

  zoomToCurrent() {
    if (this.edited) {
      this.viewport.zoomTo(this.edited.boxes().unit);
    }
  }

  /** What a click at a point would label. @param {Point} point On the canvas. @param {number} reach */
  hitAt(point, reach) {
    const { view } = this.viewport;
    return this.edited?.at(toImage(view, point), reach / view.scale) ?? null;
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

  /** @returns {Record<string, () => void>} What each command of `keys.js` does. */
  makeCommands() {
    const { controls, viewport } = this;
    const offered = (/** @type {Unit} */ unit) =>
      (unit !== "patch" || this.session.settings.superpixels) &&
      (unit !== "whole" || this.edited?.isDivided);
    const next = (/** @type {Unit} */ unit) => {
      const units = UNITS.filter(offered);
      return units[(units.indexOf(unit) + 1) % units.length];
    };
    return {
      void: () => this.label(this.entries[this.entries.length - 1]),
      undo: () => this.change("undo"),
      redo: () => this.change("redo"),
      submit: () => this.submit(),
      skip: () => this.skip(),
      "next open": () => this.goToOpen(1),
      "previous open": () => this.goToOpen(-1),
      left: () => this.step(-1, 0),
      right: () => this.step(1, 0),
      up: () => this.step(0, -1),
      down: () => this.step(0, 1),
      fill: () => this.switchUnit((unit) => (unit === "similar" ? "segment" : "similar")),
      unit: () => this.switchUnit(next),
      split: () => this.split(),
      hide: () => this.hideOverlay(true),
      guess: () => controls.switchGuess(),
      items: () => this.showItems(),
      "zoom to current": () => this.zoomToCurrent(),
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
}
