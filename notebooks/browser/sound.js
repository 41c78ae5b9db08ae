// Where sound comes from and goes to; browsers resample to and from the codec's rate.

const AHEAD = 4; // frames of a recording on their way to the loudspeaker: enough to play on, few to wait for

/** Sends a recording at the pace at which it is played. */
export class Recording {
  /** `send` takes samples, and null at the end. */
  static async open(file, { sampleRate, hopLength }, send) {
    const context = new OfflineAudioContext(1, 1, sampleRate);
    const buffer = await context.decodeAudioData(await file.arrayBuffer());
    return new Recording(mixDown(buffer), hopLength, send);
  }

  constructor(samples, hopLength, send) {
    Object.assign(this, { samples, hopLength, send });
    this.at = 0;
    for (let frame = 0; frame < AHEAD; frame++) this.proceed();
  }

  /** Send the next frame: one was played. */
  proceed() {
    if (this.at === null) return;
    const frame = this.samples.slice(this.at, this.at + this.hopLength);
    this.at = frame.length ? this.at + this.hopLength : null;
    this.send(frame.length ? frame : null);
  }

  stop() {
    this.samples = this.samples.subarray(0, this.at);
  }
}

/** Sends what a microphone hears, as it hears it. */
export class Microphone {
  static async open({ sampleRate }, send) {
    // Processing for calls would be heard as the codec's; without echo cancellation loudspeakers would howl.
    const audio = { echoCancellation: true, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio });
    const context = new AudioContext({ sampleRate });
    await context.audioWorklet.addModule("worklets.js");
    const capture = new AudioWorkletNode(context, "capture", { channelCount: 1, channelCountMode: "explicit" });
    capture.port.onmessage = ({ data }) => send(data);
    new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(capture).connect(context.destination);
    return new Microphone(stream, capture, send);
  }

  constructor(stream, capture, send) {
    Object.assign(this, { stream, capture, send });
  }

  proceed() {}

  stop() {
    for (const track of this.stream.getTracks()) track.stop();
    this.capture.port.onmessage = null;
    this.capture.context.close();
    this.send(null);
  }
}

/** Plays chunks one after another. */
export class Player {
  /** `tell` hears of "chunk", "gap" and "end", see worklets.js. */
  static async open({ sampleRate }, tell) {
    const context = new AudioContext({ sampleRate });
    await context.audioWorklet.addModule("worklets.js");
    const playback = new AudioWorkletNode(context, "playback", { numberOfInputs: 0 });
    playback.port.onmessage = ({ data }) => tell(data);
    playback.connect(context.destination);
    await context.resume();
    return new Player(context, playback);
  }

  constructor(context, playback) {
    Object.assign(this, { context, playback });
  }

  /** Play samples after those before; null: that was all. */
  play(samples) {
    this.playback.port.postMessage(samples);
  }

  close() {
    return this.context.close();
  }
}

/** The mean of all channels. */
function mixDown(buffer) {
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, i) => buffer.getChannelData(i));
  return channels[0].map((_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length);
}
