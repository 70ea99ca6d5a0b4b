/** The keys of the classes unless others are chosen, in order: those that no command uses. */
export const CLASS_KEYS = [..."123456789qwertyiadjklcv"];

/**
 * What each key does besides labelling. `/`, `[`, `]` and `-` have a second key, for keyboards where
 * they share a key with a digit, as `/` does on German ones and `-` on French ones.
 *
 * @type {Record<string, string>}
 */
const COMMANDS = {
  0: "void",
  x: "void",
  u: "undo",
  U: "redo",
  s: "skip",
  n: "next open",
  p: "previous open",
  b: "brighten",
  f: "fill",
  g: "unit",
  G: "split",
  P: "polygon",
  h: "hide",
  m: "guess",
  o: "items",
  z: "zoom to current",
  "+": "zoom in",
  "=": "zoom in",
  "-": "zoom out",
  Z: "zoom out",
  "[": "smaller brush",
  "<": "smaller brush",
  "]": "larger brush",
  ">": "larger brush",
  ",": "less overlay",
  ".": "more overlay",
  "?": "help",
  "/": "search",
  F: "search",
  Enter: "submit",
  Backspace: "take back a corner",
  Escape: "drop the polygon",
  Home: "whole image",
  ArrowLeft: "left",
  ArrowRight: "right",
  ArrowUp: "up",
  ArrowDown: "down",
};

/**
 * @typedef {{command: string} | {pick: number} | {label: number}} Meaning A command, a class to pick
 *   for the next click, or a class to label the current unit with.
 */

/**
 * A press of a key, as far as its meaning depends on it.
 *
 * @typedef {{key: string, code: string, shiftKey: boolean, ctrlKey: boolean, metaKey: boolean,
 *   altKey: boolean, getModifierState?: (name: string) => boolean}} Press
 */

/**
 * @param {Press} event
 * @param {string[]} keys The key of each class, "" for none.
 * @returns {Meaning | null}
 */
export function meaning(event, keys) {
  const { shiftKey } = event;
  const key = latin(event);
  // Some systems report AltGr as Ctrl and Alt, too.
  const ctrlKey = event.ctrlKey && !isAltGr(event);
  const altKey = event.altKey && !isAltGr(event);
  if (ctrlKey || event.metaKey) {
    if (key === "z" || key === "Z") {
      return { command: shiftKey ? "redo" : "undo" };
    }
    return key === "y" ? { command: "redo" } : null;
  }
  if (altKey) {
    return null;
  }
  const name = keyOf(event);
  const number = name ? keys.indexOf(name) : -1;
  if (number >= 0) {
    return shiftKey ? { pick: number } : { label: number };
  }
  const command = commandOf(key);
  return command ? { command } : null;
}

/** The key without shift, as a class may have it. @param {Press} event */
export function keyOf(event) {
  // Use the digit's place on the keyboard, because with shift it gives another character.
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code);
  return digit && event.shiftKey ? digit[1] : latin(event).toLowerCase();
}

/** @param {string} key @returns {string | undefined} What a key does besides labelling. */
export function commandOf(key) {
  return Object.hasOwn(COMMANDS, key) ? COMMANDS[key] : undefined;
}

/** Whether AltGr is held: it makes a character of its own. @param {Press} event */
function isAltGr(event) {
  return event.getModifierState?.("AltGraph") ?? false;
}

/**
 * The key's Latin letter; on keyboards of other scripts, the one at its place.
 *
 * @param {Press} event
 */
function latin(event) {
  const { key, code, shiftKey } = event;
  if (isAltGr(event)) {
    return key;
  }
  const place = /^Key([A-Z])$/.exec(code);
  if (place && key.length === 1 && key > "\u007f") {
    return shiftKey ? place[1] : place[1].toLowerCase();
  }
  // French keyboards need shift for digits.
  const digit = /^Digit([0-9])$/.exec(code);
  if (digit && !shiftKey) {
    return digit[1];
  }
  // With caps lock on, u is still undo.
  return /^[a-z]$/i.test(key) ? (shiftKey ? key.toUpperCase() : key.toLowerCase()) : key;
}
