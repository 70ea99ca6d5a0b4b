// Divides masks as the labelling tool's page does. Reads for each image from stdin its width and
// height (uint32 each) and, in this order, RGBA bytes, labels and mask, a byte each; writes a line
// of JSON for each.

import { readFileSync } from "node:fs";

import { makeArea } from "../labor_jax/annotation/labelling_tool/page/area.js";
import { oklab } from "../labor_jax/annotation/labelling_tool/page/colours.js";
import { components } from "../labor_jax/annotation/labelling_tool/page/partitions.js";
import { segmentsAlongEdges } from "../labor_jax/annotation/labelling_tool/page/segments.js";

const VOID = 255;

const input = readFileSync(0);
for (let at = 0; at < input.length;) {
  const [width, height] = [input.readUInt32LE(at), input.readUInt32LE(at + 4)];
  const size = width * height;
  const rgba = input.subarray(at + 8, at + 8 + 4 * size);
  const labels = input.subarray(at + 8 + 4 * size, at + 8 + 5 * size);
  const mask = input.subarray(at + 8 + 5 * size, at + 8 + 6 * size);
  at += 8 + 6 * size;
  const asked = [...labels.keys()].filter((pixel) => mask[pixel]);
  const area = makeArea(Uint32Array.from(asked), width, height);
  const start = performance.now();
  const divided = segmentsAlongEdges(area, oklab(area, rgba));
  const milliseconds = performance.now() - start;
  const classes = Int32Array.from(asked, (pixel) => labels[pixel]);
  const moved = Int32Array.from(asked, (pixel) => labels[(pixel + 1) % width ? pixel + 1 : pixel]);
  const groups = {
    components: components(area),
    segments: divided,
    classes: components(area, classes),
    shifted: components(area, moved),
  };
  const counted = Object.entries(groups).map(([name, group]) => [name, count(group, classes)]);
  console.log(JSON.stringify({ milliseconds, ...Object.fromEntries(counted) }));
}

/** How many groups there are, their pixels that aren't void, and those of each one's main class. */
function count({ members }, classes) {
  let [pixels, right] = [0, 0];
  for (const positions of members) {
    const histogram = new Uint32Array(VOID);
    positions.forEach((position) => classes[position] < VOID && histogram[classes[position]]++);
    pixels += histogram.reduce((a, b) => a + b);
    right += Math.max(...histogram);
  }
  return { groups: members.length, pixels, right };
}
