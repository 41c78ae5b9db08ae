// The ends of the stream on the audio thread: samples of a microphone out, chunks of decoded sound in.

const PRIMED = 2; // chunks that are there before sound begins, so that one that comes late leaves no gap

registerProcessor("capture", class extends AudioWorkletProcessor {
  process([[samples]]) {
    if (samples) this.port.postMessage(samples.slice());
    return true;
  }
});

/** Plays chunks without gaps until null comes; tells "chunk" as each begins, "gap" when the next is late, and "end". */
registerProcessor("playback", class extends AudioWorkletProcessor {
  constructor() {
    super();
    this.chunks = [];
    this.at = 0; // samples of the first chunk that were played
    this.isPlaying = false;
    this.isComplete = false;
    this.port.addEventListener("message", ({ data }) => this.#take(data));
    this.port.start();
  }

  process(_, [[block]]) {
    this.isPlaying ||= this.isComplete || this.chunks.length >= PRIMED;
    if (!this.isPlaying) return true;
    const filled = this.#fill(block);
    if (filled === block.length) return true;
    this.isPlaying = false;
    this.port.postMessage(this.isComplete ? "end" : "gap");
    return !this.isComplete;
  }

  #take(chunk) {
    if (chunk) this.chunks.push(chunk);
    else this.isComplete = true;
  }

  /** Copy what there is into a block; the number of samples. */
  #fill(block) {
    let filled = 0;
    while (filled < block.length && this.chunks.length) {
      if (this.at === 0) this.port.postMessage("chunk");
      const part = this.chunks[0].subarray(this.at, this.at + block.length - filled);
      block.set(part, filled);
      filled += part.length;
      this.at += part.length;
      if (this.at === this.chunks[0].length) {
        this.chunks.shift();
        this.at = 0;
      }
    }
    return filled;
  }
});
