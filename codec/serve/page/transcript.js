// A text of which one word is being spoken.

import { el } from "./dom.js";

export class Transcript {
  constructor(element) {
    this.element = element;
  }

  /** Mark the word at {start, end}, and what was spoken before it; all of the text is spoken without one. */
  show(text, { start, end } = { start: text.length, end: text.length }) {
    const key = `${text.length} ${start} ${end}`;
    if (this.key === key) return;
    this.key = key;
    const heard = el("span", { class: "heard" }, text.slice(0, start));
    const now = start < end ? [el("mark", {}, text.slice(start, end))] : [];
    this.element.replaceChildren(heard, ...now, text.slice(end));
  }
}
