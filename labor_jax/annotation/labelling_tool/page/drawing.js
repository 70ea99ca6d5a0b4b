import { middle } from "./cursor.js";
import { OPEN } from "./labels.js";
import { TILE_DENSITY, contextOf, stripes } from "./patterns.js";
import { bounds } from "./area.js";
import { border, outline } from "./outline.js";
import { components } from "./partitions.js";
import { drawPixelGrid, isSmooth } from "./pixel_grid.js";
import { toCanvas, toImage } from "./view.js";

/** @typedef {import("./area.js").Area} Area */
/** @typedef {import("./partitions.js").Partition} Partition */
/** @typedef {import("./palette.js").Entry} Entry */
/** @typedef {import("./view.js").View} View */

/** Above this many asked pixels no letters are drawn: finding their places takes too long. */
const LETTERS_LIMIT = 100_000;

/** More than all labels and the sets of classes that one image may show. */
const MOST_LABELS = 8192;

/** In a guess, the label of a pixel without one. */
const NO_GUESS = 255;

/** Segments smaller than this on the canvas, in CSS pixels, get a ring around them. */
const RING = 12;

const DARK = "rgb(10 12 16 / 85%)";
const LIGHT = "#ffffff";
const CURRENT = "#ffd23f";

/**
 * What is drawn besides the item itself.
 *
 * @typedef {object} Scene
 * @property {View} view
 * @property {HTMLCanvasElement} photo At the size of the item's label map.
 * @property {number} opacity Of the labels, 0 to 1.
 * @property {Uint32Array} current Positions of the current unit.
 * @property {Iterable<number>} pointed Positions that a click would label, or a stroke has painted.
 * @property {Entry} active What they would be labelled with.
 * @property {Iterable<number>} edge Positions of a part of the current unit; its end is shown.
 * @property {import("./view.js").Point[]} corners Of a polygon that is being drawn, in pixels of the image.
 * @property {import("./view.js").Point | null} pointer Where its next corner would be.
 * @property {boolean} showsGuess
 * @property {boolean} isSmooth
 */

/** Draws an item on the canvas, and an overview in its corner. */
export class Drawing {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLCanvasElement} overview
   * @param {Entry[]} entries
   * @param {import("./edited_item.js").EditedItem} edited
   */
  constructor(canvas, overview, entries, { area, segments, guess, labels, isCorrection }) {
    this._canvas = canvas;
    this._overview = overview;
    this._ink = contextOf(canvas);
    this._entries = new Map(entries.map((entry) => [entry.number, entry]));
    this._patterns = new Map(
      entries.map(({ number, tile }) => [number, this._ink.createPattern(tile, "repeat")]),
    );
    /** The numbers of sets of several classes. @type {Map<string, number>} */
    this._sets = new Map();
    this._area = area;
    this._guess = guess;
    /** Whether the guess is the question, so that it is named too. */
    this._asksGuess = isCorrection;
    /** @type {Array<ReturnType<typeof bounds>>} */
    this._boxes = [];
    this._outline = new Path2D();
    this.setSegments(segments);
    /** @type {Map<number, Path2D>} */
    this._labels = new Map();
    /** @type {Map<number, Path2D>} */
    this._guessed = new Map();
    this._openOutline = new Path2D();
    /** @type {number[]} The label of each segment that has only one, else `OPEN`. */
    this._only = [];
    /** What is written in each segment that is small on the canvas. @type {string[]} */
    this._marks = [];
    /** @type {Array<{letter: string, at: number, size: number, segment: number}>} */
    this._letters = [];
    this.setLabels(labels.values);
  }

  /** Takes over another division; labels are to be set again. @param {Partition} segments */
  setSegments(segments) {
    this._segments = segments;
    this._boxes = segments.members.map((members) => bounds(this._area, members));
    this._outline = linePath(outline(this._area, (position) => segments.ids[position]));
  }

  /**
   * Labels changed.
   *
   * @param {Int16Array} labels
   * @param {number[][]} [sets] The classes of each segment, if they may be several.
   */
  setLabels(labels, sets) {
    const { ids, members } = this._segments;
    const values = sets ? this._striped(labels, sets) : labels;
    this._labels = this._paths(values);
    this._openOutline = linePath(
      outline(this._area, (position) => (values[position] === OPEN ? ids[position] : -1)),
    );
    // The guess is drawn only where nobody has labelled yet.
    this._guessed = this._paths(
      values.map((label, position) =>
        label === OPEN && this._guess ? this._guess[position] : OPEN,
      ),
    );
    this._marks = members.map(([position]) => this._letterAt(values, position));
    this._only = members.map((positions) =>
      positions.every((position) => values[position] === values[positions[0]])
        ? values[positions[0]]
        : OPEN,
    );
    this._letters = [];
    if (values.length <= LETTERS_LIMIT) {
      const keys = Int32Array.from(values, (label, position) => ids[position] * MOST_LABELS + label + 1);
      for (const positions of components(this._area, keys).members) {
        const letter = this._letterAt(values, positions[0]);
        if (letter) {
          const at = middle(this._area, positions);
          this._letters.push({ letter, at, size: positions.length, segment: ids[at] });
        }
      }
    }
  }

  /** The labels, where each set of several classes has a number and an entry of its own.
   * @param {Int16Array} labels @param {number[][]} sets */
  _striped(labels, sets) {
    const values = labels.slice();
    sets.forEach((set, segment) => {
      if (set.length > 1) {
        const entries = set.flatMap((number) => this._entries.get(number) ?? []);
        const key = entries.map((entry) => entry.key).join("");
        const name = set.join(" ");
        const number = this._sets.get(name) ?? 256 + this._sets.size;
        if (!this._sets.has(name) && number < MOST_LABELS) {
          const tile = stripes(entries.map(({ color }) => color));
          this._sets.set(name, number);
          this._entries.set(number, { ...entries[0], number, key, tile });
          this._patterns.set(number, this._ink.createPattern(tile, "repeat"));
        }
        this._segments.members[segment].forEach((position) => (values[position] = number));
      }
    });
    return values;
  }

  /** The key of a position's class; of a guess that is asked, with a question mark.
   * @param {Int16Array} values @param {number} position */
  _letterAt(values, position) {
    const guess = this._asksGuess && this._guess ? this._guess[position] : OPEN;
    const label = values[position];
    return label === OPEN && this._entries.has(guess) && guess !== NO_GUESS
      ? `${this._entries.get(guess)?.key ?? ""}?`
      : (this._entries.get(label)?.key ?? "");
  }

  /** @param {Scene} scene */
  draw(scene) {
    const ink = this._ink;
    const { width, height } = sizeOf(this._canvas);
    const density = window.devicePixelRatio || 1;
    if (this._canvas.width !== Math.round(width * density)) {
      this._canvas.width = Math.round(width * density);
    }
    if (this._canvas.height !== Math.round(height * density)) {
      this._canvas.height = Math.round(height * density);
    }
    ink.setTransform(1, 0, 0, 1, 0, 0);
    ink.clearRect(0, 0, this._canvas.width, this._canvas.height);
    const { scale, x, y } = scene.view;
    ink.setTransform(density * scale, 0, 0, density * scale, density * x, density * y);
    ink.imageSmoothingEnabled = isSmooth(scale, density, scene.isSmooth);
    ink.imageSmoothingQuality = "high";
    ink.drawImage(scene.photo, 0, 0);
    ink.setTransform(density, 0, 0, density, 0, 0);
    drawPixelGrid(ink, scene.view, scene.photo, { width, height });
    ink.setTransform(density * scale, 0, 0, density * scale, density * x, density * y);
    if (scene.showsGuess) {
      this._fill(this._guessed, scene.opacity * 0.7, scale);
    }
    this._fill(this._labels, scene.opacity, scale);

    this._stroke(this._outline, scale, "rgb(10 12 16 / 60%)", "rgb(255 255 255 / 55%)", 2, 0.8);
    this._stroke(this._openOutline, scale, DARK, LIGHT, 3.5, 1.5);
    ink.globalAlpha = 0.6;
    ink.fillStyle = scene.active.color;
    ink.fill(rectPath(this._area, scene.pointed));
    ink.globalAlpha = 1;
    this._stroke(this._pathOf(scene.pointed), scale, DARK, LIGHT, 5, 2.5);
    this._stroke(this._pathOf(scene.current), scale, DARK, CURRENT, 5.5, 2.5);
    ink.setLineDash([6 / scale, 5 / scale]);
    this._stroke(this._edge(scene.edge, scene.current), scale, DARK, LIGHT, 4.5, 2);
    ink.setLineDash([]);
    this._drawPolygon(scene, scale);

    ink.setTransform(density, 0, 0, density, 0, 0);
    this._drawRings(scene.view, scene.opacity);
    this._drawLetters(scene.view, scene.opacity);
    this._drawBrackets(scene);
    this._drawOverview(scene);
  }

  /** @param {Map<number, Path2D>} paths @param {number} opacity @param {number} scale */
  _fill(paths, opacity, scale) {
    const ink = this._ink;
    for (const [label, path] of paths) {
      const color = this._entries.get(label)?.color;
      if (color) {
        ink.globalAlpha = opacity;
        ink.fillStyle = color;
        ink.fill(path);
        const pattern = this._patterns.get(label);
        // The same size on the screen at every zoom.
        pattern?.setTransform(new DOMMatrix().scale(1 / (TILE_DENSITY * scale)));
        ink.fillStyle = /** @type {CanvasPattern} */ (pattern);
        ink.fill(path);
        ink.globalAlpha = 1;
      }
    }
  }

  /** @param {Path2D} path @param {number} scale @param {string} under @param {string} over
   * @param {number} wide @param {number} thin */
  _stroke(path, scale, under, over, wide, thin) {
    const ink = this._ink;
    ink.lineJoin = ink.lineCap = "round";
    ink.strokeStyle = under;
    ink.lineWidth = wide / scale;
    ink.stroke(path);
    ink.strokeStyle = over;
    ink.lineWidth = thin / scale;
    ink.stroke(path);
  }

  /** @param {Scene} scene @param {number} scale */
  _drawPolygon({ corners, pointer }, scale) {
    const [first, ...rest] = corners;
    if (first) {
      const path = new Path2D();
      path.moveTo(first.x, first.y);
      [...rest, ...(pointer ? [pointer] : [])].forEach(({ x, y }) => path.lineTo(x, y));
      corners.forEach(({ x, y }) => {
        path.moveTo(x + 4 / scale, y);
        path.arc(x, y, 4 / scale, 0, 2 * Math.PI);
      });
      this._stroke(path, scale, DARK, CURRENT, 4.5, 2);
    }
  }

  /** Segments that are hard to see at this zoom. @param {View} view @param {number} opacity */
  _drawRings(view, opacity) {
    const ink = this._ink;
    const { width, height } = sizeOf(this._canvas);
    this._boxes.forEach((box, segment) => {
      if (!this._isSmall(segment, view)) {
        return;
      }
      const { x, y } = toCanvas(view, {
        x: (box.left + box.right) / 2,
        y: (box.top + box.bottom) / 2,
      });
      if (x < -RING || y < -RING || x > width + RING || y > height + RING) {
        return;
      }
      const entry = this._entries.get(this._only[segment]);
      ink.beginPath();
      ink.arc(x, y, RING * 0.75, 0, 2 * Math.PI);
      if (entry) {
        ink.globalAlpha = opacity;
        ink.fillStyle = entry.color;
        ink.fill();
        ink.globalAlpha = 1;
      }
      ink.strokeStyle = DARK;
      ink.lineWidth = entry ? 2 : 3.5;
      ink.stroke();
      ink.strokeStyle = LIGHT;
      ink.lineWidth = entry ? 0.8 : 1.5;
      ink.stroke();
      if (entry) {
        this._write(entry.key, x, y, 11, Math.min(1, opacity * 2));
      } else if (this._asksGuess) {
        this._write(this._marks[segment], x, y, 11, Math.min(1, opacity * 2));
      }
    });
  }

  /** @param {number} segment @param {View} view */
  _isSmall(segment, view) {
    const box = this._boxes[segment];
    return Math.max(box.right - box.left, box.bottom - box.top) * view.scale < RING;
  }

  /** @param {string} text @param {number} x @param {number} y @param {number} size
   * @param {number} opacity */
  _write(text, x, y, size, opacity) {
    const ink = this._ink;
    ink.globalAlpha = opacity;
    ink.textAlign = "center";
    ink.textBaseline = "middle";
    ink.lineJoin = "round";
    ink.font = `700 ${size}px system-ui, sans-serif`;
    ink.strokeStyle = DARK;
    ink.lineWidth = 3.5;
    ink.strokeText(text, x, y);
    ink.fillStyle = LIGHT;
    ink.fillText(text, x, y);
    ink.globalAlpha = 1;
  }

  /** @param {View} view @param {number} opacity */
  _drawLetters(view, opacity) {
    const { width, height } = sizeOf(this._canvas);
    for (const { letter, at, size, segment } of this._letters) {
      const pixel = this._area.pixels[at];
      const { x, y } = toCanvas(view, {
        x: (pixel % this._area.width) + 0.5,
        y: Math.floor(pixel / this._area.width) + 0.5,
      });
      const room = Math.sqrt(size) * view.scale;
      const isSeen = x > -20 && y > -20 && x < width + 20 && y < height + 20;
      if (isSeen && room >= 9 && !this._isSmall(segment, view)) {
        const letterSize = Math.min(18, Math.max(10, room * 0.55));
        this._write(letter, x, y, letterSize, Math.min(1, opacity * 2));
      }
    }
  }

  /** The frame around the current unit; it leaves the unit and its surroundings visible.
   * @param {Scene} scene */
  _drawBrackets({ view, current }) {
    const ink = this._ink;
    const box = bounds(this._area, current);
    const a = toCanvas(view, { x: box.left, y: box.top });
    const b = toCanvas(view, { x: box.right, y: box.bottom });
    const gap = 9;
    const left = Math.min(a.x - gap, (a.x + b.x) / 2 - 18);
    const right = Math.max(b.x + gap, (a.x + b.x) / 2 + 18);
    const top = Math.min(a.y - gap, (a.y + b.y) / 2 - 18);
    const bottom = Math.max(b.y + gap, (a.y + b.y) / 2 + 18);
    const arm = 10;
    ink.beginPath();
    for (const [x, y, across, down] of [
      [left, top, 1, 1],
      [right, top, -1, 1],
      [right, bottom, -1, -1],
      [left, bottom, 1, -1],
    ]) {
      ink.moveTo(x + across * arm, y);
      ink.lineTo(x, y);
      ink.lineTo(x, y + down * arm);
    }
    ink.lineCap = ink.lineJoin = "round";
    ink.strokeStyle = DARK;
    ink.lineWidth = 6;
    ink.stroke();
    ink.strokeStyle = CURRENT;
    ink.lineWidth = 3;
    ink.stroke();
  }

  /** @param {Scene} scene */
  _drawOverview({ view, current, photo: image }) {
    const { width, height } = sizeOf(this._canvas);
    const [a, b] = [toImage(view, { x: 0, y: 0 }), toImage(view, { x: width, y: height })];
    const overview = this._overview;
    overview.hidden = a.x <= 0 && a.y <= 0 && b.x >= image.width && b.y >= image.height;
    if (overview.hidden) {
      return;
    }
    const box = bounds(this._area, current);
    const corner = toCanvas(view, { x: box.right, y: box.bottom });
    overview.classList.toggle("aside", corner.x > width - 210 && corner.y > height - 160);
    const shrink = Math.min(180 / image.width, 130 / image.height);
    const density = window.devicePixelRatio || 1;
    overview.width = Math.round(image.width * shrink * density);
    overview.height = Math.round(image.height * shrink * density);
    overview.style.width = `${image.width * shrink}px`;
    overview.style.height = `${image.height * shrink}px`;
    const ink = contextOf(overview);
    ink.scale(shrink * density, shrink * density);
    ink.imageSmoothingEnabled = shrink * density < 1;
    ink.drawImage(image, 0, 0);
    ink.strokeStyle = LIGHT;
    ink.lineWidth = 1.2 / shrink;
    ink.stroke(this._openOutline);
    ink.strokeStyle = DARK;
    ink.lineWidth = 4 / shrink;
    ink.strokeRect(a.x, a.y, b.x - a.x, b.y - a.y);
    ink.strokeStyle = CURRENT;
    ink.lineWidth = 2 / shrink;
    ink.strokeRect(a.x, a.y, b.x - a.x, b.y - a.y);
  }

  /** @param {Iterable<number>} positions */
  _pathOf(positions) {
    const inside = new Set(positions);
    const isInside = (/** @type {number} */ position) => (inside.has(position) ? 0 : -1);
    return linePath(outline(this._area, isInside, inside));
  }

  /** The line between a part of a unit and the rest. @param {Iterable<number>} part
   * @param {Uint32Array} unit */
  _edge(part, unit) {
    const second = new Set(part);
    const whole = second.size ? new Set(unit) : second;
    const isIn = (/** @type {number} */ position) =>
      whole.has(position) ? Number(second.has(position)) : -1;
    return linePath(border(this._area, isIn, whole));
  }

  /**
   * @param {Int16Array} values
   * @returns {Map<number, Path2D>} Rows of pixels by label.
   */
  _paths(values) {
    const { width, pixels } = this._area;
    /** @type {Map<number, Path2D>} */
    const paths = new Map();
    for (let first = 0; first < values.length;) {
      const label = values[first];
      const column = pixels[first] % width;
      let next = first + 1;
      while (
        next < values.length &&
        values[next] === label &&
        pixels[next] === pixels[first] + next - first &&
        column + next - first < width
      ) {
        next++;
      }
      if (label !== OPEN) {
        if (!paths.has(label)) {
          paths.set(label, new Path2D());
        }
        paths.get(label)?.rect(column, Math.floor(pixels[first] / width), next - first, 1);
      }
      first = next;
    }
    return paths;
  }
}

/** The size of a canvas in CSS pixels. @param {HTMLCanvasElement} canvas */
function sizeOf(canvas) {
  return { width: canvas.clientWidth, height: canvas.clientHeight };
}

/** @param {Area} area @param {Iterable<number>} positions */
function rectPath({ pixels, width }, positions) {
  const path = new Path2D();
  for (const position of positions) {
    path.rect(pixels[position] % width, Math.floor(pixels[position] / width), 1, 1);
  }
  return path;
}

/** @param {number[]} lines As `outline` gives them. */
function linePath(lines) {
  const path = new Path2D();
  for (let i = 0; i < lines.length; i += 4) {
    path.moveTo(lines[i], lines[i + 1]);
    path.lineTo(lines[i + 2], lines[i + 3]);
  }
  return path;
}
