// The page's sound: one context at the codec's rate, so that no sample is resampled and packets join without a seam.

import { SAMPLE_RATE } from "./pcm.js";

export const FADE_SECONDS = 0.01; // short enough to be instant, long enough not to click

let made = null;

/** The context; `destination` is where everything that sounds goes. */
export function output() {
  made ??= make();
  return made;
}

function make() {
  const context = new AudioContext({ sampleRate: SAMPLE_RATE, latencyHint: "interactive" });
  const destination = new GainNode(context);
  destination.connect(context.destination);
  return { context, destination };
}

/** Browsers hold sound back until a key or a click: call it from one. */
export const wake = () => output().context.resume();

/** A buffer of samples. */
export function toBuffer(samples) {
  const buffer = new AudioBuffer({ length: samples.length, sampleRate: SAMPLE_RATE });
  buffer.copyToChannel(samples, 0);
  return buffer;
}

/** A node to play through that can be silenced without a click. */
export class Fader {
  constructor() {
    const { context, destination } = output();
    this.node = new GainNode(context);
    this.node.connect(destination);
  }

  /** From silence to full level, from a time of the context on. */
  fadeIn(at) {
    this.node.gain.setValueAtTime(0, at);
    this.node.gain.linearRampToValueAtTime(1, at + FADE_SECONDS);
  }

  /** To silence, for good. */
  fadeOut(at = output().context.currentTime) {
    this.node.gain.setValueAtTime(1, at);
    this.node.gain.linearRampToValueAtTime(0, at + FADE_SECONDS);
    setTimeout(() => this.node.disconnect(), 1000);
  }
}
