import assert from "node:assert/strict";
import test from "node:test";

import { Labels, OPEN } from "../../../../labor_jax/annotation/labelling_tool/page/labels.js";
import { encodeRuns } from "../../../../labor_jax/annotation/labelling_tool/page/pixel_runs.js";
import { EditedItem } from "../../../../labor_jax/annotation/labelling_tool/page/edited_item.js";
import { areaOf, greys, random } from "./pictures.mjs";

function editedItem(
  rows,
  options = {},
  colours = rows.map((row) => "0".repeat(row.length)),
  settings = { superpixels: false },
) {
  const area = areaOf(...rows);
  const item = {
    id: "1-0-1",
    lease: "a",
    kind: "mask",
    width: area.width,
    height: area.height,
    asked: encodeRuns(area.pixels),
    labels: [],
    guess: null,
    can_undo: false,
    can_redo: false,
    ...options,
  };
  return new EditedItem(item, greys(...colours), settings);
}

test("an item opens with its labels, at the first open part", () => {
  const edited = editedItem(["##.##.#"], {
    labels: [
      [2, [0, 2]],
      [255, [3, 1]],
    ],
  });
  assert.deepEqual([...edited.labels.values], [2, 2, 255, OPEN, OPEN]);
  assert.equal(edited.labels.open, 2);
  assert.deepEqual([...edited.cursor.current()], [2, 3]);
});

test("questions are told apart by what they ask", () => {
  const question = (rows, options) => editedItem(rows, { name: "a", round: 1, ...options }).question;
  assert.equal(question(["#.#."]), question(["#.#."], { id: "1-7-1", lease: "b" }));
  const others = [["#..#"], ["#.#.", "...."], ["##.."]].map((rows) => question(rows));
  for (const options of [{ name: "b" }, { round: 2 }, { id: "1-0-2" }]) {
    others.push(question(["#.#."], options));
  }
  assert.equal(new Set([question(["#.#."]), ...others]).size, 7);
});

test("an item that is all labelled opens too", () => {
  const edited = editedItem(["#.#"], { labels: [[0, [0, 1, 2, 1]]] });
  assert.ok(edited.isComplete);
});

test("points and regions that touch are questions of their own", () => {
  assert.equal(editedItem(["##"], { kind: "points" }).segments.count, 2);
  const rows = ["######", "######", "######"];
  assert.equal(editedItem(rows, { kind: "regions" }).segments.count, 2);
  assert.equal(editedItem(rows).segments.count, 1);
  const segments = [
    encodeRuns([0, 6, 12]),
    encodeRuns([1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17]),
  ];
  assert.equal(editedItem(rows, { segments }).segments.members[0].length, 3);
});

const HALVES = [encodeRuns([0, 1, 6, 7]), encodeRuns([2, 3, 4, 5, 8, 9, 10, 11])];

test("superpixels are units as the server sends them, and a stroke takes whole ones", () => {
  const edited = editedItem(["######", "######"], { kind: "superpixels", segments: HALVES });
  assert.ok(!edited.isDivisible && edited.guessed() === null);
  assert.equal(edited.describe(String), "Superpixel 1 of 2 · open · 4 pixels · column 1, row 1");
  assert.equal([...edited.stroke({ x: 3, y: 0.5 }, { x: 4, y: 0.5 }, 1)].length, 8);
});

test("a correction tells the commonest guess of a part, if there is one", () => {
  const guess = [
    [2, [0, 2, 6, 1]],
    [3, [7, 1]],
    [255, [2, 4, 8, 4]],
  ];
  const edited = editedItem(["######", "######"], { kind: "corrections", segments: HALVES, guess });
  assert.equal(edited.guessed(), 2);
  assert.match(edited.describe(String), /^Part 1 of 2 · guessed 2 · open ·/);
  edited.cursor.step(1);
  assert.equal(edited.guessed(), null);
  assert.equal(editedItem(["##"], { guess: [[1, [0, 2]]] }).guessed(), null);
});

test("a press labels what is open, and everything where nothing is", () => {
  const edited = editedItem(["####"]);
  assert.deepEqual([...edited.targets([0, 1, 2, 3])], [0, 1, 2, 3]);
  edited.labels.mark([1, 2], 5);
  assert.deepEqual([...edited.targets([0, 1, 2, 3])], [0, 3]);
  edited.labels.mark([0, 3], 6);
  assert.deepEqual([...edited.targets([0, 1, 2, 3])], [0, 1, 2, 3]);
});

test("a click beside everything hits nothing", () => {
  const edited = editedItem(["#....", ".....", "....#"]);
  assert.equal(edited.at({ x: 2.5, y: 1.5 }, 0.4), null);
  assert.deepEqual([...edited.at({ x: 0.5, y: 0.5 }, 0.4).positions], [0]);
});

test("a stroke by patch takes whole patches", () => {
  const rows = Array(4).fill("########");
  const edited = editedItem(rows, {}, Array(4).fill("00009999"));
  const stroke = () => [...edited.stroke({ x: 1, y: 1.5 }, { x: 2, y: 1.5 }, 1)];
  assert.equal(stroke().length, 2);
  edited.cursor.setUnit("patch");
  const covered = new Set(stroke());
  assert.equal(covered.size, 16);
  assert.ok([...covered].every((position) => edited.area.pixels[position] % 8 < 4));
});

test("what is told of a part", () => {
  const names = (label) => ["road", "sky"][label] ?? "void";
  const edited = editedItem(["##..", "....", "...#"], { labels: [[1, [0, 1]]] });
  assert.equal(edited.describe(names), "Segment 1 of 2 · sky and open · 2 pixels · column 1, row 0");
  edited.cursor.step(1);
  assert.equal(edited.describe(names), "Segment 2 of 2 · open · 1 pixel · column 3, row 2");
});

const STRIP = Array(8).fill("#".repeat(24));
const TWO_SIDES = Array(8).fill("1".repeat(12) + "8".repeat(12));

test("a mask's segments end at edges of the image, and a component can still be one unit", () => {
  const edited = editedItem(STRIP, {}, TWO_SIDES, { superpixels: true });
  assert.equal(edited.segments.count, 2);
  assert.ok(edited.isDivided && edited.warning() === null);
  edited.cursor.setUnit("whole");
  assert.equal(edited.cursor.current().length, 192);
  assert.deepEqual(edited.boxes().segment, { left: 0, top: 0, right: 24, bottom: 8 });
  assert.ok(edited.warning(), "the whole holds an edge");
  assert.match(edited.describe(String), /^Segment 1 of 2 · whole · open · .*two classes/);
});

test("points, regions and runs without superpixels are not divided", () => {
  assert.ok(!editedItem(STRIP, {}, TWO_SIDES).isDivided);
  for (const kind of ["points", "regions", "full"]) {
    assert.ok(!editedItem(STRIP, { kind }, TWO_SIDES, { superpixels: true }).isDivided);
  }
});

test("a segment with a strong edge warns until it is split there", () => {
  const edited = editedItem(STRIP, {}, TWO_SIDES);
  assert.equal(edited.segments.count, 1);
  assert.equal(edited.warning().second.length, 96);
  edited.cursor.setUnit("pixel");
  assert.equal(edited.warning(), null);
  edited.cursor.setUnit("segment");
  assert.ok(edited.split());
  assert.equal(edited.segments.count, 2);
  assert.equal(edited.warning(), null);
  edited.mark(edited.targets(edited.cursor.current()), 3);
  assert.ok(edited.cursor.nextOpen(true));
  edited.mark(edited.targets(edited.cursor.current()), 4);
  const { values } = edited.labels;
  edited.area.pixels.forEach((pixel, position) =>
    assert.equal(values[position] === values[0], pixel % 24 < 12),
  );
});

test("what is partly labelled doesn't warn, nor does a flat segment, and a pixel can't be split", () => {
  const edited = editedItem(STRIP, {}, TWO_SIDES);
  edited.mark(Uint32Array.of(5), 1);
  assert.equal(edited.warning(), null);
  assert.equal(editedItem(STRIP).warning(), null);
  assert.ok(!editedItem(["#"]).split());
  for (const kind of ["points", "regions", "full"]) {
    assert.ok(!editedItem(STRIP, { kind }, TWO_SIDES).split());
  }
});

test("undo and redo, and any number of them, follow a plain history", () => {
  const next = random(9);
  const area = areaOf("######");
  for (let example = 0; example < 50; example++) {
    const labels = new Labels(area);
    const states = [[...labels.values]];
    let at = 0;
    for (let step = 0; step < 30; step++) {
      const action = next();
      if (action < 0.5) {
        const positions = [...area.pixels.keys()].filter(() => next() < 0.4);
        labels.mark(positions, Math.floor(next() * 3));
        states.splice(++at, Infinity, [...labels.values]);
      } else if (action < 0.8) {
        assert.equal(labels.undo() !== null, at > 0);
        at = Math.max(0, at - 1);
      } else {
        assert.equal(labels.redo() !== null, at < states.length - 1);
        at = Math.min(states.length - 1, at + 1);
      }
      assert.deepEqual([...labels.values], states[at]);
      assert.equal(labels.open, states[at].filter((label) => label === OPEN).length);
    }
  }
});

test("the server's labels win, and what led elsewhere can't be undone here", () => {
  const labels = new Labels(areaOf("####"));
  labels.mark([0, 1], 1);
  labels.replace([[1, [0, 2]]]);
  assert.ok(labels.undo());
  labels.mark([3], 1);
  labels.replace([[2, [1, 3]]]);
  assert.deepEqual([...labels.values], [OPEN, 2, 2, 2]);
  assert.equal(labels.open, 1);
  assert.equal(labels.undo(), null);
});
