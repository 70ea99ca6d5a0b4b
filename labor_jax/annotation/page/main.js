import { Activity } from "./activity.js";
import { ApiError, request, untilReached } from "./api.js";
import { UNITS } from "./cursor.js";
import { Drawing } from "./drawing.js";
import { listen } from "./gestures.js";
import { itemsDialog } from "./items.js";
import { meaning } from "./keys.js";
import { Outbox } from "./outbox.js";
import { Palette, makeEntries } from "./palette.js";
import { preferences } from "./preferences.js";
import { bounds } from "./regions.js";
import { NAMES, Task } from "./task.js";
import * as views from "./view.js";

/** @typedef {import("./palette.js").Entry} Entry */
/** @typedef {import("./outbox.js").Letter} Letter */
/** @typedef {import("./cursor.js").Unit} Unit */
/** @typedef {import("./task.js").Item} Item */

/** While nobody has touched the page for so long, the item is not kept from others. */
const AWAY_SECONDS = 600;

const GLIDE_MILLISECONDS = 140;

/** When nothing is open, how often the page asks whether something has come back. */
const RETRY_SECONDS = 10;

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);
const wait = (/** @type {number} */ milliseconds) =>
  new Promise((/** @type {(value?: any) => void} */ done) => {
    setTimeout(done, milliseconds);
    window.addEventListener("online", () => done(), { once: true });
  });
/** `crypto.randomUUID` is there on loopback only. */
const unique = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");

const chosen = preferences(localStorage);
const activity = new Activity(() => performance.now());
const canvas = /** @type {HTMLCanvasElement} */ (byId("canvas"));

/** @type {any} */
let session;
/** @type {Entry[]} */
let entries = [];
/** @type {Palette} */
let palette;
/** @type {Drawing} */
let drawing;
/** @type {Task | null} */
let task = null;
/** @type {views.View} */
let view = { scale: 1, x: 0, y: 0 };
/** Whether the annotator has zoomed, so that the page keeps that zoom. */
let isZoomOwn = false;
/** Where the mouse is, and the stroke that it is painting. */
/** @type {views.Point | null} */
let pointer = null;
/** @type {Set<number> | null} */
let painting = null;
let isOverlayHidden = false;
let showsGuess = false;
let isDrawn = false;
/** Writes that an item's lost lease held up. @type {Letter[]} */
let held = [];
/** Counts openings, so that an answer that comes late changes nothing; 0 while the page starts. */
let opening = 0;

const outbox = new Outbox({
  send: ({ item, action, body }) =>
    request("POST", `/api/items/${encodeURIComponent(item)}/${action}`, body),
  storage: localStorage,
  unique,
  wait,
  onAnswer,
  onRefused,
  onState: showOffline,
});

// The item.

/** @param {{after?: string, prefer?: string}} [wish] */
async function next(wish = {}) {
  const body = { annotator: chosen.annotator, ...wish };
  await open(() => request("POST", "/api/next", body));
}

/**
 * @param {() => Promise<any>} ask
 * @returns {Promise<void>}
 */
async function open(ask) {
  const number = ++opening;
  task = null;
  changed();
  try {
    const { item, progress } = await untilReached(ask, showOffline, wait);
    if (number !== opening) {
      return;
    }
    if (!item) {
      await showNothingOpen(progress);
      return;
    }
    const { picture, rgba } = await untilReached(() => loadImage(item), showOffline, wait);
    if (number === opening) {
      begin(new Task(item, rgba), picture);
    }
  } catch (error) {
    if (number === opening && error instanceof Error) {
      warn(error.message);
      showMessage("This can't be opened", error.message);
    }
  }
}

/** @param {Item} item */
async function loadImage({ image, width, height }) {
  const element = new Image();
  element.src = image;
  try {
    await element.decode();
  } catch {
    throw new ApiError(0, "the image can't be loaded");
  }
  const picture = document.createElement("canvas");
  picture.width = width;
  picture.height = height;
  const ink = /** @type {CanvasRenderingContext2D} */ (
    picture.getContext("2d", { willReadFrequently: true })
  );
  ink.drawImage(element, 0, 0, width, height);
  return { picture, rgba: ink.getImageData(0, 0, width, height).data };
}

/**
 * @param {Task} opened
 * @param {HTMLCanvasElement} picture
 */
function begin(opened, picture) {
  const { item, area, segments, guess } = opened;
  task = opened;
  drawing.setItem(picture, area, segments, guess);
  byId("message").hidden = true;
  byId("item-name").textContent = item.name;
  byId("item-name").title = item.name;
  byId("units").hidden = item.kind === "points";
  byId("units").querySelector("span").textContent = NAMES[item.kind][0];
  byId("brush-row").hidden = item.kind === "points";
  byId("guess-row").hidden = !guess;
  task.cursor.tolerance = chosen.tolerance;
  setUnit(item.kind === "points" ? "segment" : selectedUnit());
  isZoomOwn = false;
  activity.restart();
  view = views.fitted(item, drawing.size);
  changed();
  goThere();
  showProgress(item.progress);
  const mine = held.filter((letter) => letter.item === item.id);
  const lost = held.length - mine.length;
  held = [];
  if (lost) {
    warn(`${count(lost, "answer", "answers")} could not be saved: another annotator has the image.`);
  }
  replay(mine);
}

/** Does again under the new lease what an old one could not. @param {Letter[]} letters */
function replay(letters) {
  if (!task || !letters.length) {
    return;
  }
  const { lease } = task.item;
  for (const { action, body } of letters) {
    if (action === "marks") {
      const pixels = new Set(decodedPositions(body.pixels));
      task.labels.mark([...pixels], body.label);
    } else if (action === "undo") {
      task.labels.undo();
    } else if (action === "redo") {
      task.labels.redo();
    }
  }
  outbox.put(letters.map((letter) => ({ ...letter, again: true, body: { ...letter.body, lease } })));
  task.cursor.nextOpen(true);
  changed();
}

/** @param {number[]} runs */
function decodedPositions(runs) {
  const positions = [];
  for (let i = 0; i < runs.length; i += 2) {
    for (let pixel = runs[i]; pixel < runs[i] + runs[i + 1]; pixel++) {
      positions.push(/** @type {Task} */ (task).area.positions[pixel]);
    }
  }
  return positions;
}

// What the annotator does.

/** @param {ArrayLike<number>} positions @param {number} label @returns {boolean} Whether it changed anything. */
function mark(positions, label) {
  const { labels, item } = /** @type {Task} */ (task);
  const different = Array.from(positions).filter((position) => labels.values[position] !== label);
  if (!different.length) {
    return false;
  }
  different.sort((a, b) => a - b);
  labels.mark(different, label);
  post("marks", { label, pixels: labels.runs(different) });
  const opened = /** @type {Task} */ (task);
  opened.canUndo = true;
  opened.canRedo = false;
  return true;
}

/** @param {string} action @param {object} [body] */
function post(action, body = {}) {
  const { id, lease } = /** @type {Task} */ (task).item;
  outbox.post(id, action, { lease, ...body, seconds: activity.take() });
}

/** Labels the current unit and goes on. @param {Entry} entry */
function labelCurrent(entry) {
  if (!task) {
    return;
  }
  const { cursor } = task;
  palette.choose(entry);
  mark(task.targets(cursor.current()), entry.number);
  goOn();
}

function goOn() {
  if (!task) {
    return;
  }
  changed();
  if (task.isComplete) {
    if (chosen.autoSubmit) {
      submit();
    }
  } else {
    task.cursor.nextOpen(true);
    changed();
    goThere();
  }
}

/** @param {views.Point} point On the canvas. @param {number} reach */
function clickAt(point, reach) {
  const hit = task?.at(views.toImage(view, point), reach / view.scale);
  if (!task || !hit) {
    return;
  }
  mark(hit.positions, palette.active.number);
  task.cursor.moveTo(hit.position);
  goOn();
}

/** @param {"undo" | "redo"} action */
function change(action) {
  if (!task || !(action === "undo" ? task.canUndo : task.canRedo)) {
    return;
  }
  const positions = action === "undo" ? task.labels.undo() : task.labels.redo();
  if (positions) {
    task.cursor.moveTo(positions[0]);
  }
  // What was done before the page was opened is known by the server alone.
  task.canRedo = action === "undo" || task.canRedo;
  task.canUndo = action === "redo" || task.canUndo;
  post(action);
  changed();
  goThere();
}

function submit() {
  if (!task) {
    return;
  }
  if (!task.isComplete) {
    task.cursor.nextOpen(true);
    changed();
    goThere();
    return;
  }
  post("submit");
  leave();
}

function skip() {
  if (task) {
    post("skip");
    leave();
  }
}

/** Waits for the server's word before the next item. */
async function leave() {
  const { id } = /** @type {Task} */ (task).item;
  task = null;
  changed();
  await outbox.settled();
  if (!held.length && !task) {
    await next({ after: id });
  }
}

/** @param {string} id */
async function reopen(id) {
  await outbox.settled();
  const body = { annotator: chosen.annotator, request: unique() };
  await open(async () => {
    const answer = await request("POST", `/api/items/${encodeURIComponent(id)}/reopen`, body);
    return answer.item ? answer : { item: answer };
  });
}

// What the server says.

/** @param {any} answer @param {Letter} letter */
function onAnswer(answer, letter) {
  showProgress(answer.progress);
  if (task?.item.id === letter.item && outbox.size === 0) {
    task.labels.replace(answer.labels);
    task.canUndo = answer.can_undo;
    task.canRedo = answer.can_redo;
    changed();
  }
}

/** @param {ApiError} error @param {Letter[]} letters */
function onRefused(error, letters) {
  const again = letters.some((letter) => /** @type {any} */ (letter).again);
  const isLeaseLost = error.status === 409 && !again;
  if (isLeaseLost) {
    held = letters;
  } else {
    warn(`${count(letters.length, "answer", "answers")} could not be saved: ${error.message}`);
  }
  // While the page starts, it opens an item by itself.
  if (opening) {
    next({ prefer: letters[0].item });
  }
}

async function renew() {
  if (!task || activity.idle() > AWAY_SECONDS * 1000) {
    return;
  }
  const { id, lease } = task.item;
  try {
    const body = { lease, request: unique(), seconds: 0 };
    const answer = await request("POST", `/api/items/${encodeURIComponent(id)}/renew`, body);
    showProgress(answer.progress);
  } catch (error) {
    if (error instanceof ApiError && error.status === 409 && task?.item.lease === lease) {
      await outbox.settled();
      if (task?.item.lease === lease) {
        await next({ prefer: id });
      }
    }
  }
}

// What is shown.

/** Labels, cursor or settings changed. */
function changed() {
  byId("undo").disabled = !task?.canUndo;
  byId("redo").disabled = !task?.canRedo;
  byId("skip").disabled = !task;
  byId("submit").disabled = !task?.isComplete;
  byId("submit").classList.toggle("ready", Boolean(task?.isComplete));
  byId("tolerance-row").hidden = task?.cursor.unit !== "similar";
  byId("brush-size").textContent = `${chosen.brush} px`;
  byId("status").classList.toggle("done", Boolean(task?.isComplete));
  if (task) {
    const { open, values } = task.labels;
    byId("item-progress").value = values.length ? 1 - open / values.length : 1;
    const here = task.describe(nameOf);
    const status = task.isComplete ? `All labelled: Enter submits · ${here}` : here;
    if (byId("status").textContent !== status) {
      byId("status").textContent = status;
    }
    drawing.setLabels(labelsWithStroke());
  } else {
    byId("status").textContent = "";
    canvas.dataset.item = "";
  }
  redraw();
}

function labelsWithStroke() {
  const { values } = /** @type {Task} */ (task).labels;
  if (!painting) {
    return values;
  }
  const painted = values.slice();
  painting.forEach((position) => (painted[position] = palette.active.number));
  return painted;
}

function redraw() {
  if (isDrawn) {
    return;
  }
  isDrawn = true;
  requestAnimationFrame(() => {
    isDrawn = false;
    if (!task) {
      return;
    }
    const hit = pointer && !painting && task.at(views.toImage(view, pointer), 10 / view.scale);
    drawing.draw({
      view,
      opacity: isOverlayHidden ? 0 : chosen.opacity,
      current: task.cursor.current(),
      pointed: hit ? hit.positions : [],
      active: palette.active,
      showsGuess,
      isSmooth: chosen.smooth,
    });
    // Where the image lies and which pixel is current, for scripts that drive the page.
    canvas.dataset.view = [view.scale, view.x, view.y].join(" ");
    canvas.dataset.item = task.item.id;
    canvas.dataset.pixel = String(task.area.pixels[task.cursor.position]);
  });
}

/** Moves the view to the current unit. @param {boolean} [always] Also if the page shouldn't zoom. */
function goThere(always = false) {
  if (!task) {
    return;
  }
  const { cursor, area, segments, item } = task;
  const positions = cursor.unit === "segment" ? cursor.current() : segments.members[segments.ids[cursor.position]];
  const box = bounds(area, Array.from(positions));
  let target = views.around(box, item, drawing.size);
  const isMuchCloser = Math.abs(Math.log(target.scale / view.scale)) > Math.log(1.4);
  if (!always && (isZoomOwn || !chosen.autoZoom || !isMuchCloser)) {
    const small = bounds(area, Array.from(cursor.current()));
    target = views.shown(view, isMuchCloser ? small : box, item, drawing.size);
  }
  glide(target);
}

let gliding = 0;

/** @param {views.View} target */
function glide(target) {
  const from = view;
  const start = performance.now();
  const number = ++gliding;
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const step = () => {
    if (number !== gliding) {
      return;
    }
    const share = isStill ? 1 : Math.min(1, (performance.now() - start) / GLIDE_MILLISECONDS);
    view = share < 1 ? views.between(from, target, share, drawing.size) : target;
    redraw();
    if (share < 1) {
      requestAnimationFrame(step);
    }
  };
  step();
}

/** @param {views.View} target */
function setView(target) {
  gliding++;
  view = target;
  redraw();
}

/** @param {number} factor @param {views.Point} [point] */
function zoomBy(factor, point) {
  if (task) {
    const { size } = drawing;
    isZoomOwn = true;
    setView(views.zoomed(view, point ?? { x: size.width / 2, y: size.height / 2 }, factor, task.item, size));
  }
}

function showWhole() {
  if (task) {
    isZoomOwn = true;
    glide(views.fitted(task.item, drawing.size));
  }
}

/** @param {any} progress */
function showProgress(progress) {
  if (!progress) {
    return;
  }
  const { items, done, seconds_per_item: each, seconds_left: left } = progress;
  byId("progress").value = items ? done / items : 0;
  byId("progress-text").textContent = [
    `${done} of ${items} items`,
    ...(each ? [`${each < 10 ? each.toFixed(1) : Math.round(each)} s an item`] : []),
    ...(left ? [`${duration(left)} left`] : []),
  ].join(" · ");
  document.title = `${done}/${items} · ${session.run}`;
}

/** @param {number} seconds */
function duration(seconds) {
  if (seconds < 90) {
    return `${Math.round(seconds)} s`;
  }
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** @param {any} progress */
async function showNothingOpen(progress) {
  const number = opening;
  showProgress(progress);
  byId("item-name").textContent = "";
  session = await request("GET", "/api/session").catch(() => session);
  if (session.round === null) {
    showMessage("Nothing is asked yet", "The run has not asked anything. Come back when it waits.");
  } else if (progress.round_complete || progress.done >= progress.items) {
    const how = session.command ? `Go on with: ${session.command}` : session.continue;
    showMessage(`Round ${session.round} is labelled`, how ?? "Start the run again: it goes on.");
  } else {
    showMessage(
      "Nothing is open just now",
      `${count(progress.items - progress.done, "image is", "images are")} with other annotators. ` +
        "What comes back appears here by itself.",
    );
  }
  setTimeout(() => number === opening && next(), RETRY_SECONDS * 1000);
}

/** @param {string} title @param {string} text */
function showMessage(title, text) {
  byId("message-title").textContent = title;
  byId("message-text").textContent = text;
  byId("message").hidden = false;
  byId("status").textContent = title;
}

/** @param {ApiError | null} error */
function showOffline(error) {
  byId("offline").hidden = !error;
  if (error) {
    const unsaved = outbox.size ? ` ${count(outbox.size, "answer waits", "answers wait")} to be saved.` : "";
    byId("offline").textContent = `Offline: ${error.message}.${unsaved} Trying again…`;
  }
}

/** @param {string} text */
function warn(text) {
  byId("warning-text").textContent = text;
  byId("warning").hidden = false;
}

/** @param {number} number @param {string} one @param {string} many */
function count(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}

/** @param {number} label */
function nameOf(label) {
  return entries.find((entry) => entry.number === label)?.name ?? String(label);
}

// Settings.

/** @returns {Unit} */
function selectedUnit() {
  return /** @type {any} */ (document.querySelector('input[name="unit"]:checked')).value;
}

/** @param {Unit} unit */
function setUnit(unit) {
  /** @type {any} */ (document.querySelector(`input[name="unit"][value="${unit}"]`)).checked = true;
  if (task) {
    task.cursor.setUnit(unit);
    changed();
    goThere();
  }
}

/** @param {number} brush */
function setBrush(brush) {
  byId("brush").value = brush;
  chosen.brush = Number(byId("brush").value);
  changed();
}

/** @param {number} opacity */
function setOpacity(opacity) {
  byId("opacity").value = opacity;
  chosen.opacity = Number(byId("opacity").value);
  redraw();
}

/** @param {boolean} shows */
function setGuess(shows) {
  showsGuess = shows && Boolean(task?.guess);
  byId("guess").checked = showsGuess;
  redraw();
}

function applyTheme() {
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = chosen.theme || (isDark ? "dark" : "light");
}

function switchTheme() {
  chosen.theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  applyTheme();
}

async function askName() {
  const dialog = byId("name-dialog");
  byId("name").value = chosen.annotator;
  dialog.showModal();
  await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
  const name = byId("name").value.trim();
  if (!name && !chosen.annotator) {
    await askName();
    return;
  }
  const isOther = name && name !== chosen.annotator;
  chosen.annotator = name || chosen.annotator;
  byId("annotator").textContent = chosen.annotator;
  if (isOther && opening) {
    await outbox.settled();
    await next();
  }
}

// Keys.

/** @type {Record<string, () => void>} */
const COMMANDS = {
  void: () => labelCurrent(entries[entries.length - 1]),
  undo: () => change("undo"),
  redo: () => change("redo"),
  skip,
  submit,
  "next open": () => go(1),
  "previous open": () => go(-1),
  left: () => move(-1, 0),
  right: () => move(1, 0),
  up: () => move(0, -1),
  down: () => move(0, 1),
  fill: () => task?.item.kind !== "points" && setUnit(selectedUnit() === "similar" ? "segment" : "similar"),
  unit: () => {
    const order = UNITS.filter((unit) => unit !== "patch" || session.settings.superpixels);
    if (task && task.item.kind !== "points") {
      setUnit(order[(order.indexOf(selectedUnit()) + 1) % order.length]);
    }
  },
  hide: () => hideOverlay(true),
  guess: () => setGuess(!showsGuess),
  items: () => showItems(),
  "zoom to current": () => {
    isZoomOwn = false;
    goThere(true);
  },
  "zoom in": () => zoomBy(1.3),
  "zoom out": () => zoomBy(1 / 1.3),
  "whole image": showWhole,
  "smaller brush": () => setBrush(chosen.brush - 1),
  "larger brush": () => setBrush(chosen.brush + 1),
  "less overlay": () => setOpacity(chosen.opacity - 0.1),
  "more overlay": () => setOpacity(chosen.opacity + 0.1),
  help: () => byId("help-dialog").showModal(),
  search: () => palette.search(),
};

/** @param {boolean} isHidden */
function hideOverlay(isHidden) {
  isOverlayHidden = isHidden;
  redraw();
}

/** @param {1 | -1} direction */
function go(direction) {
  if (task && !task.cursor.nextOpen(false, direction)) {
    task.cursor.step(direction);
  }
  changed();
  goThere();
}

/** @param {number} right @param {number} down */
function move(right, down) {
  if (!task) {
    return;
  }
  if (task.cursor.unit === "pixel") {
    task.cursor.towards(right, down);
  } else {
    task.cursor.step(right + down > 0 ? 1 : -1);
  }
  changed();
  goThere();
}

const showItems = itemsDialog(reopen, (error) => warn(error.message));

/** @param {KeyboardEvent} event */
function onKey(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (document.querySelector("dialog[open]") || target.matches('input[type="search"], #name')) {
    return;
  }
  // These have their own use of some keys.
  const isControl = target.matches("button, input, summary");
  if (isControl && ["Enter", " "].includes(event.key)) {
    return;
  }
  if (target.matches('input[type="range"], input[type="radio"]') && /^(Arrow|Home)/.test(event.key)) {
    return;
  }
  const found = meaning(event, entries.length - 1);
  if (!found) {
    return;
  }
  event.preventDefault();
  if ("label" in found) {
    if (!event.repeat) {
      labelCurrent(entries[found.label]);
    }
  } else if ("pick" in found) {
    palette.choose(entries[found.pick]);
    redraw();
  } else if (!event.repeat || !["submit", "skip", "void"].includes(found.command)) {
    COMMANDS[found.command]();
  }
}

function connect() {
  /** @type {Array<[string, () => void]>} */
  const buttons = [
    ["undo", () => change("undo")],
    ["redo", () => change("redo")],
    ["skip", skip],
    ["submit", submit],
    ["zoom-in", () => zoomBy(1.3)],
    ["zoom-out", () => zoomBy(1 / 1.3)],
    ["whole", showWhole],
    ["current", COMMANDS["zoom to current"]],
    ["help", COMMANDS.help],
    ["items", COMMANDS.items],
    ["theme", switchTheme],
    ["annotator", askName],
    ["warning-close", () => (byId("warning").hidden = true)],
  ];
  for (const [id, press] of buttons) {
    byId(id).addEventListener("click", press);
  }
  for (const radio of document.querySelectorAll('input[name="unit"]')) {
    radio.addEventListener("change", () => setUnit(selectedUnit()));
  }
  byId("brush").addEventListener("input", () => setBrush(byId("brush").value));
  byId("opacity").addEventListener("input", () => setOpacity(byId("opacity").value));
  byId("tolerance").addEventListener("input", () => {
    chosen.tolerance = Number(byId("tolerance").value);
    if (task) {
      task.cursor.tolerance = chosen.tolerance;
    }
    changed();
  });
  byId("guess").addEventListener("change", () => setGuess(byId("guess").checked));
  /** @type {Array<[string, "autoSubmit" | "autoZoom" | "smooth" | "direct"]>} */
  const settings = [
    ["auto-submit", "autoSubmit"],
    ["auto-zoom", "autoZoom"],
    ["smooth", "smooth"],
    ["direct", "direct"],
  ];
  for (const [id, field] of settings) {
    byId(id).checked = chosen[field];
    byId(id).addEventListener("change", () => {
      chosen[field] = byId(id).checked;
      redraw();
    });
  }
  byId("brush").value = chosen.brush;
  byId("opacity").value = chosen.opacity;
  byId("tolerance").value = chosen.tolerance;

  listen(canvas, {
    click: clickAt,
    paint: (from, to) => {
      if (task) {
        painting ??= new Set();
        const [a, b] = [views.toImage(view, from), views.toImage(view, to)];
        for (const position of task.stroke(a, b, chosen.brush)) {
          painting.add(position);
        }
        drawing.setLabels(labelsWithStroke());
        redraw();
      }
    },
    painted: () => {
      const stroke = painting;
      painting = null;
      if (task && stroke?.size) {
        mark(Uint32Array.from(stroke).sort(), palette.active.number);
        goOn();
      }
    },
    cancelled: () => {
      painting = null;
      changed();
    },
    hover: (point) => {
      pointer = point;
      redraw();
    },
    pan: (right, down) => task && setView(views.panned(view, right, down, task.item, drawing.size)),
    zoom: (point, factor) => zoomBy(factor, point),
    pinch: (before, after) => {
      if (task) {
        isZoomOwn = true;
        setView(views.pinched(view, before, after, task.item, drawing.size));
      }
    },
  });
  byId("overview").addEventListener("pointerdown", moveByOverview);
  byId("overview").addEventListener("pointermove", moveByOverview);

  document.addEventListener("keydown", onKey);
  document.addEventListener("keyup", (event) => event.key === "h" && hideOverlay(false));
  for (const kind of ["pointerdown", "pointermove", "keydown", "wheel"]) {
    document.addEventListener(kind, () => activity.input(), { capture: true, passive: true });
  }
  document.addEventListener("visibilitychange", () =>
    activity.setVisible(document.visibilityState === "visible"),
  );
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);
  window.addEventListener("beforeunload", (event) => outbox.size > 0 && event.preventDefault());
  new ResizeObserver(() => {
    if (task) {
      view = views.kept(view, task.item, drawing.size);
      goThere();
    }
  }).observe(canvas);
}

/** @param {PointerEvent} event */
function moveByOverview(event) {
  if (!task || event.buttons !== 1) {
    return;
  }
  const box = byId("overview").getBoundingClientRect();
  const { item } = task;
  const { size } = drawing;
  const at = views.toCanvas(view, {
    x: ((event.clientX - box.left) / box.width) * item.width,
    y: ((event.clientY - box.top) / box.height) * item.height,
  });
  setView(views.panned(view, size.width / 2 - at.x, size.height / 2 - at.y, item, size));
}

async function start() {
  applyTheme();
  const address = new URL(location.href);
  if (address.searchParams.has("token")) {
    // A cookie has it now, and the history needn't.
    history.replaceState(null, "", address.pathname);
  }
  try {
    session = await untilReached(() => request("GET", "/api/session"), showOffline, wait);
  } catch (error) {
    showMessage("The labelling tool can't be opened", /** @type {Error} */ (error).message);
    return;
  }
  const { run, round, method, pair } = session;
  byId("run").textContent = round === null ? run : `${run} · round ${round}`;
  byId("run").title = `${method} on ${pair}`;
  entries = makeEntries(session.classes, session.void);
  palette = new Palette(byId("palette"), byId("search"), entries, (entry, isDirect) => {
    if (isDirect || chosen.direct) {
      labelCurrent(entry);
    } else {
      palette.choose(entry);
      redraw();
    }
    if (isDirect) {
      canvas.focus();
    }
  });
  drawing = new Drawing(canvas, byId("overview"), entries);
  document.querySelector('input[value="patch"]').closest("label").hidden =
    !session.settings.superpixels;
  connect();
  if (chosen.annotator) {
    byId("annotator").textContent = chosen.annotator;
  } else {
    await askName();
  }
  outbox.put(outbox.takeLeft());
  await outbox.settled();
  setInterval(renew, (session.settings.lease_seconds / 4) * 1000);
  await next(held.length ? { prefer: held[0].item } : {});
  canvas.focus();
}

start();
