import assert from "node:assert/strict";
import test from "node:test";

import { bounds, brushed, makeArea, insidePolygon, nearestPosition, positionAt } from "../../../../labor_jax/annotation/labelling_tool/page/area.js";
import { fill, oklab } from "../../../../labor_jax/annotation/labelling_tool/page/colours.js";
import { outline } from "../../../../labor_jax/annotation/labelling_tool/page/outline.js";
import { components, singlePixels, windows } from "../../../../labor_jax/annotation/labelling_tool/page/partitions.js";
import { superpixels } from "../../../../labor_jax/annotation/labelling_tool/page/superpixels.js";
import { areaOf, drawn, greys, marked, random } from "./pictures.mjs";

const EVERYWHERE = Array(6).fill("######");

test("components are 8-connected", () => {
  const area = areaOf("#..#", ".#.#", "....", "#...");
  assert.deepEqual(drawn(area, components(area)), ["a..b", ".a.b", "....", "c..."]);
});

test("components don't connect over the image's border", () => {
  const area = areaOf("...#", "#...");
  assert.equal(components(area).count, 2);
});

test("a part's members are its positions", () => {
  const area = areaOf("#.##", "#...");
  const groups = components(area);
  assert.deepEqual(
    groups.members.map((members) => [...members]),
    [
      [0, 3],
      [1, 2],
    ],
  );
});

test("touching points are questions of their own", () => {
  const area = areaOf("##", "#.");
  assert.equal(singlePixels(area).count, 3);
});

test("touching windows are told apart, also where the border clips them", () => {
  const area = areaOf("##.###", "##.###", "...###", "###...", "######", "######", "...###");
  assert.deepEqual(drawn(area, windows(area)), [
    "aa.bbb",
    "aa.bbb",
    "...bbb",
    "ccc...",
    "cccddd",
    "cccddd",
    "...ddd",
  ]);
});

test("an area of random disjoint windows falls into these windows", () => {
  const next = random(3);
  for (let example = 0; example < 60; example++) {
    const [width, height, side] = [6 + Math.floor(next() * 9), 6 + Math.floor(next() * 9), 3];
    const free = Array(width * height).fill(true);
    const placed = [];
    for (let attempt = 0; attempt < 12; attempt++) {
      const [x, y] = [Math.floor(next() * width), Math.floor(next() * height)];
      const inside = [];
      for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
        for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
          inside.push(row * width + column);
        }
      }
      if (inside.every((pixel) => free[pixel])) {
        inside.forEach((pixel) => (free[pixel] = false));
        placed.push(inside);
      }
    }
    const pixels = placed.flat().sort((a, b) => a - b);
    const area = makeArea(Uint32Array.from(pixels), width, height);
    const found = windows(area);
    // Where the border makes it ambiguous another tiling is as good; each group is a window.
    assert.ok(found.count >= placed.length / 2);
    for (const members of found.members) {
      const box = bounds(area, members);
      const [columns, rows] = [box.right - box.left, box.bottom - box.top];
      assert.equal(columns * rows, members.length);
      assert.ok(columns <= side && rows <= side);
    }
  }
});

test("an area that is not made of windows falls into its components", () => {
  const area = areaOf("###..", "###..", "####.", ".....", "###..", "###..", "###..");
  assert.equal(windows(area).count, 2);
});

test("fill goes over similar colours that are asked and allowed", () => {
  const area = areaOf("######", "##.###", "######");
  const colours = oklab(area, greys("110001", "110001", "119001"));
  const filled = fill(area, colours, 0, 0.2);
  assert.deepEqual(marked(area, filled), ["##....", "##....", "##...."]);
  const some = fill(area, colours, 0, 0.2, (position) => position < 6);
  assert.deepEqual(marked(area, some), ["##....", "......", "......"]);
  assert.equal(fill(area, colours, 0, 9).length, area.pixels.length);
});

test("a fill's positions ascend also beyond ten", () => {
  const area = areaOf(...EVERYWHERE);
  const colours = new Float32Array(3 * area.pixels.length);
  assert.deepEqual([...fill(area, colours, 20, 0)], [...area.pixels.keys()]);
});

test("the brush paints asked pixels only", () => {
  const area = areaOf("......", ".####.", ".####.", "......");
  const all = brushed(area, { x: 0, y: 0 }, { x: 6, y: 4 }, 20);
  assert.deepEqual(marked(area, all), ["......", ".####.", ".####.", "......"]);
  const one = brushed(area, { x: 1.5, y: 1.5 }, { x: 1.5, y: 1.5 }, 1);
  assert.deepEqual(marked(area, one), ["......", ".#....", "......", "......"]);
});

test("a fast stroke has no gaps", () => {
  const area = areaOf(...EVERYWHERE);
  const stroke = brushed(area, { x: 0.5, y: 2.5 }, { x: 5.5, y: 2.5 }, 1);
  assert.deepEqual(marked(area, stroke)[2], "######");
});

test("the nearest asked pixel is found within reach", () => {
  const area = areaOf("#....", ".....", "....#");
  assert.equal(nearestPosition(area, { x: 2, y: 0.5 }, 1.5), 0);
  assert.equal(nearestPosition(area, { x: 2, y: 0.5 }, 0.9), -1);
  assert.equal(nearestPosition(area, { x: 4.5, y: 2.5 }, 0), 1);
  assert.equal(nearestPosition(area, { x: -3, y: 7 }, 1), -1);
});

test("an outline has every side between different groups once", () => {
  const next = random(1);
  for (let example = 0; example < 40; example++) {
    const rows = Array.from({ length: 5 }, () =>
      Array.from({ length: 6 }, () => (next() < 0.6 ? "#" : ".")).join(""),
    );
    const area = areaOf(...rows);
    const ids = Int32Array.from(area.pixels, () => Math.floor(next() * 3));
    const expected = new Set();
    const part = (x, y) => {
      const position = positionAt(area, x, y);
      return position < 0 ? -1 : ids[position];
    };
    for (let y = 0; y <= 5; y++) {
      for (let x = 0; x <= 6; x++) {
        if (part(x, y) !== part(x, y - 1)) expected.add(`${x},${y}-`);
        if (part(x, y) !== part(x - 1, y)) expected.add(`${x},${y}|`);
      }
    }
    const lines = outline(area, (position) => ids[position]);
    const found = [];
    for (let i = 0; i < lines.length; i += 4) {
      for (let x = lines[i]; x < lines[i + 2]; x++) found.push(`${x},${lines[i + 1]}-`);
      for (let y = lines[i + 1]; y < lines[i + 3]; y++) found.push(`${lines[i]},${y}|`);
    }
    assert.deepEqual(found.sort(), [...expected].sort());
  }
});

test("a straight side is one line", () => {
  const area = areaOf("....", ".##.", ".##.");
  assert.equal(outline(area, () => 0).length, 4 * 4);
});

test("Oklab knows white, black and red", () => {
  const area = areaOf("###");
  const rgba = [255, 255, 255, 255, 0, 0, 0, 255, 255, 0, 0, 255];
  const expected = [1, 0, 0, 0, 0, 0, 0.628, 0.2249, 0.1258];
  oklab(area, rgba).forEach((value, i) => assert.ok(Math.abs(value - expected[i]) < 1e-3));
});

test("superpixels follow colours, are connected and stay within their segments", () => {
  const area = areaOf(...Array(8).fill("########.####"));
  const segments = components(area);
  const colours = oklab(area, greys(...Array(8).fill("1111199999999")));
  const patches = superpixels(area, colours, segments, 4);
  assert.ok(patches.count > 2 && patches.count < 24);
  patches.members.forEach((members) => {
    const lightness = new Set(Array.from(members, (position) => colours[3 * position].toFixed(2)));
    assert.equal(lightness.size, 1);
    assert.equal(new Set(Array.from(members, (position) => segments.ids[position])).size, 1);
  });
  assert.equal(components(area, patches.ids).count, patches.count);
});

test("superpixels of noise have no crumbs where there is a neighbour to join", () => {
  const next = random(5);
  const area = areaOf(...Array(24).fill("#".repeat(24)));
  const colours = Float32Array.from({ length: 3 * 576 }, () => next());
  const patches = superpixels(area, colours, components(area), 6);
  assert.ok(Math.min(...patches.members.map((members) => members.length)) >= 4);
  const sizes = patches.members.map((members) => members.length);
  assert.equal(
    sizes.reduce((a, b) => a + b),
    576,
  );
});

test("pixels outside of the image are refused", () => {
  assert.throws(() => makeArea(Uint32Array.of(6), 2, 3), /outside/);
});

test("inside of a polygon are the asked pixels whose centres are, also of one that leaves the image", () => {
  const area = areaOf("######", "###..#", "######");
  const inside = (...corners) =>
    marked(area, insidePolygon(area, corners.map(([x, y]) => ({ x, y }))));
  assert.deepEqual(inside([1, 0], [5, 0], [5, 2], [1, 2]), [".####.", ".##...", "......"]);
  assert.deepEqual(inside([-9, 1.2], [2.6, 1.2], [2.6, 9], [-9, 9]), ["......", "###...", "###..."]);
  assert.deepEqual(inside([0, 0], [6, 3], [6, 0], [0, 3]), ["#....#", "###..#", "#....#"]);
  assert.deepEqual(inside([0, 0], [6, 3]), ["......", "......", "......"]);
});
