// A clip that plays in a loop while another of the same length can take over, at the same moment.

import { FADE_SECONDS, Fader, output, toBuffer } from "./output.js";

const AHEAD_SECONDS = 0.1; // before a start: a busy machine hears of it late, and would start the clip out of place

export class Clip {
  constructor() {
    this.buffer = null;
    this.sounding = null; // {source, fader}
    this.startedAt = 0; // when the clip's first sample would have sounded, in the context's time
  }

  get isPlaying() {
    return this.sounding !== null;
  }

  get position() {
    return this.isPlaying ? (output().context.currentTime - this.startedAt) % this.buffer.duration : 0;
  }

  /** Take other samples; what plays goes on in them. */
  change(samples) {
    const { position, isPlaying } = this;
    this.buffer = toBuffer(samples);
    if (isPlaying) this.#sound(position);
  }

  play() {
    this.#sound(0);
  }

  stop(at = output().context.currentTime) {
    this.sounding?.fader.fadeOut(at);
    this.sounding?.source.stop(at + FADE_SECONDS);
    this.sounding = null;
  }

  #sound(position) {
    const at = output().context.currentTime + AHEAD_SECONDS;
    this.stop(at);
    const fader = new Fader();
    const source = new AudioBufferSourceNode(output().context, { buffer: this.buffer, loop: true });
    source.connect(fader.node);
    fader.fadeIn(at);
    source.start(at, (position + AHEAD_SECONDS) % this.buffer.duration);
    this.startedAt = at - AHEAD_SECONDS - position;
    this.sounding = { source, fader };
  }
}
