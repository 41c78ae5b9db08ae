// What somebody says into the microphone.

const LEVEL = 0.02; // root mean square, above what a quiet room has
const TALKING = 2; // blocks of 80 ms: a click is shorter
const SILENCE = 8; // blocks after which all is said
const LONGEST = 250; // blocks

/** A listener of blocks of samples: `onbegin()` once somebody begins to talk, `onend(blocks)` with all that was said. */
export function listenTo(onbegin, onend) {
  let blocks = []; // of what is said; before that, of what may become its begin
  let [nLoud, nQuiet, isTalking] = [0, 0, false];
  return (block) => {
    const level = Math.sqrt(block.reduce((sum, x) => sum + x * x, 0) / block.length);
    nLoud = level > LEVEL ? nLoud + 1 : 0;
    nQuiet = level > LEVEL ? 0 : nQuiet + 1;
    blocks.push(block);
    if (!isTalking && nLoud === TALKING) {
      isTalking = true;
      onbegin();
    } else if (!isTalking) {
      blocks = blocks.slice(-2 * TALKING);
    } else if (nQuiet === SILENCE || blocks.length === LONGEST) {
      isTalking = false;
      onend(blocks);
      blocks = [];
    }
  };
}
