// Samples through the codec over WS /v1/codec/stream: their codes, and what they sound like after it.

import { connect } from "./api.js";
import { toFloat, toInt16 } from "./pcm.js";

export class CodecStream {
  /**
   * @param config output: "codes", "pcm" or "both"; n_q
   * @param on listeners: codes([K, T]), audio(samples), error(message), lost(), open()
   */
  constructor(config, on) {
    this.on = on;
    this.waiting = []; // what was sent before the connection was there
    this.isOver = false;
    this.socket = connect("v1/codec/stream");
    this.socket.addEventListener("open", () => {
      this.waiting.splice(0).forEach((frame) => this.socket.send(frame));
      this.on.open?.();
    });
    this.socket.addEventListener("message", ({ data }) => !this.isOver && this.#take(data));
    this.socket.addEventListener("close", () => !this.isOver && this.on.lost());
    this.configure(config);
  }

  /** Another output or n_q from the next frame on. */
  configure(config) {
    this.#send(JSON.stringify({ type: "session.config", ...config }));
  }

  push(samples) {
    this.#send(toInt16(samples));
  }

  /** The samples are complete. */
  finish() {
    this.#send(JSON.stringify({ type: "input.done" }));
    this.#send(JSON.stringify({ type: "session.close" }));
  }

  close() {
    this.isOver = true;
    this.socket.close();
  }

  #send(frame) {
    if (this.socket.readyState === WebSocket.CONNECTING) this.waiting.push(frame);
    else if (this.socket.readyState === WebSocket.OPEN) this.socket.send(frame);
  }

  #take(data) {
    if (data instanceof ArrayBuffer) return this.on.audio(toFloat(data));
    const message = JSON.parse(data);
    if (message.type === "codec.codes") this.on.codes(message.codes);
    if (message.type === "session.done") this.isOver = true;
    if (message.type === "error") {
      this.close();
      this.on.error(message.message);
    }
  }
}
