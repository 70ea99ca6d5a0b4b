import { UNITS } from "./cursor.js";
import { hideHint } from "./hints.js";
import { byId } from "./messages.js";

/**
 * @param {import("./page.js").Page} page
 * @returns {Record<string, () => void>} What each command of `keys.js` does.
 */
export function makeCommands(page) {
  const { controls, viewport } = page;
  const isOffered = (/** @type {import("./cursor.js").Unit} */ unit) =>
    (unit !== "patch" || page.session.settings.superpixels) &&
    (unit !== "whole" || page.edited?.isDivided);
  const next = (/** @type {import("./cursor.js").Unit} */ unit) => {
    const units = UNITS.filter(isOffered);
    return units[(units.indexOf(unit) + 1) % units.length];
  };
  return {
    void: () => page.label(page.entries[page.entries.length - 1]),
    confirm: () => page.confirm(),
    undo: () => page.change("undo"),
    redo: () => page.change("redo"),
    submit: () => page.submit(),
    skip: () => page.skip(),
    "next open": () => page.goToOpen(1),
    "previous open": () => page.goToOpen(-1),
    left: () => page.step(-1, 0),
    right: () => page.step(1, 0),
    up: () => page.step(0, -1),
    down: () => page.step(0, 1),
    fill: () => page.switchUnit((unit) => (unit === "similar" ? "segment" : "similar")),
    unit: () => page.switchUnit(next),
    split: () => page.split(),
    polygon: () => page.switchPolygon(),
    "take back a corner": () => page.takeBackCorner(),
    "drop the polygon": () => page.clearPolygon(),
    brighten: () => {
      hideHint();
      controls.switchBrighten();
    },
    hide: () => page.hideOverlay(true),
    guess: () => controls.switchGuess(),
    items: () => page.showItems(),
    "zoom to current": () => page.zoomToCurrent(),
    "zoom in": () => viewport.zoomBy(1.3),
    "zoom out": () => viewport.zoomBy(1 / 1.3),
    "whole image": () => viewport.showWhole(),
    "smaller brush": () => controls.growBrush(-1),
    "larger brush": () => controls.growBrush(1),
    "less overlay": () => controls.addOpacity(-0.1),
    "more overlay": () => controls.addOpacity(0.1),
    help: () => byId("help-dialog").showModal(),
    search: () => page.palette.search(),
  };
}
