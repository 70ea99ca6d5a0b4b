/** The keys of the classes, in order: those that no command uses. */
export const CLASS_KEYS = [..."123456789qwertyiadjklcvb"];

/** @type {Record<string, string>} */
const COMMANDS = {
  0: "void",
  x: "void",
  u: "undo",
  U: "redo",
  s: "skip",
  n: "next open",
  p: "previous open",
  f: "fill",
  g: "unit",
  G: "split",
  h: "hide",
  m: "guess",
  o: "items",
  z: "zoom to current",
  "+": "zoom in",
  "=": "zoom in",
  "-": "zoom out",
  "[": "smaller brush",
  "]": "larger brush",
  ",": "less overlay",
  ".": "more overlay",
  "?": "help",
  "/": "search",
  Enter: "submit",
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
 * @param {{key: string, code: string, shiftKey: boolean, ctrlKey: boolean, metaKey: boolean,
 *   altKey: boolean}} event
 * @param {number} classes The number of classes.
 * @returns {Meaning | null}
 */
export function meaning(event, classes) {
  const { shiftKey, altKey } = event;
  const key = latin(event);
  if (event.ctrlKey || event.metaKey) {
    if (key === "z" || key === "Z") {
      return { command: shiftKey ? "redo" : "undo" };
    }
    return key === "y" ? { command: "redo" } : null;
  }
  if (altKey) {
    return null;
  }
  // Use the digit's place on the keyboard, because with shift it gives another character.
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code);
  const number = CLASS_KEYS.indexOf(digit && shiftKey ? digit[1] : key.toLowerCase());
  if (number >= 0 && number < classes) {
    return shiftKey ? { pick: number } : { label: number };
  }
  const command = COMMANDS[key];
  return command ? { command } : null;
}

/**
 * The key's Latin letter; on keyboards of other scripts, the one at its place.
 *
 * @param {{key: string, code: string, shiftKey: boolean}} event
 */
function latin({ key, code, shiftKey }) {
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
