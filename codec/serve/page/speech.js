// An utterance over WS /v1/audio/speech/stream: text in while it is written, sound and words out. It survives the loss
// of its connection: the next one goes on after the last word that was spoken.

import { connect } from "./api.js";
import { SAMPLE_RATE, toFloat } from "./pcm.js";
import { WordMap } from "./words.js";

const RETRY_SECONDS = [0.3, 1, 2, 4, 8]; // after the connection was lost, and was not found again
const CONNECTION_LOST = "The connection is lost, and the server cannot be reached again.";
const NOTHING_TO_SAY = "There is nothing to say in this text.";

export class Utterance {
  /**
   * @param config of the session: voice, word_timestamps, ...
   * @param on listeners: audio(samples), word({start, end, startSeconds, endSeconds}), done(), error(message), lost(),
   *     back()
   */
  constructor(config, on) {
    this.config = config;
    this.on = on;
    this.text = "";
    this.words = new WordMap();
    this.isComplete = false; // its text
    this.isOver = false;
    this.spoken = 0; // place in the text after the last word of which the end was heard of
    this.seconds = 0; // of sound that came
    this.firstAt = null; // when the first packet came, as of performance.now()
    this.lastAt = null;
    this.startedAt = performance.now();
    this.nLost = 0; // connections, one after the other
    this.#open();
  }

  /** Time from the start to the first packet; null before it. */
  get firstPacketSeconds() {
    return this.firstAt && (this.firstAt - this.startedAt) / 1000;
  }

  /** Real-time factor so far: below 1, sound is made faster than it plays. */
  get rtf() {
    return this.seconds ? (this.lastAt - this.startedAt) / 1000 / this.seconds : null;
  }

  append(text) {
    this.text += text;
    this.words.append(text);
    this.#send({ type: "input.text", text });
  }

  finish() {
    this.isComplete = true;
    if (this.text.trim()) this.#send({ type: "input.done" });
    else this.#succeed();
  }

  /** Say no more. */
  cancel() {
    if (this.isOver) return;
    this.#send({ type: "response.cancel" });
    this.#end();
  }

  #open() {
    this.offset = this.seconds; // times of words count from here
    this.isReady = false; // whether the server takes text
    const socket = (this.socket = connect("v1/audio/speech/stream"));
    socket.addEventListener("open", () => this.#begin());
    socket.addEventListener("message", ({ data }) => !this.isOver && this.#take(data));
    socket.addEventListener("close", () => !this.isOver && this.#lose());
  }

  #begin() {
    this.isReady = true;
    this.#send({ type: "session.config", ...this.config });
    const rest = this.text.slice(this.spoken);
    if (rest.trim()) this.#send({ type: "input.text", text: rest });
    if (this.isComplete) this.#send({ type: "input.done" });
    if (this.nLost) this.on.back();
  }

  #send(message) {
    if (this.isReady) this.socket.send(JSON.stringify(message));
  }

  #take(data) {
    this.nLost = 0;
    if (data instanceof ArrayBuffer) return this.#takeAudio(toFloat(data));
    const message = JSON.parse(data);
    if (message.type === "audio.chunk") message.timestamps.forEach((word) => this.#takeWord(word));
    if (message.type === "error") this.#fail(message.message);
    if (message.type === "session.done") this.#succeed();
  }

  #takeAudio(samples) {
    this.lastAt = performance.now();
    this.firstAt ??= this.lastAt;
    this.seconds += samples.length / SAMPLE_RATE;
    this.on.audio(samples);
  }

  #takeWord({ word, start_ms, end_ms }) {
    const place = this.words.find(word);
    if (!place) return;
    this.spoken = place.end;
    const [startSeconds, endSeconds] = [start_ms, end_ms].map((ms) => this.offset + ms / 1000);
    this.on.word({ start: place.start, end: place.end, startSeconds, endSeconds });
  }

  #lose() {
    this.isReady = false;
    const wait = RETRY_SECONDS[this.nLost++];
    if (wait === undefined) return this.#fail(CONNECTION_LOST);
    this.on.lost();
    this.retry = setTimeout(() => this.#open(), 1000 * wait);
  }

  #succeed() {
    if (!this.seconds) return this.#fail(NOTHING_TO_SAY);
    this.#end();
    this.on.done();
  }

  #fail(message) {
    this.#end();
    this.on.error(message);
  }

  #end() {
    this.isOver = true;
    clearTimeout(this.retry);
    this.socket.close();
  }
}
