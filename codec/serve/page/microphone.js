// The microphone, as blocks of samples at the codec's rate.

import { output, wake } from "./output.js";

/** Hand blocks of 80 ms to `onblock` until `stop()` is called. */
export class Microphone {
  static async open(onblock) {
    if (!navigator.mediaDevices) throw new Error("Browsers give microphones only to https pages and to localhost.");
    await wake();
    const { context } = output();
    const stream = await allowed();
    await context.audioWorklet.addModule(new URL("capture.js", import.meta.url));
    const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, channelCount: 1 });
    capture.port.onmessage = ({ data }) => onblock(data);
    new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(capture);
    return new Microphone(stream, capture);
  }

  constructor(stream, capture) {
    this.stream = stream;
    this.capture = capture;
  }

  stop() {
    this.capture.port.onmessage = null;
    for (const track of this.stream.getTracks()) track.stop();
  }
}

async function allowed() {
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true } });
  } catch (error) {
    if (error.name !== "NotAllowedError") throw new Error(`Microphone: ${error.message}`);
    throw new Error("The microphone is not allowed; allow it in the browser.");
  }
}
