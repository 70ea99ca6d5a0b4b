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
