import assert from "node:assert/strict";
import test from "node:test";

import { preferences } from "../../../../labor_jax/annotation/labelling_tool/page/preferences.js";
import { usableStorage } from "../../../../labor_jax/annotation/labelling_tool/page/storage.js";

test("the browser's storage is used where there is one", () => {
  const browsers = usableStorage(() => ({ name: "the browser's" }));
  assert.equal(browsers.name, "the browser's");
});

test("where it is blocked, the page keeps things itself", () => {
  const storage = usableStorage(() => {
    throw new Error("blocked");
  });
  preferences(storage).annotator = "ann";
  assert.equal(preferences(storage).annotator, "ann");
  assert.deepEqual([storage.length, storage.key(0)], [1, "labor_jax.preferences"]);
  storage.removeItem("labor_jax.preferences");
  assert.equal(preferences(storage).annotator, "");
});

test("a tab changes only what was chosen in it", () => {
  const storage = usableStorage(() => {
    throw new Error("blocked");
  });
  const [old, other] = [preferences(storage), preferences(storage)];
  other.annotator = "bob";
  other.classKeys = { "theirs": ["a"], "both": ["b"] };
  old.classKeys = { "mine": ["c"] };
  old.opacity = 0.2;
  const { annotator, opacity, classKeys } = preferences(storage);
  assert.deepEqual([annotator, opacity], ["bob", 0.2]);
  assert.deepEqual(classKeys, { "theirs": ["a"], "both": ["b"], "mine": ["c"] });
  assert.equal(old.annotator, "", "the other tab's annotator doesn't sign in here");
  other.classKeys = { "theirs": ["a"] };
  assert.deepEqual(preferences(storage).classKeys, { "theirs": ["a"], "mine": ["c"] });
});

test("where the storage is full, what is chosen lasts as long as the page", () => {
  const chosen = preferences({
    getItem: () => '{"opacity": 0.2}',
    setItem: () => {
      throw new Error("QuotaExceededError");
    },
  });
  chosen.annotator = "ann";
  assert.deepEqual([chosen.annotator, chosen.opacity], ["ann", 0.2]);
});
