// The codec, off the page's thread: samples come in; codes, decoded sound and what they cost go out, frame by frame.

import { CodecStream, NO_CODE, Step } from "./codec.js";

const loaded = load();
let nQ = Infinity; // codebooks to decode
let queue = loaded.catch(report); // messages wait for one another

addEventListener("message", ({ data }) => {
  if (data.nQ) nQ = data.nQ;
  else queue = queue.then(() => process(data)).catch(report);
});

async function load() {
  const steps = await Promise.all(["encoder", "decoder"].map((part) => Step.load(`onnx/${part}_step.onnx`)));
  const [{ sampleRate, codebookSizes, fingerprint, input }] = steps;
  postMessage({ about: { sampleRate, codebookSizes, fingerprint, hopLength: input.shape[1] } });
  return steps.map((step) => new CodecStream(step));
}

/** Take samples, at most a frame, or the end of the stream. */
async function process({ samples, end }) {
  const [encoder, decoder] = await loaded;
  const start = performance.now();
  const nSamples = end ? encoder.pending.length : Infinity; // of the last frame
  const codes = await (end ? encoder.flush() : encoder.push(samples));
  const encoded = performance.now();
  const used = codes.map((code, k) => (k < nQ ? code : NO_CODE));
  const sound = (await decoder.push(used)).subarray(0, nSamples);
  const times = { encode: encoded - start, decode: performance.now() - encoded };
  if (sound.length) postMessage({ codes, nQ, sound, times });
  if (end) {
    decoder.reset();
    postMessage({ end });
  }
}

function report({ message }) {
  postMessage({ error: message });
}
