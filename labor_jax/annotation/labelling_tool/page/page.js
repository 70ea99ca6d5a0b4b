import { Activity } from "./activity.js";
import { keysFor } from "./class_keys.js";
import { classKeysDialog } from "./class_keys_dialog.js";
import { Controls } from "./controls.js";
import { Drawing } from "./drawing.js";
import { NAMES } from "./edited_item.js";
import * as hints from "./hints.js";
import { introduction } from "./introduction.js";
import { itemsDialog } from "./item_list.js";
import { byId, warn } from "./messages.js";
import { makeCommands } from "./page_commands.js";
import { connectInput } from "./page_input.js";
import { Palette, chip, makeEntries } from "./palette.js";
import { Photo } from "./photo.js";
import { Polygon } from "./polygon.js";
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
    const isVisible = document.visibilityState === "visible";
    const activity = new Activity(() => performance.now(), isVisible);
    this.session = session;
    this.chosen = chosen;
    this.canvas = /** @type {HTMLCanvasElement} */ (byId("canvas"));
    const names = session.classes.map((/** @type {Entry} */ { name }) => name);
    this.entries = makeEntries(session.classes, session.void, keysFor(names, chosen.classKeys));
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
    /** @type {Photo | null} */
    this.photo = null;
    /** Whether the annotator went to the current unit, so that a key may change its label. */
    this.isRevisited = false;
    this.hasToldOfDark = false;
    /** Where the mouse is. @type {Point | null} */
    this.pointer = null;
    /** The positions of an unfinished stroke. @type {Set<number> | null} */
    this.painting = null;
    /** The polygon that is being drawn, in pixels of the image. */
    this.polygon = new Polygon();
    /** The classes of the current part that are listed. @type {string | null} */
    this.shownHeld = null;
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
    this.showClassKeys = classKeysDialog(chosen, this.entries, () => {
      this.palette.showKeys();
      this.changed();
    });
    this.introduce = introduction(session.kind);
    this.commands = makeCommands(this);
    connectInput(this, activity);
    byId("patch").hidden = !session.settings.superpixels;
    byId("annotator").textContent = chosen.annotator;
  }

  /** What a key labels at first where a whole image is asked. @returns {Unit} */
  get wide() {
    return this.session.settings.superpixels ? "patch" : "similar";
  }

  get edited() {
    return this.queue.edited;
  }

  // Actions of the annotator.

  /** @param {EditedItem} edited @param {HTMLCanvasElement} picture */
  open(edited, picture) {
    const { item } = edited;
    this.drawing = new Drawing(this.canvas, byId("overview"), this.entries, edited);
    this.photo = new Photo(picture);
    this.isRevisited = false;
    this.polygon.clear();
    hints.hideHint();
    byId("message").hidden = true;
    byId("item-name").textContent = byId("item-name").title = item.name;
    byId("units").hidden = !edited.isDivisible;
    byId("brush-row").hidden = !edited.isDivisible && item.kind !== "superpixels";
    byId("units").querySelector('[value="segment"] + span').textContent = NAMES[item.kind][0];
    byId("guess-row").hidden = !edited.guess || edited.isCorrection;
    byId("confirm").hidden = !edited.isCorrection && !edited.sets;
    byId("confirm-text").textContent = edited.sets ? "Next part" : "Right:";
    byId("held").hidden = !edited.sets;
    byId("whole-unit").hidden = !edited.isDivided;
    this.viewport.begin(item);
    if (this.chosen.wholeFirst && this.chosen.autoZoom) {
      this.viewport.holdWhole((milliseconds) => this.showCurrent(milliseconds));
    }
    const isOffered = edited.isDivisible && (this.controls.unit !== "whole" || edited.isDivided);
    byId("units").classList.toggle("patches-first", edited.isWholeImage);
    const usual = edited.isWholeImage ? this.wide : "segment";
    this.setUnit(isOffered && this.controls.unit !== "segment" ? this.controls.unit : usual);
    if (this.photo.isDark && !this.chosen.brighten && !this.hasToldOfDark) {
      this.hasToldOfDark = true;
      hints.showHint(hints.DARK_PHOTO);
    }
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
    this.palette.choose(entry);
    this.answer(entry.number);
  }

  /** The model's guess of the current unit is right, or all of its classes are named. */
  confirm() {
    if (this.edited?.sets) {
      this.next();
      return;
    }
    const guess = this.edited?.guessed() ?? null;
    if (guess !== null) {
      this.answer(guess);
    }
  }

  /** Gives the current unit a label and moves on. @param {number} label */
  answer(label) {
    const { edited } = this;
    if (!edited) {
      return;
    }
    if (edited.sets) {
      this.toggle(edited.cursor.current(), label);
      return;
    }
    if (edited.cursor.unit === "polygon") {
      this.closePolygon(label);
      return;
    }
    if (edited.isComplete && !this.isRevisited) {
      hints.showHint(hints.allAnswered(edited.item.kind));
      this.redraw();
      return;
    }
    this.mark(edited.targets(edited.cursor.current()), label);
  }

  /**
   * Gives pixels a label and moves on.
   *
   * @param {Uint32Array} positions
   * @param {number} [label] The chosen class.
   */
  mark(positions, label = this.palette.active.number) {
    const { edited } = this;
    if (!edited) {
      return;
    }
    if (edited.sets) {
      this.toggle(positions, label);
      return;
    }
    this.isRevisited = false;
    hints.hideHint();
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

  /** Adds a class to parts that hold several, or takes it away. @param {Uint32Array} positions
   * @param {number} label */
  toggle(positions, label) {
    hints.hideHint();
    const pixels = this.edited?.toggle(positions, label);
    this.queue.post("toggles", { label, pixels });
    this.changed();
  }

  /** Goes on to the next part, once the classes of the current one are named. */
  next() {
    const { edited } = this;
    if (edited?.labels.openOf(edited.cursor.current()).length) {
      hints.showHint(hints.NO_CLASS);
    } else if (edited && !edited.cursor.nextOpen()) {
      hints.showHint(hints.allAnswered(edited.item.kind));
    } else {
      this.moved();
    }
  }

  /** Gives the inside of the drawn polygon a label. @param {number} [label] The chosen class. */
  closePolygon(label) {
    const { edited, polygon } = this;
    if (edited && polygon.isDrawn) {
      const inside = polygon.positions(edited.area);
      polygon.clear();
      if (inside.length) {
        this.mark(inside, label);
      } else {
        hints.showHint(hints.notAsked(edited.item.kind, false));
      }
    }
    this.redraw();
  }

  /** Takes back the last corner of the drawn polygon. */
  takeBackCorner() {
    this.polygon.takeBack();
    this.redraw();
  }

  clearPolygon() {
    this.polygon.clear();
    this.redraw();
  }

  /** Draws polygons, or labels as before. */
  switchPolygon() {
    const before = this.edited?.isWholeImage ? this.wide : "segment";
    this.switchUnit((unit) => (unit === "polygon" ? before : "polygon"));
  }

  /** @param {Point} point On the canvas. @param {number} reach */
  click(point, reach) {
    const hit = this.hitAt(point, reach);
    if (this.edited?.cursor.unit === "polygon") {
      const { view } = this.viewport;
      if (this.polygon.add(toImage(view, point), reach / view.scale)) {
        this.closePolygon();
      }
      this.redraw();
    } else if (this.edited && hit) {
      this.edited.cursor.moveTo(hit.position);
      this.mark(hit.positions);
    } else if (this.edited) {
      hints.showHint(hints.notAsked(this.edited.item.kind, false));
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
    } else if (isDone && this.edited) {
      hints.showHint(hints.notAsked(this.edited.item.kind, true));
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
    if (this.polygon.isDrawn) {
      this.closePolygon();
    } else if (this.edited?.isComplete) {
      this.queue.leave("submit");
    } else if (this.edited?.sets) {
      this.next();
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
      this.isRevisited = true;
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
      this.isRevisited = true;
      this.moved();
    }
  }

  /** @param {Unit} unit */
  setUnit(unit) {
    this.controls.unit = unit;
    this.polygon.clear();
    if (this.edited) {
      this.edited.cursor.setUnit(unit);
      this.moved();
    }
  }

  /** @param {(unit: Unit) => Unit} choose */
  switchUnit(choose) {
    if (this.edited?.isDivisible) {
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
    hints.hideHint();
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
    const guess = edited?.guessed() ?? null;
    byId("confirm").disabled = guess === null && !edited?.sets;
    byId("guessed").textContent = guess === null ? "" : this.nameOf(guess);
    this.showHeld();
    let status = byId("message").hidden ? "" : byId("status").textContent;
    if (edited && this.drawing) {
      const { open, values } = edited.labels;
      edited.cursor.tolerance = this.chosen.tolerance;
      byId("item-progress").value = values.length ? 1 - open / values.length : 1;
      const here = edited.describe((label) => this.nameOf(label));
      status = isComplete ? `All labelled: Enter submits · ${here}` : here;
      this.drawing.setLabels(values, edited.sets?.sets);
    } else {
      this.canvas.dataset.item = "";
    }
    // Screen readers announce it only when it changes.
    if (byId("status").textContent !== status) {
      byId("status").textContent = status;
    }
    this.redraw();
  }

  /** Lists the classes of the current part, if they may be several; a click takes one away. */
  showHeld() {
    const held = this.edited?.held() ?? [];
    if (this.shownHeld === held.join()) {
      return; // the buttons stay, so that a click on one isn't lost
    }
    this.shownHeld = held.join();
    const chips = this.entries
      .filter(({ number }) => held.includes(number))
      .map((entry) => chip(entry, () => this.label(entry)));
    byId("held").replaceChildren(...(chips.length ? chips : ["No class yet"]));
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
    const { edited, drawing, photo, pointer, painting, viewport, chosen, canvas } = this;
    if (!edited || !drawing || !photo) {
      return;
    }
    const { scale, x, y } = viewport.view;
    const isPointing = pointer !== null && edited.cursor.unit !== "polygon";
    drawing.draw({
      view: viewport.view,
      photo: photo.toned(chosen),
      opacity: this.isOverlayHidden ? 0 : chosen.opacity,
      current: edited.cursor.current(),
      pointed: painting ?? (isPointing ? this.hitAt(pointer, REACH)?.positions : null) ?? [],
      corners: this.polygon.corners,
      pointer: pointer && toImage(viewport.view, pointer),
      active: this.palette.active,
      showsGuess: edited.isCorrection || this.controls.showsGuess,
      isSmooth: chosen.smoothPhoto,
      edge: edited.warning()?.second ?? [],
    });
    // The image's place and the current pixel, for scripts that drive the page.
    canvas.dataset.view = `${scale} ${x} ${y}`;
    canvas.dataset.item = edited.item.id;
    canvas.dataset.pixel = String(edited.area.pixels[edited.cursor.position]);
  }

  /** Moves the view so that the current unit is visible. @param {number} [milliseconds] */
  showCurrent(milliseconds) {
    // Who draws a polygon chooses the view.
    if (this.edited && this.edited.cursor.unit !== "polygon") {
      const { segment, unit } = this.edited.boxes();
      this.viewport.goTo(segment, unit, this.chosen.autoZoom, milliseconds);
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
}
