// What sounds, as tokens and as a spectrum side by side, both up to the moment that is heard.

import { output } from "./output.js";
import { Scroll } from "./scroll.js";

const SECONDS = 8; // that are seen
const COLUMNS_PER_SECOND = 50; // of the spectrogram
const BINS = 171; // of the spectrum's 512: up to 4 kHz, where speech is
const FLOOR_DB = -95;
const CEILING_DB = -25;

export class Views {
  /** `codec` as of GET /v1/codec. */
  constructor(tokens, spectrogram, codec) {
    this.frameRate = codec.sample_rate / codec.hop_length;
    this.sizes = codec.codebook_sizes;
    this.tokens = new Scroll(tokens, this.sizes.length, Math.round(SECONDS * this.frameRate));
    this.spectrogram = new Scroll(spectrogram, BINS, SECONDS * COLUMNS_PER_SECOND);
  }

  clear() {
    this.tokens.clear();
    this.spectrogram.clear();
  }

  /** Codes [K, T] of the next frames; each is as bright as it stands high in its codebook. */
  addCodes(codes) {
    for (let frame = 0; frame < codes[0].length; frame++) {
      this.tokens.levels.push(this.sizes.map((size, k) => (k < codes.length ? codes[k][frame] / (size - 1) : 0)));
    }
  }

  /** Show what is heard at a second of the stream; call it for each frame of the screen. */
  draw(seconds) {
    this.#listen();
    const end = Math.floor(seconds * COLUMNS_PER_SECOND);
    const levels = this.spectrogram.levels;
    if (end > levels.length) {
      this.analyser.getFloatFrequencyData(this.decibels);
      const column = Array.from({ length: BINS }, (_, row) => {
        const level = (this.decibels[BINS - 1 - row] - FLOOR_DB) / (CEILING_DB - FLOOR_DB);
        return Math.min(Math.max(level, 0), 1);
      });
      while (levels.length < end) levels.push(column);
    }
    this.spectrogram.draw(end);
    this.tokens.draw(Math.ceil(seconds * this.frameRate));
  }

  #listen() {
    if (this.analyser) return;
    const { context, destination } = output();
    this.analyser = new AnalyserNode(context, { fftSize: 1024, smoothingTimeConstant: 0 });
    this.decibels = new Float32Array(this.analyser.frequencyBinCount);
    destination.connect(this.analyser);
  }
}
