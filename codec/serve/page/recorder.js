// A button that records the microphone until it is pressed again.

import { Microphone } from "./microphone.js";
import { join, SAMPLE_RATE, toWav } from "./pcm.js";

/** Let a button record at most `seconds`, and hand what was recorded to `ondone` as a WAV file. */
export function setUpRecorder(button, seconds, ondone, onerror) {
  const label = button.textContent;
  let microphone = null;
  let blocks = [];

  function finish() {
    microphone.stop();
    microphone = null;
    button.textContent = label;
    button.setAttribute("aria-pressed", "false");
    ondone(toWav(join(blocks)));
  }

  function take(block) {
    blocks.push(block);
    const length = (blocks.length * block.length) / SAMPLE_RATE;
    button.textContent = `Stop (${length.toFixed(0)} s)`;
    if (length >= seconds) finish();
  }

  button.addEventListener("click", async () => {
    if (microphone) return finish();
    blocks = [];
    button.disabled = true;
    try {
      microphone = await Microphone.open(take);
      button.setAttribute("aria-pressed", "true");
    } catch (error) {
      onerror(error);
    } finally {
      button.disabled = false;
    }
  });
}
