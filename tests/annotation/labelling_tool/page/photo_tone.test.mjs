import assert from "node:assert/strict";
import test from "node:test";

import {
  histogramOf,
  isDarkPhoto,
  toneTable,
} from "../../../../labor_jax/annotation/labelling_tool/page/photo_tone.js";
import { isSmooth } from "../../../../labor_jax/annotation/labelling_tool/page/pixel_grid.js";
import { random } from "./pictures.mjs";

const PLAIN = { brightness: 0, contrast: 0, brighten: false };

/** A photo of grey pixels with these values. */
function photo(values) {
  return Uint8ClampedArray.from(values.flatMap((value) => [value, value, value, 255]));
}

/** Dusk: most of it between 5 and 40, some sky. */
const next = random(4);
const DUSK = photo(
  Array.from({ length: 5000 }, (_, i) => Math.round(i % 5 ? 5 + 35 * next() : 180 + 50 * next())),
);

test("without settings a photo is as it is", () => {
  const table = toneTable(PLAIN, histogramOf(DUSK));
  assert.deepEqual([...table], [...Array(256).keys()]);
});

test("brightening spreads dark values, keeps their order, and leaves the sky brighter", () => {
  const table = toneTable({ ...PLAIN, brighten: true }, histogramOf(DUSK));
  assert.ok(table.every((value, i) => i === 0 || value >= table[i - 1]));
  assert.ok(table[40] - table[5] > 2.5 * 35 && table[40] > 90);
  assert.ok(table[200] > table[40] && table[255] > 245);
});

test("brightening hardly changes what is spread already, and never makes noise of one grey", () => {
  const even = histogramOf(photo([...Array(256).keys()]));
  toneTable({ ...PLAIN, brighten: true }, even).forEach((value, i) =>
    assert.ok(Math.abs(value - i) <= 2),
  );
  const flat = toneTable({ ...PLAIN, brighten: true }, histogramOf(photo([30, 30, 31])));
  assert.ok(flat[31] - flat[30] <= 6);
});

test("brightness keeps black and white, contrast keeps the middle", () => {
  const histogram = histogramOf(DUSK);
  for (const brightness of [-1, -0.3, 0.5, 1]) {
    const table = toneTable({ ...PLAIN, brightness }, histogram);
    assert.deepEqual([table[0], table[255]], [0, 255]);
    assert.equal(Math.sign(table[100] - 100), Math.sign(brightness));
  }
  const steep = toneTable({ ...PLAIN, contrast: 1 }, histogram);
  const flat = toneTable({ ...PLAIN, contrast: -1 }, histogram);
  assert.ok(steep[90] < 20 && steep[165] > 235 && Math.abs(steep[128] - 128) <= 2);
  assert.ok(flat[0] > 90 && flat[255] < 165);
});

test("photos count as dark when most of them are", () => {
  assert.ok(isDarkPhoto(histogramOf(DUSK)));
  assert.ok(!isDarkPhoto(histogramOf(photo([...Array(256).keys()]))));
});

test("photos are smooth until their pixels are large, and always when they shrink", () => {
  assert.ok(isSmooth(7, 2, true) && !isSmooth(7, 2, false));
  assert.ok(!isSmooth(30, 1, true));
  assert.ok(isSmooth(0.4, 2, false));
});
