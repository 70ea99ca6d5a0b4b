import { byId } from "./messages.js";
import { NAMES } from "./edited_item.js";

/** How long a hint is shown, unless the annotator goes on before. */
const HINT_MILLISECONDS = 8000;

/** @typedef {import("./edited_item.js").Item["kind"]} Kind */

/** Why a key labelled nothing: everything has a label. @param {Kind} kind */
export function allAnswered(kind) {
  const one = NAMES[kind][0];
  return (
    "All are answered. Press Enter to submit. " +
    `To change a ${one}, go to it with ← or →, or click it.`
  );
}

/** Why a click or a stroke labelled nothing. @param {Kind} kind @param {boolean} isStroke */
export function notAsked(kind, isStroke) {
  const asked = `Nothing is asked here: only the outlined ${NAMES[kind][1]} can be labelled.`;
  return isStroke
    ? `${asked} To move the image, hold Space and drag, or use two fingers.`
    : asked;
}

export const DARK_PHOTO = "This photo is dark. Brighten it with b, or beside the image.";

export const NO_CLASS = "This part has no class yet. Name its classes, or press 0 if it is void.";

let timer = 0;

/** Explains something over the image, for a while. @param {string} text */
export function showHint(text) {
  window.clearTimeout(timer);
  // Screen readers announce it again only if it changes.
  byId("hint").textContent = "";
  byId("hint").classList.add("shown");
  requestAnimationFrame(() => (byId("hint").textContent = text));
  timer = window.setTimeout(hideHint, HINT_MILLISECONDS);
}

export function hideHint() {
  window.clearTimeout(timer);
  byId("hint").classList.remove("shown");
}
