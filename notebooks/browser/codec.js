// Streams in onnxruntime-web, as codec.onnx has them in Python: push samples, pull codes; push codes, pull samples.

import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
import { readMetadata } from "./metadata.js";

export const NO_CODE = -1; // for a codebook that is not used

const ARRAYS = { float32: Float32Array, int64: Int32Array }; // of tensors outside ONNX Runtime

/** A step of one stream: a frame and the state go in, what comes of them and the new state come out. */
export class Step {
  /** Read a file of `codec export-onnx --step`. */
  static async load(url) {
    const response = await fetch(url, { cache: "no-cache" }); // it may have been exported again
    if (!response.ok) throw new Error(`${url}: HTTP status ${response.status}; codec export-onnx --step writes it`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    const metadata = readMetadata(bytes);
    if (!metadata.codebook_sizes) {
      throw new Error(`${url}: not the step of a stream; codec export-onnx --step writes one`);
    }
    return new Step(await ort.InferenceSession.create(bytes), metadata);
  }

  constructor(session, { config, codebook_sizes, fingerprint }) {
    this.session = session;
    this.sampleRate = JSON.parse(config).sample_rate;
    this.codebookSizes = JSON.parse(codebook_sizes);
    this.fingerprint = fingerprint;
    [this.input] = session.inputMetadata;
    [this.output] = session.outputMetadata;
    this.states = session.inputMetadata.slice(session.inputNames.indexOf("seen"));
  }

  /** The state of a fresh stream. */
  initState() {
    return Object.fromEntries(this.states.map((each) => [each.name, toTensor(each, zeros(each))]));
  }

  /** Take a frame, of which `length` values are real; resolves to the output and the new state. */
  async run(frame, length, state) {
    const feeds = { ...state, [this.input.name]: toTensor(this.input, frame) };
    if (this.session.inputNames.includes("length")) feeds.length = new ort.Tensor("int64", [BigInt(length)], [1]);
    const results = await this.session.run(feeds);
    const output = ARRAYS[this.output.type].from(results[this.output.name].data, Number);
    return [output, Object.fromEntries(this.states.map(({ name }) => [name, results[`new_${name}`]]))];
  }
}

/**
 * One stream through a step: samples (Float32Array) to codes (Int32Array, frame after frame), or codes to samples.
 * A call must have resolved before the next one.
 */
export class CodecStream {
  constructor(step) {
    this.step = step;
    this.reset();
  }

  /** Forget everything and start anew. */
  reset() {
    this.state = this.step.initState();
    this.pending = zeros(this.step.input).subarray(0, 0); // what fills no frame yet
  }

  /** Add any number of values; resolves to the output of the frames that they complete. */
  async push(values) {
    this.pending = join(this.step.input, [this.pending, values]);
    const { length } = zeros(this.step.input);
    const outputs = [];
    while (this.pending.length >= length) {
      outputs.push(await this.#run(this.pending.subarray(0, length), length));
      this.pending = this.pending.subarray(length);
    }
    return join(this.step.output, outputs);
  }

  /** End the stream; resolves to the output of its incomplete last frame, if any. */
  async flush() {
    const frame = zeros(this.step.input);
    frame.set(this.pending);
    const outputs = this.pending.length ? [await this.#run(frame, this.pending.length)] : [];
    this.reset();
    return join(this.step.output, outputs);
  }

  async #run(frame, length) {
    const [output, state] = await this.step.run(frame, length, this.state);
    this.state = state;
    return output;
  }
}

/** Zeros for one stream; `shape` begins with the batch. */
function zeros({ type, shape }) {
  return new ARRAYS[type](shape.slice(1).reduce((size, each) => size * each, 1));
}

function toTensor({ type, shape }, values) {
  return new ort.Tensor(type, type === "int64" ? BigInt64Array.from(values, BigInt) : values, [1, ...shape.slice(1)]);
}

function join({ type }, arrays) {
  const joined = new ARRAYS[type](arrays.reduce((size, { length }) => size + length, 0));
  arrays.reduce((at, array) => (joined.set(array, at), at + array.length), 0);
  return joined;
}
