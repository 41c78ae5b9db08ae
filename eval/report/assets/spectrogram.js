// Spectrograms on canvases, all of a recording on the decibel scale of its original.

const FFT_SIZE = 1024;
const FLOOR_DB = -80;
const MAX_COLUMNS = 2000; // of a canvas

// Every tenth of matplotlib's magma.
const MAGMA = [
  [0, 0, 4], [20, 14, 54], [59, 15, 112], [100, 26, 128], [140, 41, 129], [183, 55, 121],
  [222, 73, 104], [247, 112, 92], [254, 159, 109], [254, 207, 146], [252, 253, 191],
];

/** Red, green and blue of a level from 0 to 1. */
function magma(level) {
  const x = level * (MAGMA.length - 1);
  const i = Math.min(Math.floor(x), MAGMA.length - 2);
  return MAGMA[i].map((from, c) => from + (x - i) * (MAGMA[i + 1][c] - from));
}

// Opaque pixels, as canvases keep them.
const PALETTE = Uint32Array.from({ length: 256 }, (_, i) => {
  const [red, green, blue] = magma(i / 255).map(Math.round);
  return (255 << 24) | (blue << 16) | (green << 8) | red;
});

/** Draw `level(column, row)`, 0 to 1, a pixel each. */
function drawLevels(canvas, columns, rows, level) {
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      pixels[row * columns + column] = PALETTE[Math.round(255 * Math.min(Math.max(level(column, row), 0), 1))];
    }
  }
  context.putImageData(image, 0, 0);
}

/** Decibels of Hann windows, FFT_SIZE / 2 values for each of at most MAX_COLUMNS columns, and their maximum. */
function spectrum(samples) {
  const hop = Math.max(FFT_SIZE / 4, Math.ceil(samples.length / MAX_COLUMNS));
  const columns = Math.max(1, Math.ceil(samples.length / hop));
  const rows = FFT_SIZE / 2;
  const levels = new Float32Array(columns * rows);
  const re = new Float32Array(FFT_SIZE);
  const im = new Float32Array(FFT_SIZE);
  let max = -Infinity;
  for (let column = 0; column < columns; column++) {
    for (let i = 0; i < FFT_SIZE; i++) {
      re[i] = (samples[column * hop + i - FFT_SIZE / 2] ?? 0) * HANN[i];
      im[i] = 0;
    }
    fft(re, im);
    for (let row = 0; row < rows; row++) {
      const level = 10 * Math.log10(re[row] ** 2 + im[row] ** 2 + 1e-12);
      levels[column * rows + row] = level;
      max = Math.max(max, level);
    }
  }
  return { levels, columns, rows, max };
}

/** Draw a spectrum, low frequencies at the bottom, from `max` decibels down to the floor. */
function drawSpectrum(canvas, { levels, columns, rows }, max) {
  drawLevels(canvas, columns, rows, (column, row) => 1 + (levels[column * rows + rows - 1 - row] - max) / -FLOOR_DB);
}

const HANN = Float32Array.from({ length: FFT_SIZE }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / FFT_SIZE));

/** Fast Fourier transform in place; the length is a power of two. */
function fft(re, im) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
  for (let half = 1; half < n; half *= 2) {
    for (let k = 0; k < half; k++) {
      const cos = Math.cos((Math.PI * k) / half);
      const sin = -Math.sin((Math.PI * k) / half);
      for (let i = k; i < n; i += 2 * half) {
        const j = i + half;
        const x = re[j] * cos - im[j] * sin;
        const y = re[j] * sin + im[j] * cos;
        re[j] = re[i] - x;
        im[j] = im[i] - y;
        re[i] += x;
        im[i] += y;
      }
    }
  }
}
