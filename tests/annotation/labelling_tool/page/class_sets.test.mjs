import assert from "node:assert/strict";
import test from "node:test";

import { ClassSets } from "../../../../labor_jax/annotation/labelling_tool/page/class_sets.js";
import { OPEN } from "../../../../labor_jax/annotation/labelling_tool/page/labels.js";
import { components } from "../../../../labor_jax/annotation/labelling_tool/page/partitions.js";
import { areaOf, random } from "./pictures.mjs";

function setsOf(...rows) {
  const area = areaOf(...rows);
  return new ClassSets(area, components(area));
}

test("a class is added and taken away, and void takes all away", () => {
  const sets = setsOf("##.#");
  assert.deepEqual([...sets.toggle([0], 4)], [0, 1]);
  assert.deepEqual([...sets.values], [4, 4, OPEN]);
  sets.toggle([0, 1], 2);
  assert.deepEqual(sets.sets, [[2, 4], [2]]);
  assert.deepEqual([...sets.values], [255, 255, 2]);
  sets.toggle([0, 1], 255);
  assert.deepEqual([...sets.values], [255, 255, 255]);
  sets.toggle([1], 255);
  assert.equal(sets.open, 1);
  sets.undo();
  sets.undo();
  assert.deepEqual(sets.sets, [[2, 4], [2]]);
  assert.deepEqual([...sets.values], [255, 255, 2]);
});

test("undo and redo, and any number of them, follow a plain history", () => {
  const next = random(5);
  const sets = setsOf("#.#.#");
  const now = () => JSON.stringify([sets.sets, [...sets.values]]);
  const states = [now()];
  let at = 0;
  for (let step = 0; step < 300; step++) {
    const action = next();
    if (action < 0.5) {
      const label = [0, 1, 2, 255][Math.floor(next() * 4)];
      sets.toggle([0, 1, 2].filter(() => next() < 0.5), label);
      states.splice(++at, Infinity, now());
    } else if (action < 0.8) {
      assert.equal(sets.undo() !== null, at > 0);
      at = Math.max(0, at - 1);
    } else {
      assert.equal(sets.redo() !== null, at < states.length - 1);
      at = Math.min(states.length - 1, at + 1);
    }
    assert.equal(now(), states[at]);
  }
});

test("the server's classes win", () => {
  const sets = setsOf("#.#");
  sets.toggle([0], 1);
  sets.replace([[1, [0, 1]]], [[1], []]);
  assert.ok(sets.canUndo);
  sets.replace([[255, [0, 1]]], [[1, 3], []]);
  assert.deepEqual(sets.sets, [[1, 3], []]);
  assert.ok(!sets.canUndo);
});
