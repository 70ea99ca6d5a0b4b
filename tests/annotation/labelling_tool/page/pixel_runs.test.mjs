import assert from "node:assert/strict";
import test from "node:test";

import { Labels } from "../../../../labor_jax/annotation/labelling_tool/page/labels.js";
import {
  decodeBits,
  decodeRuns,
  encodePixels,
  encodeRuns,
} from "../../../../labor_jax/annotation/labelling_tool/page/pixel_runs.js";
import { makeArea } from "../../../../labor_jax/annotation/labelling_tool/page/area.js";
import { random } from "./pictures.mjs";

test("runs of pixels", () => {
  assert.deepEqual(encodeRuns([]), []);
  assert.deepEqual(encodeRuns([0, 1, 2, 7, 9, 10]), [0, 3, 7, 1, 9, 2]);
  assert.deepEqual([...decodeRuns([0, 3, 7, 1, 9, 2])], [0, 1, 2, 7, 9, 10]);
});

test("decoding undoes encoding", () => {
  const next = random(7);
  for (let example = 0; example < 100; example++) {
    const pixels = [...Array(50).keys()].filter(() => next() < 0.5);
    assert.deepEqual([...decodeRuns(encodeRuns(pixels))], pixels);
  }
});

test("what is no list of runs is refused", () => {
  for (const runs of [[1], [0, 0], [3, 1, 2, 1], [0, 2, 1, 1], [-1, 2], [0.5, 1], ["0", 1]]) {
    assert.throws(() => decodeRuns(runs), RangeError);
  }
});

test("many short runs are sent as a bit for each asked pixel", () => {
  const next = random(7);
  const [width, height] = [400, 300];
  const asked = [...Array(width * height).keys()].filter((pixel) => pixel % width > 10);
  const labels = new Labels(makeArea(Uint32Array.from(asked), width, height));
  const texture = Uint32Array.from(asked.keys()).filter(() => next() < 0.5);
  const sent = labels.sent(texture);
  assert.equal(typeof sent, "string");
  assert.ok(sent.length <= asked.length / 6 + 4);
  assert.deepEqual(labels.positions(sent), texture);
  const whole = labels.sent(Uint32Array.from(asked.keys()));
  assert.deepEqual(whole.length, 2 * height, "few long runs stay runs");
  assert.equal(labels.positions(whole).length, asked.length);
});

test("the first asked pixel is the lowest bit", () => {
  const runs = Array(10_002).fill(1);
  assert.equal(encodePixels(runs, [0, 9, 15], 16), "AYI=");
  assert.deepEqual([...decodeBits("AYI=")], [0, 9, 15]);
  assert.equal(encodePixels(runs, [0], 10 ** 6), runs, "bits are longer here");
});
