// Codes on a canvas: a column for each frame, a row for each codebook.

/** Codes [K, T] as the page holds them; null if the system has none. */
function readCodes(name, nCodebooks) {
  const bytes = readBlob(name);
  return bytes && { codes: new Uint16Array(bytes.buffer), frames: bytes.length / 2 / nCodebooks };
}

/** Draw each code as bright as it stands high in its codebook; the first codebook is on top. */
function drawCodes(canvas, { codes, frames }, sizes) {
  const level = (frame, k) => (sizes[k] > 1 ? codes[k * frames + frame] / (sizes[k] - 1) : 0);
  drawLevels(canvas, frames, sizes.length, level);
}
