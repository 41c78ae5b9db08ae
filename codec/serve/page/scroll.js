// A canvas over which columns of levels scroll; its colours are those of the page.

import { onThemeChange } from "./dom.js";

const SHADES = 256;

export class Scroll {
  /** `rows` of the canvas, the first one on top; as many `columns` are seen at a time. */
  constructor(canvas, rows, columns) {
    this.canvas = canvas;
    this.rows = canvas.height = rows;
    this.columns = canvas.width = columns;
    this.clear();
    onThemeChange(() => this.#paint());
  }

  clear() {
    this.levels = []; // of each column, rows from 0 to 1
    this.draw(0);
  }

  /** Show the columns before `end`. */
  draw(end) {
    if (end === this.end && this.levels.length === this.nDrawn) return;
    this.end = end;
    this.nDrawn = this.levels.length;
    this.#paint();
  }

  #paint() {
    const { end } = this;
    const palette = this.#palette();
    const context = this.canvas.getContext("2d");
    const image = context.createImageData(this.columns, this.rows);
    const pixels = new Uint32Array(image.data.buffer);
    const start = Math.max(0, end - this.columns);
    for (let column = start; column < Math.min(end, this.levels.length); column++) {
      const levels = this.levels[column];
      for (let row = 0; row < this.rows; row++) {
        pixels[row * this.columns + column - start] = palette[Math.round((SHADES - 1) * levels[row])];
      }
    }
    context.putImageData(image, 0, 0);
  }

  /** Opaque pixels from the canvas' background over its colour to its text's. */
  #palette() {
    const style = getComputedStyle(this.canvas);
    const colours = [style.backgroundColor, style.color, style.caretColor];
    const stops = colours.map((colour) => colour.match(/[\d.]+/g).map(Number));
    if (this.stops !== String(stops)) {
      this.stops = String(stops);
      this.shades = Uint32Array.from({ length: SHADES }, (_, i) => {
        const x = (2 * i) / (SHADES - 1);
        const [from, to] = x < 1 ? [stops[0], stops[1]] : [stops[1], stops[2]];
        const [red, green, blue] = from.map((value, c) => Math.round(value + (x < 1 ? x : x - 1) * (to[c] - value)));
        return (255 << 24) | (blue << 16) | (green << 8) | red;
      });
    }
    return this.shades;
  }
}
