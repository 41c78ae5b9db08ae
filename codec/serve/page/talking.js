// Whether somebody talks into the microphone.

const LEVEL = 0.02; // root mean square, above what a quiet room has
const BLOCKS = 2; // of 80 ms: a click is shorter

/** A listener of blocks of samples that calls `ontalk` once for each time somebody begins to talk. */
export function detectTalking(ontalk) {
  let nLoud = 0;
  return (block) => {
    const level = Math.sqrt(block.reduce((sum, x) => sum + x * x, 0) / block.length);
    nLoud = level > LEVEL ? nLoud + 1 : 0;
    if (nLoud === BLOCKS) ontalk();
  };
}
