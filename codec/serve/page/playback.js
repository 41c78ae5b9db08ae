// Packets of one stream, played without gaps while they arrive.

import { FADE_SECONDS, Fader, output, toBuffer } from "./output.js";
import { SAMPLE_RATE } from "./pcm.js";

const LEAD_SECONDS = 0.06; // before the first packet: what the next one may be late
const MAX_LEAD_SECONDS = 0.5; // after gaps, each of which doubles it

export class Playback {
  constructor() {
    this.fader = new Fader();
    this.sources = new Set();
    this.seconds = 0; // that were pushed
    this.nGaps = 0; // that a listener heard
    this.spans = []; // {at, from}: from a time of the context on, the stream plays from a position
    this.end = 0; // of what is scheduled, in the context's time
  }

  /** Play samples after all that came before. */
  push(samples) {
    const { context } = output();
    if (this.end < context.currentTime) {
      this.nGaps = this.spans.length;
      this.end = context.currentTime + Math.min(LEAD_SECONDS * 2 ** this.nGaps, MAX_LEAD_SECONDS);
      this.spans.push({ at: this.end, from: this.seconds });
    }
    const source = new AudioBufferSourceNode(context, { buffer: toBuffer(samples) });
    source.connect(this.fader.node);
    source.addEventListener("ended", () => this.sources.delete(source));
    source.start(this.end);
    this.sources.add(source);
    this.end += samples.length / SAMPLE_RATE;
    this.seconds += samples.length / SAMPLE_RATE;
  }

  /** Seconds of the stream that were heard. */
  get position() {
    const now = output().context.currentTime;
    const i = this.spans.findLastIndex((span) => span.at <= now);
    if (i < 0) return 0;
    const { at, from } = this.spans[i];
    return Math.min(from + now - at, this.spans[i + 1]?.from ?? this.seconds);
  }

  get isHeard() {
    return this.position >= this.seconds - 1e-6; // a float's error
  }

  /** Seconds that were pushed and not heard yet. */
  get ahead() {
    return this.seconds - this.position;
  }

  /** Be silent at once; of no use afterwards. */
  stop() {
    this.fader.fadeOut();
    for (const source of this.sources) source.stop(output().context.currentTime + FADE_SECONDS);
  }
}
