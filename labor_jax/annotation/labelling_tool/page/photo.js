import { contextOf } from "./patterns.js";
import { histogramOf, isDarkPhoto, toneTable } from "./photo_tone.js";

/** @typedef {import("./photo_tone.js").Tone} Tone */

/** The image of an item, in the tone that the annotator chose. */
export class Photo {
  /** @param {HTMLCanvasElement} picture */
  constructor(picture) {
    this._picture = picture;
    const { width, height } = picture;
    this._pixels = contextOf(picture).getImageData(0, 0, width, height);
    this._histogram = histogramOf(this._pixels.data);
    /** The last one made. */
    this._toned = { name: "", picture };
  }

  /** Whether most of it is so dark that people may want to brighten it. */
  get isDark() {
    return isDarkPhoto(this._histogram);
  }

  /** @param {Tone} tone @returns {HTMLCanvasElement} */
  toned(tone) {
    if (!tone.brightness && !tone.contrast && !tone.brighten) {
      return this._picture;
    }
    const name = [tone.brightness, tone.contrast, tone.brighten].join();
    if (name !== this._toned.name) {
      this._toned = { name, picture: this._make(toneTable(tone, this._histogram)) };
    }
    return this._toned.picture;
  }

  /** @param {Uint8ClampedArray} table */
  _make(table) {
    const { data, width, height } = this._pixels;
    const values = new Uint8ClampedArray(data.length);
    for (let i = 0; i < data.length; i += 4) {
      values[i] = table[data[i]];
      values[i + 1] = table[data[i + 1]];
      values[i + 2] = table[data[i + 2]];
      values[i + 3] = data[i + 3];
    }
    const picture = document.createElement("canvas");
    picture.width = width;
    picture.height = height;
    contextOf(picture).putImageData(new ImageData(values, width, height), 0, 0);
    return picture;
  }
}
