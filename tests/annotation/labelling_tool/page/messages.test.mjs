import assert from "node:assert/strict";
import test from "node:test";

import { showNothingOpen } from "../../../../labor_jax/annotation/labelling_tool/page/messages.js";

const elements = {};
globalThis.document = {
  getElementById: (id) => (elements[id] ??= { replaceChildren() {} }),
  createElement: () => ({}),
};

const held = (items) => `${items} being labelled by others. Any that they give back will appear here.`;
const left = (items) =>
  `${items} for somebody else: who gave one opinion of an image may not give the other.`;

for (const [items, done, leased, text] of [
  [4, 1, 3, held("3 items are")],
  [4, 2, 0, left("2 items wait")],
  [4, 2, 1, `${held("1 item is")} ${left("1 item waits")}`],
  [4, 3, 2, held("1 item is")], // the other corrects an answer
  [4, 4, 0, "The run has not asked about all images yet."],
]) {
  test(`nothing is open: ${done} of ${items} items are done, and ${leased} are held`, () => {
    showNothingOpen({ round: 1 }, { items, done, leased, round_complete: false });
    assert.equal(elements["message-text"].textContent, text);
  });
}
