import assert from "node:assert/strict";
import test from "node:test";

import { decodeRuns, encodeRuns } from "../../../../labor_jax/annotation/labelling_tool/page/pixel_runs.js";
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
