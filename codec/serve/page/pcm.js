// Samples: 16-bit integers on the wire and in files, floats in Web Audio.

export const SAMPLE_RATE = 24000; // of this server's codec

/** Floats of 16-bit little-endian samples. */
export const toFloat = (buffer) => Float32Array.from(new Int16Array(buffer), (x) => x / 32768);

/** 16-bit samples of floats. */
export const toInt16 = (samples) => Int16Array.from(samples, (x) => Math.round(32767 * Math.max(-1, Math.min(1, x))));

/** Blocks of samples as one. */
export function join(blocks) {
  const all = new Float32Array(blocks.reduce((n, block) => n + block.length, 0));
  let n = 0;
  for (const block of blocks) {
    all.set(block, n);
    n += block.length;
  }
  return all;
}

/** A WAV file of mono samples. */
export function toWav(samples) {
  const header = new DataView(new ArrayBuffer(44));
  const write = (at, text) => [...text].forEach((c, i) => header.setUint8(at + i, c.charCodeAt(0)));
  const size = 2 * samples.length;
  write(0, "RIFF");
  header.setUint32(4, 36 + size, true);
  write(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true); // mono
  header.setUint32(24, SAMPLE_RATE, true);
  header.setUint32(28, 2 * SAMPLE_RATE, true);
  header.setUint16(32, 2, true);
  header.setUint16(34, 16, true);
  write(36, "data");
  header.setUint32(40, size, true);
  return new Blob([header, toInt16(samples)], { type: "audio/wav" });
}
