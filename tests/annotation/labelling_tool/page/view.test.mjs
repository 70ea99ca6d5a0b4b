import assert from "node:assert/strict";
import test from "node:test";

import * as views from "../../../../labor_jax/annotation/labelling_tool/page/view.js";

const IMAGE = { width: 128, height: 64 };
const CANVAS = { width: 900, height: 600 };

function near(actual, expected, tolerance = 1e-9) {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
}

test("the canvas shows what it is asked for", () => {
  const view = { scale: 3, x: -20, y: 40 };
  const point = views.toCanvas(view, { x: 10, y: 5 });
  assert.deepEqual(point, { x: 10, y: 55 });
  assert.deepEqual(views.toImage(view, point), { x: 10, y: 5 });
});

test("a fitted image is all there, in the middle", () => {
  const view = views.fitted(IMAGE, CANVAS);
  const [a, b] = [
    { x: 0, y: 0 },
    { x: 128, y: 64 },
  ].map((corner) => views.toCanvas(view, corner));
  assert.ok(a.x >= 0 && a.y >= 0 && b.x <= 900 && b.y <= 600);
  near(a.x, 900 - b.x);
  near(a.y, 600 - b.y);
  assert.ok(b.x - a.x > 850);
});

test("zoom keeps the point under the cursor", () => {
  const cursor = { x: 430, y: 290 };
  const view = views.fitted(IMAGE, CANVAS);
  const before = views.toImage(view, cursor);
  const after = views.toImage(views.zoomed(view, cursor, 2.5, IMAGE, CANVAS), cursor);
  near(after.x, before.x);
  near(after.y, before.y);
});

test("zooming out leaves no emptiness that needn't be", () => {
  const closer = views.around({ left: 60, top: 30, right: 62, bottom: 32 }, IMAGE, CANVAS);
  const corner = views.panned(closer, 900, 900, IMAGE, CANVAS);
  const view = views.zoomed(corner, { x: 450, y: 300 }, 0.9, IMAGE, CANVAS);
  assert.ok(view.x >= 0 && view.x <= 30);
  assert.ok(view.y + 64 * view.scale <= 600 || view.y <= 30);
});

test("zoom has limits", () => {
  let view = views.fitted(IMAGE, CANVAS);
  const smallest = view.scale / 2;
  for (let i = 0; i < 50; i++) view = views.zoomed(view, { x: 0, y: 0 }, 3, IMAGE, CANVAS);
  assert.equal(view.scale, views.LARGEST_SCALE);
  for (let i = 0; i < 50; i++) view = views.zoomed(view, { x: 0, y: 0 }, 0.3, IMAGE, CANVAS);
  near(view.scale, smallest);
});

test("the image can't be pushed away", () => {
  const view = views.panned(views.fitted(IMAGE, CANVAS), 1e6, -1e6, IMAGE, CANVAS);
  const middle = views.toImage(view, { x: 450, y: 300 });
  near(middle.x, 0);
  near(middle.y, 64);
});

test("a part is shown with what is around it", () => {
  for (const box of [
    { left: 3, top: 60, right: 4, bottom: 61 },
    { left: 0, top: 0, right: 128, bottom: 64 },
    { left: 40, top: 20, right: 70, bottom: 22 },
  ]) {
    const view = views.around(box, IMAGE, CANVAS);
    const [a, b] = [
      views.toCanvas(view, { x: box.left, y: box.top }),
      views.toCanvas(view, { x: box.right, y: box.bottom }),
    ];
    assert.ok(a.x >= 0 && a.y >= 0 && b.x <= 900 && b.y <= 600);
    assert.ok(600 / view.scale >= 24 || box.right - box.left === 128);
    assert.ok(view.scale >= views.fitted(IMAGE, CANVAS).scale);
  }
});

test("the view stays where it is while the next part is well inside", () => {
  const view = views.around({ left: 60, top: 30, right: 61, bottom: 31 }, IMAGE, CANVAS);
  assert.equal(
    views.shown(view, { left: 62, top: 32, right: 63, bottom: 33 }, IMAGE, CANVAS),
    view,
  );
  const moved = views.shown(view, { left: 2, top: 2, right: 3, bottom: 3 }, IMAGE, CANVAS);
  assert.equal(moved.scale, view.scale);
  const corner = views.toCanvas(moved, { x: 2, y: 2 });
  assert.ok(corner.x >= 0 && corner.y >= 0 && corner.x < 900 && corner.y < 600);
});

test("a glide begins and ends where it should", () => {
  const from = views.fitted(IMAGE, CANVAS);
  const to = views.around({ left: 3, top: 60, right: 4, bottom: 61 }, IMAGE, CANVAS);
  for (const [share, end] of [
    [0, from],
    [1, to],
  ]) {
    const view = views.between(from, to, share, CANVAS);
    for (const key of ["scale", "x", "y"]) near(view[key], end[key], 1e-6);
  }
});

test("two fingers pinch and pan, each keeping its pixel", () => {
  const view = views.fitted(IMAGE, CANVAS);
  const before = [
    { x: 300, y: 300 },
    { x: 500, y: 300 },
  ];
  const after = [
    { x: 260, y: 310 },
    { x: 560, y: 310 },
  ];
  const pinched = views.pinched(view, before, after, IMAGE, CANVAS);
  near(pinched.scale, view.scale * 1.5);
  before.forEach((finger, i) => {
    const pixel = views.toImage(view, finger);
    const now = views.toCanvas(pinched, pixel);
    near(now.x, after[i].x, 1e-6);
    near(now.y, after[i].y, 1e-6);
  });
});
