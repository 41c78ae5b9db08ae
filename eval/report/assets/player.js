// Equally long recordings side by side: one sounds, and another can take over at the same position.

const SAMPLE_RATE = 24000;
const FADE_SECONDS = 0.008; // short enough to be instant, long enough not to click

/** The page's audio output; its rate is the recordings', so that decoding leaves samples as they are. */
const audioContext = (() => {
  let context = null;
  return () => (context ??= new AudioContext({ sampleRate: SAMPLE_RATE }));
})();

/** Decoded audio of one of the page's blobs; null if it has none of this name. */
async function decodeBlob(name) {
  const bytes = readBlob(name);
  return bytes && new OfflineAudioContext(1, 1, SAMPLE_RATE).decodeAudioData(bytes.buffer);
}

class Player {
  /** `onchange` is called whenever another buffer sounds, or none. */
  constructor(buffers, onchange) {
    this.buffers = buffers;
    this.onchange = onchange;
    this.isLooping = false;
    this.playing = null; // index of the buffer that sounds
    this.offset = 0; // in seconds, where it started or will start
    this.startedAt = 0; // in the context's time
    this.voice = null;
  }

  get duration() {
    return Math.max(...this.buffers.map((buffer) => buffer?.duration ?? 0));
  }

  get position() {
    if (this.playing === null) return this.offset;
    const position = this.offset + audioContext().currentTime - this.startedAt;
    return this.isLooping ? position % this.duration : Math.min(position, this.duration);
  }

  /** Let a buffer sound from the present position on, or from `position` in seconds. */
  async play(index, position = this.position) {
    this.#silence();
    const context = audioContext();
    const source = new AudioBufferSourceNode(context, { buffer: this.buffers[index], loop: this.isLooping });
    const gain = new GainNode(context, { gain: 0 });
    gain.gain.setValueAtTime(0, context.currentTime);
    gain.gain.linearRampToValueAtTime(1, context.currentTime + FADE_SECONDS);
    source.connect(gain).connect(context.destination);
    source.addEventListener("ended", () => this.voice?.source === source && this.#finish());
    this.offset = position < this.duration ? position : 0;
    this.startedAt = context.currentTime;
    source.start(0, this.offset);
    this.voice = { source, gain };
    this.playing = index;
    this.onchange(index);
    await context.resume(); // browsers hold audio back until a click
  }

  pause() {
    this.offset = this.position;
    this.#silence();
    this.playing = null;
    this.onchange(null);
  }

  toggle(index) {
    if (this.playing === index) this.pause();
    else this.play(index);
  }

  loop(isLooping) {
    const { playing, position } = this;
    this.isLooping = isLooping;
    if (playing !== null) this.play(playing, position);
  }

  #finish() {
    this.voice = null;
    this.playing = null;
    this.offset = 0;
    this.onchange(null);
  }

  #silence() {
    if (!this.voice) return;
    const { source, gain } = this.voice;
    const now = audioContext().currentTime;
    gain.gain.setValueAtTime(gain.gain.value, now);
    gain.gain.linearRampToValueAtTime(0, now + FADE_SECONDS);
    source.stop(now + FADE_SECONDS);
    this.voice = null;
  }
}
