import assert from "node:assert/strict";
import test from "node:test";

import { encodeRuns } from "../../../../labor_jax/annotation/labelling_tool/page/pixel_runs.js";
import { Queue } from "../../../../labor_jax/annotation/labelling_tool/page/queue.js";

/** What the page has of a browser here: elements that show nothing, and images of two pixels. */
const ink = { drawImage() {}, getImageData: () => ({ data: new Uint8ClampedArray(8) }) };
globalThis.document = {
  getElementById: (id) => (elements[id] ??= { hidden: true, textContent: "", replaceChildren() {} }),
  createElement: () => ({ getContext: () => ink }),
};
globalThis.Image = class {
  async decode() {}
};
globalThis.window = { addEventListener() {} };
globalThis.setInterval = () => {};
let elements = {};

const refusal = { status: 409, error: "lost" };

/** A queue to a server that gives the items that are asked for, and else `give` in this order. */
async function queueTo(give, { refuses = () => false } = {}) {
  elements = {};
  const kept = new Map();
  globalThis.localStorage = {
    get length() {
      return kept.size;
    },
    key: (index) => [...kept.keys()][index] ?? null,
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => kept.set(key, value),
    removeItem: (key) => kept.delete(key),
  };
  const seen = { asked: [], kept, annotator: "Ann", warning: () => elements["warning-text"] };
  let leases = 0;
  const answers = (path, body) => {
    const progress = { items: 9, done: 0 };
    const [, item, action] = path.match(/items\/(.*)\/(.*)/) ?? [null, null, "next"];
    const { annotator, prefer, after, lease, label } = body;
    seen.asked.push({ action, item, annotator, prefer, after, lease, label });
    if (refuses(seen.asked.at(-1))) return refusal;
    const id = action === "reopen" ? item : action === "next" && (prefer ?? give.shift());
    return id
      ? { item: { ...itemOf(id), lease: `${annotator} ${++leases}`, progress } }
      : { ...itemOf(item), progress, item: null };
  };
  globalThis.fetch = async (path, { body }) => {
    const answer = body ? answers(path, JSON.parse(body)) : { round: 1 };
    return new Response(JSON.stringify(answer), { status: answer.status ?? 200 });
  };
  seen.queue = new Queue({
    session: { run_id: "run", settings: { lease_seconds: 120, superpixels: false } },
    activity: { take: () => 0, restart() {}, idle: () => 0 },
    annotator: () => seen.annotator,
    onOpen() {},
    onChange() {},
  });
  await seen.queue.start();
  return seen;
}

function itemOf(id) {
  const asked = encodeRuns([0, 1]);
  return { id, name: id, kind: "mask", width: 2, height: 1, asked, labels: [], guess: null };
}

/** Signs in under another name. */
async function signIn(seen, name) {
  seen.annotator = name;
  await seen.queue.annotatorChanged();
}

test("after corrections the images that were left come back, the last one first", async () => {
  const { queue, asked } = await queueTo(["b", "e"]);
  for (const id of ["a", "c", "d"]) await queue.reopen(id);
  const opened = [];
  for (let i = 0; i < 4; i++) {
    await queue.leave("submit");
    opened.push(queue.edited.item.id);
  }
  assert.deepEqual(opened, ["c", "a", "b", "e"]);
  const nexts = asked.filter(({ action }) => action === "next").slice(1);
  assert.deepEqual(
    nexts.map(({ prefer, after }) => [prefer, after]),
    [
      ["c", "d"],
      ["a", "c"],
      ["b", "a"],
      [undefined, "b"],
    ],
  );
});

test("an image that another page has opened since isn't asked for after a correction", async () => {
  const refuses = ({ action, item }) => action === "renew" && item === "b";
  const { queue, asked } = await queueTo(["b", "e"], { refuses });
  await queue.reopen("a");
  await queue.leave("submit");
  const [renew, next] = asked.slice(-2);
  assert.deepEqual([renew.item, renew.lease], ["b", "Ann 1"]);
  assert.deepEqual([next.prefer, next.after, queue.edited.item.id], [undefined, "a", "e"]);
});

test("an image that was only looked at precedes none that is half labelled", async () => {
  const { queue } = await queueTo(["b"]);
  await queue.reopen("done");
  queue.edited.labels.mark([0, 1], 3);
  await queue.reopen("c");
  await queue.leave("submit");
  assert.equal(queue.edited.item.id, "b");
});

test("who signs in under another name gives all images back", async () => {
  const seen = await queueTo(["b", "e"]);
  await seen.queue.reopen("a");
  await signIn(seen, "Bob");
  const released = seen.asked.filter(({ action }) => action === "release");
  assert.deepEqual(
    released.map(({ item, lease }) => [item, lease]),
    [
      ["b", "Ann 1"],
      ["a", "Ann 2"],
    ],
  );
  assert.equal(seen.queue.edited.item.id, "e");
});

test("answers that wait for a new lease are repeated under their annotator's name alone", async () => {
  const lost = { lease: "Ann 1", action: "marks" };
  const refuses = (asked) => asked.lease === lost.lease && asked.action === lost.action;
  const seen = await queueTo(["b", "c", "d"], { refuses });
  const { queue, asked, kept } = seen;
  // Ann's mark is refused only when she has gone.
  queue.edited.labels.mark([0, 1], 3);
  queue.post("marks", { label: 3, pixels: encodeRuns([0, 1]) });
  await signIn(seen, "Bob");
  assert.equal(queue.edited.item.id, "c");
  assert.equal(asked.at(-1).prefer, undefined);
  assert.match(seen.warning().textContent, /^1 answer waits in this browser until Ann signs in/);

  // Not even if Bob gets her image.
  await queue.reopen("b");
  await queue.leave("submit");
  assert.deepEqual([queue.unsaved, kept.size], [1, 1]);
  assert.equal(asked.filter(({ action }) => action === "marks").length, 1);

  await signIn(seen, "Ann");
  assert.equal(queue.edited.item.id, "b");
  await queue._outbox.settled();
  const marks = asked.filter(({ action }) => action === "marks").at(-1);
  assert.match(marks.lease, /^Ann/);
  assert.deepEqual([marks.item, marks.label, queue.unsaved, kept.size], ["b", 3, 0, 0]);
});
