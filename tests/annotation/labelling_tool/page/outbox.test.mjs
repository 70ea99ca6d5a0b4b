import assert from "node:assert/strict";
import test from "node:test";

import { ApiError, pause, request } from "../../../../labor_jax/annotation/labelling_tool/page/api.js";
import { Outbox } from "../../../../labor_jax/annotation/labelling_tool/page/outbox.js";

/** A browser's storage, which holds so many characters. */
class Memory {
  constructor(room = Infinity) {
    this.kept = new Map();
    this.room = room;
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
    const others = [...this.kept].filter(([other]) => other !== key).flat();
    if (others.concat(key, value).join("").length > this.room) {
      throw new Error("QuotaExceededError");
    }
    this.kept.set(key, value);
  }
  removeItem(key) {
    this.kept.delete(key);
  }
}

let numbers = 0;

/** An outbox to a server whose answers are `replies`: an ApiError to throw, or what it answers. */
function outboxTo(replies, storage = new Memory(), run = "run") {
  const seen = { sent: [], answers: [], refused: [], states: [], unkept: 0, storage };
  seen.annotator = "Ann";
  seen.outbox = new Outbox({
    annotator: () => seen.annotator,
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
    onUnkept: () => seen.unkept++,
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

test("while access is missing a write is repeated, and kept", async () => {
  const missing = [401, 403, 407, 408].map((status) => new ApiError(status, "sign in"));
  const { outbox, answers, refused, states, storage } = outboxTo([...missing, "done"]);
  const kept = [];
  outbox._options.wait = async () => kept.push(storage.length);
  outbox.post({ item: "1-0-1", question: "?", action: "marks" }, { lease: "a", label: 3 });
  await outbox.settled();
  assert.deepEqual(states, [401, 403, 407, 408, null]);
  assert.deepEqual(kept, [1, 1, 1, 1]);
  assert.deepEqual([answers, refused], [[["done", "marks"]], []]);
});

test("a refusal hands back the write and all behind it to the question, and sends the others", async () => {
  for (const [status, isHeld] of [
    [409, true],
    [400, false],
  ]) {
    const { outbox, sent, answers, refused, storage } = outboxTo([new ApiError(status, "no")]);
    outbox.post({ item: "1-0-1", question: "?", action: "marks" }, { lease: "a" });
    outbox.post({ item: "1-1-1", question: "??", action: "undo" }, { lease: "b" });
    outbox.post({ item: "1-0-1", question: "?", action: "submit" }, { lease: "a" });
    await outbox.settled();
    assert.deepEqual(refused, [[status, ["marks", "submit"]]]);
    assert.deepEqual(answers, [["done", "undo"]]);
    assert.equal(sent.length, 2);
    assert.deepEqual([outbox.size, storage.length], isHeld ? [2, 2] : [0, 0]);
  }
});

test("writes whose lease was lost are kept until they are sent again or given up", async () => {
  const lost = new ApiError(409, "lost");
  const { outbox, answers, refused, storage } = outboxTo([lost, lost]);
  for (const [item, question] of [
    ["1-0-1", "?"],
    ["1-1-1", "??"],
  ]) {
    outbox.post({ item, question, action: "marks" }, { lease: "a" });
  }
  await outbox.settled();
  assert.deepEqual([refused.length, outbox.size, storage.length], [2, 2, 2]);
  assert.ok(outbox.isIdle);
  assert.equal(outbox.heldItem, "1-0-1");
  const [first] = outbox.takeHeld(({ question }) => question === "?");
  outbox.put([{ ...first, isAgain: true, body: { ...first.body, lease: "new" } }]);
  assert.equal(JSON.parse(storage.getItem([...storage.kept.keys()][0])).body.lease, "new");
  await outbox.settled();
  assert.deepEqual(answers, [["done", "marks"]]);
  assert.deepEqual([outbox.heldItem, outbox.size, storage.length], ["1-1-1", 1, 1]);
  outbox.forget(outbox.takeHeld(() => true));
  assert.deepEqual([outbox.heldItem, outbox.size, storage.length], [undefined, 0, 0]);
});

test("writes wait for a new lease of the annotator who did them", async () => {
  const seen = outboxTo([new ApiError(409, "lost")]);
  const { outbox, storage } = seen;
  outbox.post({ item: "1-0-1", question: "?", action: "marks" }, { lease: "a" });
  await outbox.settled();
  seen.annotator = "Bob";
  assert.equal(outbox.heldItem, undefined);
  assert.deepEqual(outbox.takeHeld(() => true), []);
  assert.deepEqual([outbox.heldOfOthers.length, outbox.size, storage.length], [1, 1, 1]);

  const after = outboxTo([new ApiError(409, "lost")], storage);
  after.annotator = "Bob";
  after.outbox.put(after.outbox.takeLeft());
  await after.outbox.settled();
  assert.deepEqual([after.outbox.heldItem, after.outbox.heldOfOthers.length], [undefined, 1]);
  after.annotator = "Ann";
  assert.deepEqual([after.outbox.heldItem, after.outbox.heldOfOthers.length], ["1-0-1", 0]);
  assert.equal(after.outbox.takeHeld(() => true).length, 1);
});

test("a refusal drops no write of another annotator to the same question", async () => {
  const seen = outboxTo([new ApiError(400, "no")]);
  const letter = { item: "1-0-1", question: "?" };
  seen.outbox.post({ ...letter, action: "undo" }, { lease: "a" });
  seen.annotator = "Bob";
  seen.outbox.post({ ...letter, action: "marks" }, { lease: "b" });
  await seen.outbox.settled();
  assert.deepEqual(seen.refused, [[400, ["undo"]]]);
  assert.deepEqual(seen.answers, [["done", "marks"]]);
});

test("what an earlier version held belongs to whoever is there", async () => {
  const { outbox } = outboxTo([new ApiError(409, "lost")]);
  outbox.put([{ item: "1-0-1", question: "?", action: "marks", body: { request: "r" } }]);
  await outbox.settled();
  assert.deepEqual([outbox.heldItem, outbox.heldOfOthers.length], ["1-0-1", 0]);
});

test("what a page left is sent by the next, with the same request and in order", async () => {
  const before = outboxTo([]);
  before.outbox._options.send = () => new Promise(() => {});
  for (const action of ["marks", "undo", "submit"]) {
    before.outbox.post({ item: "1-0-1", question: "?", action }, { lease: "a", label: 7 });
  }
  // A browser's storage has an order of its own.
  before.storage.kept = new Map([...before.storage.kept].reverse());
  before.storage.setItem("somebody else's", "{");

  const after = outboxTo([], before.storage);
  const left = after.outbox.takeLeft();
  assert.deepEqual(
    left.map(({ body }) => body),
    before.outbox._letters.map(({ body }) => body),
  );
  assert.equal(before.storage.length, 4, "they are kept until they are acknowledged");
  after.outbox.put(left);
  await after.outbox.settled();
  assert.deepEqual(
    after.answers.map(([, action]) => action),
    ["marks", "undo", "submit"],
  );
  assert.equal(before.storage.length, 1);
});

test("what an earlier version left is sent, too, and what nobody can read is no letter", async () => {
  const storage = new Memory();
  const letter = (request) => ({
    item: "1-0-1",
    question: "?",
    action: "marks",
    body: { request, lease: "a" },
  });
  storage.setItem("labor_jax.outbox.run.page", JSON.stringify([letter("r1"), letter("r2")]));
  storage.setItem("labor_jax.outbox.run.odd", "null");
  storage.setItem("labor_jax.outbox.run.cut", "{");
  const { outbox, sent } = outboxTo([], storage);
  const left = outbox.takeLeft();
  assert.deepEqual([...storage.kept.keys()].filter((key) => /page|r1|r2/.test(key)).length, 2);
  outbox.put(left);
  await outbox.settled();
  assert.deepEqual(
    sent.map(({ request }) => request),
    ["r1", "r2"],
  );
  assert.equal([...storage.kept.keys()].filter((key) => /page|r1|r2/.test(key)).length, 0);
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
    const left = after.outbox.takeLeft();
    assert.equal(left.length, count, run);
    after.outbox.put(left);
    await after.outbox.settled();
  }
  assert.equal(before.storage.length, 0);
});

test("a full storage keeps what it has and the order, and is told once", async () => {
  const storage = new Memory(450);
  const seen = outboxTo([], storage);
  const { outbox } = seen;
  let open;
  const opened = new Promise((done) => (open = done));
  outbox._options.send = () => opened;
  const post = (action, pixels) =>
    outbox.post({ item: "1-0-1", question: "?", action }, { lease: "a", pixels });
  post("marks", [1]);
  post("marks", Array(200).fill(1));
  post("undo");
  post("undo");
  const kept = () => [...storage.kept.values()].map((text) => JSON.parse(text).action);
  assert.deepEqual(kept(), ["marks"], "an undo without its mark would undo another");
  assert.deepEqual([seen.unkept, outbox.size], [1, 4]);
  storage.room = Infinity;
  post("submit");
  assert.deepEqual(kept(), ["marks", "marks", "undo", "undo", "submit"]);
  open("done");
  await outbox.settled();
  assert.deepEqual([outbox.size, storage.length, seen.unkept], [0, 0, 1]);
});

test("what another page took and gave up is kept again with what builds on it", async () => {
  const first = outboxTo([]);
  first.outbox._options.send = () => new Promise(() => {});
  first.outbox.post({ item: "1-0-1", question: "?", action: "marks" }, { lease: "a" });
  const second = outboxTo([new ApiError(409, "lost")], first.storage);
  second.outbox.put(second.outbox.takeLeft());
  await second.outbox.settled();
  second.outbox.forget(second.outbox.takeHeld(() => true));
  assert.equal(first.storage.length, 0);

  first.outbox.post({ item: "1-0-1", question: "?", action: "submit" }, { lease: "a" });
  const kept = [...first.storage.kept.values()].map((text) => JSON.parse(text).action);
  assert.deepEqual(kept, ["marks", "submit"]);
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
  for (const status of [400, 404, 405, 409, 413, 415, 422]) {
    await assert.rejects(ask(reply(status, '{"error": "no"}')), { isTemporary: false });
    // A proxy says this while the tool is away, but 413 of what it never passes on.
    await assert.rejects(ask(reply(status, "<html>")), { isTemporary: status !== 413 });
  }
  for (const status of [401, 403, 407]) {
    await assert.rejects(ask(reply(status, "<html>")), {
      isTemporary: true,
      isNoAccess: true,
      message: `the server answered with status ${status}; sign in at this address in another tab`,
    });
  }
  await assert.rejects(ask(reply(200, '{"item": ')), { status: 0, isTemporary: true });
  const offline = async () => Promise.reject(new TypeError("Failed to fetch"));
  await assert.rejects(ask(offline), { status: 0, isTemporary: true });
});

test("pauses grow up to ten seconds", () => {
  assert.deepEqual([0, 1, 2, 10].map(pause), [500, 1000, 2000, 10000]);
});
