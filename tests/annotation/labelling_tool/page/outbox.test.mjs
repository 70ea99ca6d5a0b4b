import assert from "node:assert/strict";
import test from "node:test";

import { ApiError, pause, request } from "../../../../labor_jax/annotation/labelling_tool/page/api.js";
import { Outbox } from "../../../../labor_jax/annotation/labelling_tool/page/outbox.js";

/** A browser's storage. */
class Memory {
  constructor() {
    this.kept = new Map();
  }
  get length() {
    return this.kept.size;
  }
  key(index) {
    return [...this.kept.keys()][index] ?? null;
  }
  getItem(key) {
    return this.kept.get(key) ?? null;
  }
  setItem(key, value) {
    this.kept.set(key, value);
  }
  removeItem(key) {
    this.kept.delete(key);
  }
}

let numbers = 0;

/** An outbox to a server whose answers are `replies`: an ApiError to throw, or what it answers. */
function outboxTo(replies, storage = new Memory(), run = "run") {
  const seen = { sent: [], answers: [], refused: [], states: [], storage };
  seen.outbox = new Outbox({
    run,
    send: async (letter) => {
      seen.sent.push(structuredClone(letter.body));
      const reply = replies.shift() ?? "done";
      if (reply instanceof Error) throw reply;
      return reply;
    },
    storage,
    unique: () => `unique-${numbers++}`,
    wait: async () => {},
    onAnswer: (answer, letter) => seen.answers.push([answer, letter.action]),
    onRefused: (error, letters) => seen.refused.push([error.status, letters.map((l) => l.action)]),
    onState: (error) => seen.states.push(error?.status ?? null),
  });
  return seen;
}

test("writes go one after the other, in order", async () => {
  const { outbox, sent, answers, storage } = outboxTo(["first", "second"]);
  outbox.post({ item: "1-0-1", question: "?", action: "marks" }, { lease: "a", label: 3 });
  outbox.post({ item: "1-0-1", question: "?", action: "undo" }, { lease: "a" });
  assert.equal(outbox.size, 2);
  await outbox.settled();
  assert.deepEqual(answers, [
    ["first", "marks"],
    ["second", "undo"],
  ]);
  assert.notEqual(sent[0].request, sent[1].request);
  assert.equal(storage.length, 0);
});

test("while the server is away a write is repeated with its request", async () => {
  const away = new ApiError(0, "away");
  const { outbox, sent, answers, states } = outboxTo([
    away,
    new ApiError(503, "busy"),
    away,
    "done",
  ]);
  outbox.post({ item: "1-0-1", question: "?", action: "marks" }, { lease: "a", label: 3 });
  await outbox.settled();
  assert.equal(new Set(sent.map((body) => body.request)).size, 1);
  assert.equal(sent.length, 4);
  assert.deepEqual(answers, [["done", "marks"]]);
  assert.deepEqual(states, [0, 503, 0, null]);
});

test("a refusal hands back the write and all behind it", async () => {
  const { outbox, sent, refused, storage } = outboxTo([new ApiError(409, "lost")]);
  outbox.post({ item: "1-0-1", question: "?", action: "marks" }, { lease: "a" });
  outbox.post({ item: "1-0-1", question: "?", action: "submit" }, { lease: "a" });
  await outbox.settled();
  assert.deepEqual(refused, [[409, ["marks", "submit"]]]);
  assert.equal(sent.length, 1);
  assert.equal(storage.length, 0);
});

test("what a page left is sent by the next, with the same request", async () => {
  const before = outboxTo([]);
  before.outbox._options.send = () => new Promise(() => {});
  before.outbox.post({ item: "1-0-1", question: "?", action: "marks" }, { lease: "a", label: 7 });
  const [{ body }] = JSON.parse(before.storage.getItem(before.storage.key(0)));
  before.storage.setItem("somebody else's", "{");

  const after = outboxTo([], before.storage);
  const left = after.outbox.takeLeft();
  after.outbox.put(left);
  await after.outbox.settled();
  assert.deepEqual(after.sent, [body]);
  assert.equal(before.storage.length, 1);
});

test("what a page left of another run stays until that run is served again", async () => {
  const before = outboxTo([]);
  before.outbox._options.send = () => new Promise(() => {});
  before.outbox.post({ item: "1-0-1", question: "?", action: "submit" }, { lease: "a" });

  for (const [run, count] of [
    ["ru", 0],
    ["another", 0],
    ["run", 1],
    ["run", 0],
  ]) {
    const after = outboxTo([], before.storage, run);
    assert.equal(after.outbox.takeLeft().length, count, run);
  }
  assert.equal(before.storage.length, 0);
});

test("requests are JSON, and errors are the server's sentences", async () => {
  const reply = (status, text) => async (path, options) => {
    assert.equal(path, "/api/next");
    assert.equal(options.headers["Content-Type"], "application/json");
    assert.deepEqual(JSON.parse(options.body), { annotator: "Ada" });
    return new Response(text, { status });
  };
  const ask = (fetcher) => request("POST", "/api/next", { annotator: "Ada" }, fetcher);
  assert.deepEqual(await ask(reply(200, '{"item": null}')), { item: null });
  await assert.rejects(ask(reply(400, '{"error": "who?"}')), {
    status: 400,
    message: "who?",
    isTemporary: false,
  });
  await assert.rejects(ask(reply(502, "<html>")), { status: 502, isTemporary: true });
  await assert.rejects(ask(reply(200, '{"item": ')), { status: 0, isTemporary: true });
  const offline = async () => Promise.reject(new TypeError("Failed to fetch"));
  await assert.rejects(ask(offline), { status: 0, isTemporary: true });
});

test("pauses grow up to ten seconds", () => {
  assert.deepEqual([0, 1, 2, 10].map(pause), [500, 1000, 2000, 10000]);
});
