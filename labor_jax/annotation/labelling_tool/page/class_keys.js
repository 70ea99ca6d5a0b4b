import { CLASS_KEYS, commandOf, keyOf } from "./keys.js";

/** Which key labels with which class. Annotators may choose; the browser keeps it by class list. */

/** @param {number} classes @returns {string[]} Those beyond the last key have "". */
export function defaultKeys(classes) {
  return Array.from({ length: classes }, (_, i) => CLASS_KEYS[i] ?? "");
}

/**
 * The keys of a list of classes.
 *
 * @param {string[]} names Of the classes.
 * @param {Record<string, string[]>} chosen By list of classes, as `keep` makes it.
 * @returns {string[]}
 */
export function keysFor(names, chosen) {
  const keys = chosen[JSON.stringify(names)];
  const isWhole =
    Array.isArray(keys) &&
    keys.length === names.length &&
    keys.every((key, i) => key === "" || (isKey(key) && keys.indexOf(key) === i));
  return isWhole ? keys : defaultKeys(names.length);
}

/**
 * @param {string[]} names Of the classes.
 * @param {Record<string, string[]>} chosen
 * @param {string[] | null} keys Null for the default ones.
 * @returns {Record<string, string[]>} All lists' keys, with these.
 */
export function keep(names, chosen, keys) {
  const { [JSON.stringify(names)]: _, ...others } = chosen;
  return keys ? { ...others, [JSON.stringify(names)]: keys } : others;
}

/**
 * Gives a class a key. A class that had it gets the former key of this one.
 *
 * @param {string[]} names Of the classes.
 * @param {string[]} keys
 * @param {number} at The class.
 * @param {import("./keys.js").Press} event The press of the new key.
 * @returns {{keys: string[] | null, message: string}} The new keys, null if the key can't be one;
 *   and what happened, or why nothing did.
 */
export function assign(names, keys, at, event) {
  const key = keyOf(event);
  // Shift and a class's key choose the class. Of other characters than these, shift makes another.
  const isOtherCharacter = event.shiftKey && !/^[\p{L}\d]$/u.test(key);
  if (!isKey(key) || isOtherCharacter || event.ctrlKey || event.metaKey || event.altKey) {
    const command = commandOf(key);
    const why = command ? `already stands for “${command}”` : "can't be a class's key";
    return { keys: null, message: `The key ${event.key} ${why}. Press another for ${names[at]}.` };
  }
  const other = keys.indexOf(key);
  const changed = keys.map((each, i) => (i === other ? keys[at] : each));
  changed[at] = key;
  const isSwap = other >= 0 && other !== at;
  const rest = keys[at] ? `has ${keys[at]} instead` : "has no key now";
  return {
    keys: changed,
    message: `${names[at]} has the key ${key}.` + (isSwap ? ` ${names[other]} ${rest}.` : ""),
  };
}

/** @param {unknown} key */
function isKey(key) {
  return typeof key === "string" && /^[^\s\p{C}]$/u.test(key) && !commandOf(key);
}
