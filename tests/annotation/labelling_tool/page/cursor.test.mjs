import assert from "node:assert/strict";
import test from "node:test";

import { Cursor, middle, tour } from "../../../../labor_jax/annotation/labelling_tool/page/cursor.js";
import { Labels } from "../../../../labor_jax/annotation/labelling_tool/page/labels.js";
import { oklab } from "../../../../labor_jax/annotation/labelling_tool/page/colours.js";
import { components, makePartition, singlePixels } from "../../../../labor_jax/annotation/labelling_tool/page/partitions.js";
import { superpixels } from "../../../../labor_jax/annotation/labelling_tool/page/superpixels.js";
import { areaOf, greys, marked, random } from "./pictures.mjs";

function cursorOn(rows, colours = rows.map((row) => "0".repeat(row.length))) {
  const area = areaOf(...rows);
  const segments = components(area);
  const lab = oklab(area, greys(...colours));
  const patches = superpixels(area, lab, segments, 4);
  const labels = new Labels(area);
  return new Cursor(
    area,
    segments,
    labels,
    () => patches,
    () => lab,
  );
}

const here = (cursor) => marked(cursor.area, cursor.current());

test("whole segments, one after the other and around", () => {
  const cursor = cursorOn(["##..#..#"]);
  assert.deepEqual(here(cursor), ["##......"]);
  cursor.step(1);
  assert.deepEqual(here(cursor), ["....#..."]);
  cursor.step(1);
  cursor.step(1);
  assert.equal(cursor.segmentNumber(), 1);
  cursor.step(-1);
  assert.equal(cursor.segmentNumber(), 3);
});

test("labelling whole components comes to every pixel once, also where a segment spans two", () => {
  const area = areaOf("####.##", "####...", "......#");
  const ids = Int32Array.from(area.pixels, (pixel) => (pixel % 7 < 2 ? 0 : 1));
  const labels = new Labels(area);
  const colours = new Float32Array(3 * area.pixels.length);
  const segments = makePartition(ids, 2);
  const cursor = new Cursor(area, segments, labels, () => segments, () => colours, components(area));
  cursor.setUnit("whole");
  const sizes = [];
  do {
    sizes.push(cursor.labels.openOf(cursor.current()).length);
    labels.mark(cursor.current(), 1);
  } while (cursor.nextOpen(true));
  assert.equal(labels.open, 0);
  assert.deepEqual(sizes.sort(), [1, 2, 8]);
});

for (const unit of ["segment", "patch", "similar", "pixel"]) {
  test(`labelling by ${unit} comes to every pixel once and finishes a segment first`, () => {
    const next = random(2);
    for (let example = 0; example < 20; example++) {
      const draw = (letters) =>
        Array.from({ length: 9 }, () =>
          Array.from({ length: 12 }, () => letters[Math.floor(next() * letters.length)]).join(""),
        );
      const cursor = cursorOn(draw("##."), draw("09"));
      cursor.setUnit(unit);
      const visited = [];
      do {
        const positions = cursor.labels.openOf(cursor.current());
        assert.ok(positions.length, "the cursor is at an open unit");
        visited.push(cursor.segments.ids[cursor.position]);
        cursor.labels.mark(positions, 1);
      } while (cursor.nextOpen(true));
      assert.equal(cursor.labels.open, 0);
      const changes = visited.filter((segment, i) => segment !== visited[i - 1]);
      assert.equal(changes.length, cursor.segments.count);
    }
  });
}

test("next open leaves the current unit, and stays where nothing else is open", () => {
  const cursor = cursorOn(["#.#.#"]);
  assert.ok(cursor.nextOpen());
  assert.equal(cursor.position, 1);
  assert.ok(cursor.nextOpen(false, -1));
  assert.equal(cursor.position, 0);
  cursor.labels.mark([1, 2], 0);
  assert.ok(!cursor.nextOpen());
  assert.equal(cursor.position, 0);
});

test("a segment that is half labelled is still open", () => {
  const cursor = cursorOn(["###.#"]);
  cursor.labels.mark([1], 0);
  cursor.step(1);
  cursor.nextOpen();
  assert.deepEqual(here(cursor), ["###.."]);
  assert.ok(cursor.labels.values[cursor.position] < 0);
});

test("arrows go to the pixel that lies there", () => {
  const cursor = cursorOn(["#.#..", ".....", "#..#."]);
  cursor.setUnit("pixel");
  cursor.moveTo(0);
  cursor.towards(1, 0);
  assert.equal(cursor.position, 1);
  cursor.towards(0, 1);
  assert.equal(cursor.position, 3);
  cursor.towards(-1, 0);
  assert.equal(cursor.position, 2);
  cursor.towards(0, 1);
  assert.equal(cursor.position, 2, "nothing is below");
});

test("a fill takes open pixels of like colour in its segment", () => {
  const cursor = cursorOn(["####.####"], ["009900000"]);
  cursor.setUnit("similar");
  cursor.moveTo(0);
  assert.deepEqual(here(cursor), ["##......."]);
  cursor.labels.mark([1], 3);
  assert.deepEqual(here(cursor), ["#........"]);
});

test("the way goes on short steps", () => {
  const next = random(4);
  const rows = Array.from({ length: 60 }, () =>
    Array.from({ length: 60 }, () => (next() < 0.02 ? "#" : ".")).join(""),
  );
  const area = areaOf(...rows);
  const parts = singlePixels(area);
  const order = tour(area, parts);
  assert.deepEqual(
    [...order].sort((a, b) => a - b),
    [...Array(parts.count).keys()],
  );
  const length = (way) => {
    let sum = 0;
    for (let i = 1; i < way.length; i++) {
      const [a, b] = [area.pixels[way[i - 1]], area.pixels[way[i]]];
      sum += Math.hypot((a % 60) - (b % 60), Math.floor(a / 60) - Math.floor(b / 60));
    }
    return sum;
  };
  // The shortest way through random points is about 0.71 sqrt(n area) (Beardwood et al., 1959).
  assert.ok(length(order) < 1.6 * 0.71 * Math.sqrt(parts.count * 3600));
});

test("a part's middle is one of its pixels", () => {
  const area = areaOf("###", "#.#", "###");
  assert.ok([0, 1, 2, 3, 4, 5, 6, 7].includes(middle(area, [...Array(8).keys()])));
  assert.equal(middle(areaOf("#####"), [0, 1, 2, 3, 4]), 2);
});
