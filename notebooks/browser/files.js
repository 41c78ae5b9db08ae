// Files to save: decoded sound, and tokens as `codec decode` reads them.

/** Chunks of samples as a WAV file of 16-bit integers. */
export function wavFile(sounds, nSamples, { sampleRate }) {
  const bytes = 2 * nSamples;
  const header = new DataView(new ArrayBuffer(44));
  const writeText = (at, text) => [...text].forEach((c, i) => header.setUint8(at + i, c.charCodeAt(0)));
  writeText(0, "RIFF");
  header.setUint32(4, 36 + bytes, true);
  writeText(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true); // channels
  header.setUint32(24, sampleRate, true);
  header.setUint32(28, 2 * sampleRate, true);
  header.setUint16(32, 2, true);
  header.setUint16(34, 16, true);
  writeText(36, "data");
  header.setUint32(40, bytes, true);
  const toInteger = (x) => Math.round(32767 * Math.min(Math.max(x, -1), 1));
  return new Blob([header, ...sounds.map((sound) => Int16Array.from(sound, toInteger))], { type: "audio/wav" });
}

/** Frames of codes as a .tokens file: safetensors, see `Tokens.save`. */
export function tokensFile(frames, nSamples, { sampleRate, hopLength, fingerprint, codebookSizes }) {
  const [nBooks, nFrames] = [codebookSizes.length, frames.length];
  const codes = Int32Array.from({ length: nBooks * nFrames }, (_, i) => frames[i % nFrames][Math.floor(i / nFrames)]);
  const header = JSON.stringify({
    __metadata__: { sample_rate: String(sampleRate), hop_length: String(hopLength), fingerprint },
    n_samples: { dtype: "I64", shape: [1], data_offsets: [0, 8] },
    codes: { dtype: "I32", shape: [1, nBooks, nFrames], data_offsets: [8, 8 + codes.byteLength] },
  });
  const padded = new TextEncoder().encode(header.padEnd(8 * Math.ceil(header.length / 8)));
  return new Blob([BigUint64Array.of(BigInt(padded.length)), padded, BigInt64Array.of(BigInt(nSamples)), codes]);
}
