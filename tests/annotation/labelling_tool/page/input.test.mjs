import assert from "node:assert/strict";
import test from "node:test";

import { Activity, PAUSE_SECONDS } from "../../../../labor_jax/annotation/labelling_tool/page/activity.js";
import { CLASS_KEYS, meaning } from "../../../../labor_jax/annotation/labelling_tool/page/keys.js";
import { DEFAULTS, preferences } from "../../../../labor_jax/annotation/labelling_tool/page/preferences.js";

function press(
  key,
  modifiers = {},
  code = /[a-z]/i.test(key) ? `Key${key.toUpperCase()}` : `Digit${key}`,
) {
  const event = { key, code, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false };
  return meaning({ ...event, ...modifiers }, CLASS_KEYS.slice(0, 19));
}

test("every class key labels, and no command has it", () => {
  assert.equal(new Set(CLASS_KEYS).size, CLASS_KEYS.length);
  CLASS_KEYS.slice(0, 19).forEach((key, number) => assert.deepEqual(press(key), { label: number }));
  for (const key of "0xusnpbfghmoz") assert.ok(press(key).command, key);
});

test("keys of classes that aren't there do nothing", () => {
  assert.equal(press(CLASS_KEYS[19]), null);
});

test("chosen keys label, and those that no class has do nothing", () => {
  const keys = ["ö", "", "k"];
  const pressed = (key, code) =>
    meaning({ key, code, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false }, keys);
  assert.deepEqual(pressed("ö", "Semicolon"), { label: 0 });
  assert.deepEqual(pressed("k", "KeyK"), { label: 2 });
  assert.equal(pressed("1", "Digit1"), null);
  assert.equal(pressed("", ""), null);
});

test("shift picks a class", () => {
  assert.deepEqual(press("Q", { shiftKey: true }, "KeyQ"), { pick: CLASS_KEYS.indexOf("q") });
  assert.deepEqual(press("!", { shiftKey: true }, "Digit1"), { pick: 0 });
});

test("undo and redo have all their keys", () => {
  assert.deepEqual(press("u"), { command: "undo" });
  assert.deepEqual(press("U", { shiftKey: true }), { command: "redo" });
  for (const held of ["ctrlKey", "metaKey"]) {
    assert.deepEqual(press("z", { [held]: true }), { command: "undo" });
    assert.deepEqual(press("Z", { [held]: true, shiftKey: true }), { command: "redo" });
    assert.deepEqual(press("y", { [held]: true }), { command: "redo" });
  }
});

test("caps lock changes nothing", () => {
  assert.deepEqual(press("U"), { command: "undo" });
  assert.deepEqual(press("Q"), { label: CLASS_KEYS.indexOf("q") });
  assert.deepEqual(press("q", { shiftKey: true }), { pick: CLASS_KEYS.indexOf("q") });
});

test("the browser keeps its own shortcuts", () => {
  assert.equal(press("r", { ctrlKey: true }), null);
  assert.equal(press("1", { altKey: true }), null);
  assert.equal(press("Tab", {}, "Tab"), null);
});

test("other keyboards work: French digits, Cyrillic letters, the number pad", () => {
  assert.deepEqual(press("&", {}, "Digit1"), { label: 0 });
  assert.deepEqual(press("à", {}, "Digit0"), { command: "void" });
  assert.deepEqual(press("г", {}, "KeyU"), { command: "undo" });
  assert.deepEqual(press("3", {}, "Numpad3"), { label: 2 });
});

test("every command has a key where its first one shares a key with a digit", () => {
  // "/" on German keyboards and "-" on French ones.
  assert.deepEqual(press("/", { shiftKey: true }, "Digit7"), { pick: 6 });
  assert.deepEqual(press("-", {}, "Digit6"), { label: 5 });
  for (const [first, code, second, place, shiftKey = true] of [
    ["/", "Slash", "F", "KeyF"],
    ["-", "Minus", "Z", "KeyY"],
    ["[", "BracketLeft", "<", "IntlBackslash", false],
    ["]", "BracketRight", ">", "IntlBackslash"],
  ]) {
    const meant = press(first, {}, code);
    assert.ok(meant.command, first);
    assert.deepEqual(press(second, { shiftKey }, place), meant);
  }
});

test("AltGr and a digit is the character that it makes, and no digit", () => {
  const altGr = { getModifierState: (name) => name === "AltGraph" };
  for (const held of [altGr, { ...altGr, ctrlKey: true, altKey: true }]) {
    assert.deepEqual(press("[", held, "Digit8"), { command: "smaller brush" });
    assert.deepEqual(press("]", held, "Digit9"), { command: "larger brush" });
    assert.equal(press("{", held, "Digit7"), null);
  }
});

test("only time at work counts", () => {
  let now = 0;
  const activity = new Activity(() => now);
  now = 4000;
  activity.input();
  now = 5500;
  assert.equal(activity.take(), 5.5);
  assert.equal(activity.take(), 0);
  now += 3_600_000;
  activity.input();
  assert.equal(activity.take(), PAUSE_SECONDS);
  now += 2000;
  activity.setVisible(false);
  now += 9000;
  activity.setVisible(true);
  now += 1000;
  assert.equal(activity.take(), 3);
  now += 7000;
  activity.restart();
  assert.equal(activity.take(), 0);
});

test("a page that is opened in a hidden tab counts from when it is seen", () => {
  let now = 0;
  const activity = new Activity(() => now, false);
  now = 20_000;
  activity.setVisible(true);
  now += 2000;
  assert.equal(activity.take(), 2);
});

test("preferences are kept, and nonsense in their place is ignored", () => {
  const kept = new Map();
  const storage = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => kept.set(key, value),
  };
  assert.equal(preferences(storage).opacity, DEFAULTS.opacity);
  preferences(storage).annotator = "Ada";
  assert.equal(preferences(storage).annotator, "Ada");
  kept.forEach((_, key) => kept.set(key, "{"));
  assert.equal(preferences(storage).annotator, "");
});
