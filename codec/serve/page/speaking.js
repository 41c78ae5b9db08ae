// An utterance that is heard while it is made, its words marked in a text.

import { Playback } from "./playback.js";
import { Transcript } from "./transcript.js";
import { Utterance } from "./speech.js";

const BEFORE = { start: 0, end: 0 };

export class Speaking {
  /**
   * @param config of the session
   * @param element where the text is shown
   * @param on listeners: audio(samples), frame(speaking) for each frame of the screen, end() once all was heard,
   *     error(message), lost(), back()
   */
  constructor(config, element, on) {
    this.on = on;
    this.transcript = new Transcript(element);
    this.playback = new Playback();
    this.marks = []; // of the words so far, in order
    this.isOver = false;
    this.utterance = new Utterance(config, {
      ...on,
      audio: (samples) => {
        this.playback.push(samples);
        on.audio(samples);
      },
      word: (mark) => this.marks.push(mark),
      done: () => {},
    });
    requestAnimationFrame(() => this.#step());
  }

  append(text) {
    this.utterance.append(text);
  }

  finish() {
    this.utterance.finish();
  }

  /** Be silent at once. */
  cancel() {
    if (this.isOver) return;
    this.isOver = true;
    this.utterance.cancel();
    this.playback.stop();
  }

  /** The text up to the word that is being spoken. */
  get heard() {
    return this.isOver && this.isWhole ? this.utterance.text : this.utterance.text.slice(0, this.#mark.end);
  }

  get isWhole() {
    return this.utterance.isOver && this.playback.isHeard;
  }

  get #mark() {
    const { position } = this.playback;
    return this.marks.findLast((mark) => mark.startSeconds <= position) ?? BEFORE;
  }

  #step() {
    if (this.isOver) return;
    const { text } = this.utterance;
    this.isOver = this.isWhole;
    this.transcript.show(text, this.isOver ? undefined : this.#mark);
    this.on.frame(this);
    if (this.isOver) this.on.end();
    else requestAnimationFrame(() => this.#step());
  }
}
