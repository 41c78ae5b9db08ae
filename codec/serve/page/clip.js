// A clip that plays in a loop while another of the same length can take over, at the same moment.

import { Fader, output, toBuffer } from "./output.js";

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

  stop() {
    this.sounding?.fader.fadeOut();
    this.sounding?.source.stop(output().context.currentTime + 0.05);
    this.sounding = null;
  }

  #sound(position) {
    this.stop();
    const { context } = output();
    const fader = new Fader();
    const source = new AudioBufferSourceNode(context, { buffer: this.buffer, loop: true });
    source.connect(fader.node);
    fader.fadeIn();
    source.start(0, position % this.buffer.duration);
    this.startedAt = context.currentTime - position;
    this.sounding = { source, fader };
  }
}
