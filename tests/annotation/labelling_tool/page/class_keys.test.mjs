import assert from "node:assert/strict";
import test from "node:test";

import {
  assign,
  defaultKeys,
  keep,
  keysFor,
} from "../../../../labor_jax/annotation/labelling_tool/page/class_keys.js";

const NAMES = ["road", "sky", "car"];

function press(key, code = `Key${key.toUpperCase()}`, modifiers = {}) {
  const event = { key, code, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false };
  return { ...event, ...modifiers };
}

test("each list of classes keeps its own keys, until it is reset", () => {
  const chosen = keep(NAMES, {}, ["r", "2", ""]);
  assert.deepEqual(keysFor(NAMES, chosen), ["r", "2", ""]);
  assert.deepEqual(keysFor(["road", "sky"], chosen), defaultKeys(2));
  const both = keep(["road", "sky"], chosen, ["a", "b"]);
  assert.deepEqual(keysFor(NAMES, both), ["r", "2", ""]);
  assert.deepEqual(keysFor(NAMES, keep(NAMES, both, null)), ["1", "2", "3"]);
});

test("stored nonsense is ignored: wrong lengths, keys twice, keys of commands", () => {
  for (const keys of [["r"], ["r", "r", ""], ["u", "2", "3"], ["ab", "2", "3"], "123", [1, 2, 3]]) {
    assert.deepEqual(keysFor(NAMES, { [JSON.stringify(NAMES)]: keys }), ["1", "2", "3"]);
  }
});

test("a free key is taken", () => {
  const { keys, message } = assign(NAMES, ["1", "2", "3"], 1, press("k"));
  assert.deepEqual(keys, ["1", "k", "3"]);
  assert.equal(message, "sky has the key k.");
});

test("a key of another class is exchanged, and that is told", () => {
  const { keys, message } = assign(NAMES, ["1", "2", "3"], 1, press("3", "Digit3"));
  assert.deepEqual(keys, ["1", "3", "2"]);
  assert.equal(message, "sky has the key 3. car has 2 instead.");
  const keyless = assign(NAMES, ["1", "", "3"], 1, press("3", "Digit3"));
  assert.deepEqual(keyless.keys, ["1", "3", ""]);
  assert.match(keyless.message, /car has no key now/);
  assert.deepEqual(assign(NAMES, ["1", "2", "3"], 1, press("2", "Digit2")).keys, ["1", "2", "3"]);
});

test("keys of commands, and those that aren't single characters, are refused with a reason", () => {
  const refused = (event) => {
    const { keys, message } = assign(NAMES, ["1", "2", "3"], 0, event);
    assert.equal(keys, null);
    return message;
  };
  assert.match(refused(press("u")), /“undo”.*Press another for road/);
  assert.match(refused(press("b")), /“brighten”/);
  assert.match(refused(press("0", "Digit0")), /“void”/);
  assert.match(refused(press("F5", "F5")), /can't be/);
  assert.match(refused(press(" ", "Space")), /can't be/);
  assert.match(refused(press(":", "Semicolon", { shiftKey: true })), /can't be/);
  assert.match(refused(press("k", "KeyK", { ctrlKey: true })), /can't be/);
});

test("shift and caps lock make no other key", () => {
  const { keys } = assign(NAMES, ["1", "2", "3"], 0, press("K", "KeyK", { shiftKey: true }));
  assert.deepEqual(keys, ["k", "2", "3"]);
});
