import { byId } from "./messages.js";
import { NAMES } from "./edited_item.js";

/**
 * The introduction: three steps, one after the other, which Escape or a button ends at any time.
 *
 * @param {import("./edited_item.js").Item["kind"] | null} kind What the round asks, if it is known.
 * @returns {() => Promise<void>} Shows it; done when it is closed.
 */
export function introduction(kind) {
  const dialog = byId("intro-dialog");
  const steps = /** @type {HTMLElement[]} */ ([...dialog.querySelectorAll(".step")]);
  let at = 0;
  const [one, many] = NAMES[kind ?? "mask"];
  dialog.querySelectorAll(".asked-one").forEach((word) => (word.textContent = one));
  dialog.querySelectorAll(".asked").forEach((word) => (word.textContent = many));

  const ways = /** @type {HTMLElement[]} */ ([...dialog.querySelectorAll("[data-kinds]")]);
  const own = ways.find((way) => kind && way.dataset.kinds?.split(" ").includes(kind));
  ways.forEach((way) => (way.hidden = own ? way !== own : way.dataset.kinds !== ""));

  /** @param {number} step */
  function go(step) {
    at = step;
    steps.forEach((each, i) => (each.hidden = i !== at));
    dialog.setAttribute("aria-labelledby", steps[at].querySelector("h2")?.id ?? "");
    byId("intro-back").hidden = at === 0;
    byId("intro-skip").hidden = at === steps.length - 1;
    byId("intro-next").textContent = at === steps.length - 1 ? "Start labelling" : "Next";
    byId("intro-place").textContent = `${at + 1} of ${steps.length}`;
    byId("intro-next").focus();
  }

  byId("intro-back").addEventListener("click", () => go(at - 1));
  byId("intro-skip").addEventListener("click", () => dialog.close());
  byId("intro-next").addEventListener("click", () =>
    at === steps.length - 1 ? dialog.close() : go(at + 1),
  );

  return async () => {
    dialog.showModal();
    go(0);
    await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
  };
}
