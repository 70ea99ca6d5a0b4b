import { makeArea } from "../../../../labor_jax/annotation/labelling_tool/page/area.js";

/** An area drawn as rows of text: a dot is a pixel that is not asked. */
export function areaOf(...rows) {
  const asked = [...rows.join("")].flatMap((letter, pixel) => (letter === "." ? [] : [pixel]));
  return makeArea(Uint32Array.from(asked), rows[0].length, rows.length);
}

/** Partition as rows of text, the parts as a, b, c, … */
export function drawn(area, parts) {
  const letters = Array(area.width * area.height).fill(".");
  area.pixels.forEach((pixel, position) => {
    letters[pixel] = String.fromCharCode(97 + parts.ids[position]);
  });
  return rows(letters, area.width);
}

/** A set of positions as rows of text. */
export function marked(area, positions) {
  const letters = Array(area.width * area.height).fill(".");
  for (const position of positions) {
    letters[area.pixels[position]] = "#";
  }
  return rows(letters, area.width);
}

function rows(letters, width) {
  return Array.from({ length: letters.length / width }, (_, row) =>
    letters.slice(row * width, (row + 1) * width).join(""),
  );
}

/** The picture's letters as greys: RGBA bytes, "0" black to "9" white. */
export function greys(...rows) {
  return [...rows.join("")].flatMap((digit) => {
    const grey = Math.round((Number(digit) / 9) * 255);
    return [grey, grey, grey, 255];
  });
}

/** A deterministic random generator of numbers in [0, 1). */
export function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let value = Math.imul(seed ^ (seed >>> 15), seed | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}
