import assert from "node:assert/strict";
import test from "node:test";

import { makeArea, positionAt } from "../../../../labor_jax/annotation/labelling_tool/page/area.js";
import { oklab } from "../../../../labor_jax/annotation/labelling_tool/page/colours.js";
import { components } from "../../../../labor_jax/annotation/labelling_tool/page/partitions.js";
import { Regions, neighbours } from "../../../../labor_jax/annotation/labelling_tool/page/regions.js";
import { cut, segmentsAlongEdges } from "../../../../labor_jax/annotation/labelling_tool/page/segments.js";
import { areaOf, drawn, greys, random } from "./pictures.mjs";

const divide = (area, ...colours) => segmentsAlongEdges(area, oklab(area, greys(...colours)));

/** A sky over houses of three greys, with noise, and a mask that straddles their edges. */
function scene(seed, [width, height] = [96, 64]) {
  const next = random(seed);
  const horizon = Array.from({ length: width }, (_, x) => 22 + 3 * Math.floor(x / 24));
  const rgba = new Uint8ClampedArray(4 * width * height);
  const truth = new Uint8Array(width * height);
  const pixels = [];
  for (let pixel = 0; pixel < width * height; pixel++) {
    const x = pixel % width;
    const y = Math.floor(pixel / width);
    truth[pixel] = y < horizon[x] ? 0 : 1;
    const grey = truth[pixel] ? 60 + 12 * Math.floor(x / 32) : 210;
    rgba.fill(grey + 16 * (next() - 0.5), 4 * pixel, 4 * pixel + 3);
    if (Math.abs(y - horizon[x]) < 4 || next() < 0.003) {
      pixels.push(pixel);
    }
  }
  const area = makeArea(Uint32Array.from(pixels), width, height);
  return { area, truth, colours: oklab(area, rgba) };
}

/** The share of the pixels that have their segment's most frequent class. */
function achievable(area, partition, truth) {
  let right = 0;
  for (const members of partition.members) {
    const ones = members.reduce((sum, position) => sum + truth[area.pixels[position]], 0);
    right += Math.max(ones, members.length - ones);
  }
  return right / area.pixels.length;
}

test("a strip along an edge is two segments, one on each side", () => {
  const area = areaOf(...Array(6).fill("#".repeat(20)));
  const dark = "2".repeat(20);
  const light = "8".repeat(20);
  const segments = divide(area, dark, dark, dark, light, light, light);
  assert.equal(segments.count, 2);
  assert.ok(segments.members[0].every((position) => area.pixels[position] < 60));
});

test("masks that straddle edges have segments of nearly one class, with few more keys", () => {
  for (const seed of [1, 2, 3]) {
    const { area, truth, colours } = scene(seed);
    const whole = components(area);
    const segments = segmentsAlongEdges(area, colours);
    assert.ok(achievable(area, whole, truth) < 0.7);
    assert.ok(achievable(area, segments, truth) > 0.97);
    assert.ok(segments.count <= 2.5 * whole.count);
  }
});

test("each asked pixel is in one segment, and segments are in the order of their first pixels", () => {
  const next = random(7);
  for (let example = 0; example < 40; example++) {
    const draw = (letters) =>
      Array.from({ length: 12 }, () =>
        Array.from({ length: 16 }, () => letters[Math.floor(next() * letters.length)]).join(""),
      );
    const area = areaOf(...draw("###.."));
    const colours = oklab(area, greys(...draw("0189")));
    const { count, ids, members } = segmentsAlongEdges(area, colours);
    const seen = members.flatMap((positions) => [...positions]).sort((a, b) => a - b);
    assert.deepEqual(seen, [...area.pixels.keys()]);
    members.forEach((positions, id) => assert.ok(positions.every((place) => ids[place] === id)));
    const firsts = members.map((positions) => positions[0]);
    assert.deepEqual(firsts, [...firsts].sort((a, b) => a - b));
    assert.equal(members.length, count);
    assert.deepEqual(segmentsAlongEdges(area, colours).ids, ids);
  }
});

test("segments are connected, but for the crumbs that joined them", () => {
  for (const seed of [4, 5]) {
    const { area, colours } = scene(seed);
    const whole = components(area);
    const { ids, members } = segmentsAlongEdges(area, colours);
    const parts = components(area, ids);
    const biggest = members.map(() => 0);
    parts.members.forEach((part) => {
      biggest[ids[part[0]]] = Math.max(biggest[ids[part[0]]], part.length);
    });
    parts.members.forEach((part) => {
      const isCrumb = whole.members[whole.ids[part[0]]].length < 4;
      assert.ok(isCrumb || part.length === biggest[ids[part[0]]]);
    });
    assert.ok(members.length < parts.count, "some crumbs joined");
  }
});

test("no segment is tiny where it has a neighbour in its component", () => {
  const next = random(8);
  const area = areaOf(...Array(24).fill("#".repeat(24)));
  const noise = Float32Array.from({ length: 3 * 576 }, () => next());
  const sizes = segmentsAlongEdges(area, noise).members.map((members) => members.length);
  assert.ok(Math.min(...sizes) >= 8);
});

test("the segments of a flat image are its components", () => {
  const rows = ["####..####", "####..####", "####......", "........##", ".......###", "......####"];
  const area = areaOf(...rows);
  const segments = divide(area, ...rows.map((row) => "5".repeat(row.length)));
  assert.deepEqual(drawn(area, segments), drawn(area, components(area)));
});

test("a crumb goes with the nearest segment of like colour, or stays alone", () => {
  const rows = ["####.......", "####.#....#", "####.......", "####......."];
  const area = areaOf(...rows);
  const flat = rows.map((row) => "3".repeat(row.length));
  assert.deepEqual(drawn(area, divide(area, ...flat)), [
    "aaaa.......",
    "aaaa.a....b",
    "aaaa.......",
    "aaaa.......",
  ]);
  flat[1] = "33333933333";
  assert.equal(divide(area, ...flat).count, 3);
});

test("nothing asked has no segments", () => {
  assert.equal(segmentsAlongEdges(areaOf("...."), new Float32Array()).count, 0);
});

test("a cut divides a segment along its strongest edge", () => {
  const area = areaOf(...Array(8).fill("#".repeat(20)));
  const colours = oklab(area, greys(...Array(8).fill("33334444444488888888")));
  const { second, isStrong } = cut(area, colours, Uint32Array.from(area.pixels));
  assert.ok(isStrong);
  assert.deepEqual(
    [...second],
    [...area.pixels.keys()].filter((position) => positionAt(area, position % 20, 0) >= 12),
  );
});

test("a weak edge is no reason to warn, and a flat segment has no cut", () => {
  const area = areaOf(...Array(8).fill("#".repeat(20)));
  const all = Uint32Array.from(area.pixels);
  const weak = oklab(area, greys(...Array(8).fill("4".repeat(10) + "5".repeat(10))));
  assert.equal(cut(area, weak, all).isStrong, false);
  assert.equal(cut(area, new Float32Array(480), all), null);
});

test("a cut knows segments of several parts, and of one pixel", () => {
  const area = areaOf("####..####..####", "####..####..####", "####..####..####");
  const rows = Array(3).fill("1111001111008888");
  const all = Uint32Array.from(area.pixels.keys());
  const { second } = cut(area, oklab(area, greys(...rows)), all);
  assert.ok(second.every((position) => area.pixels[position] % 16 >= 12) && second.length === 12);
  assert.equal(cut(area, oklab(area, greys(...rows)), Uint32Array.of(3)), null);
});

test("the cost of a join is what it adds to the squared distances from the mean", () => {
  const next = random(6);
  const area = areaOf("######");
  const colours = Float32Array.from({ length: 18 }, () => next());
  const spread = (positions) => {
    let sum = 0;
    for (let channel = 0; channel < 3; channel++) {
      const values = positions.map((position) => colours[3 * position + channel]);
      const mean = values.reduce((a, b) => a + b) / values.length;
      sum += values.reduce((total, value) => total + (value - mean) ** 2, 0);
    }
    return sum;
  };
  const regions = new Regions(colours);
  regions.join(0, 1);
  regions.join(3, 4);
  regions.join(3, 5);
  const expected = spread([0, 1, 3, 4, 5]) - spread([0, 1]) - spread([3, 4, 5]);
  assert.ok(Math.abs(regions.cost(0, 3) - expected) < 1e-6);
  assert.equal(neighbours(area).length, 2 * 5);
});
