// An audio worklet: the samples that reach it, in blocks of 80 ms.

const BLOCK = 1920;

class Capture extends AudioWorkletProcessor {
  block = new Float32Array(BLOCK);
  n = 0;

  process([[samples]]) {
    for (const sample of samples ?? []) {
      this.block[this.n++] = sample;
      if (this.n < BLOCK) continue;
      this.port.postMessage(this.block);
      this.n = 0;
    }
    return true;
  }
}

registerProcessor("capture", Capture);
