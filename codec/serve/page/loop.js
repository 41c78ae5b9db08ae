// The panel in which the microphone is heard through the codec.

import { CodecStream } from "./codec-stream.js";
import { act, byId, tell } from "./dom.js";
import { Microphone } from "./microphone.js";
import { Playback } from "./playback.js";
import { setUpQuality } from "./quality.js";
import { Views } from "./views.js";

const MAX_AHEAD_SECONDS = 1; // what comes late is left out, or all that follows would be late
const RETRY_SECONDS = 1;

export function setUpLoop(section, codec) {
  const [button, slider] = [byId("loop-toggle"), byId("loop-rate")];
  const views = new Views(byId("loop-tokens"), byId("loop-spectrogram"), codec);
  let microphone = null;
  let stream = null;
  let playback = null;
  let retry = null;

  const config = () => ({ output: "both", n_q: Number(slider.value) });

  function open() {
    views.clear();
    playback?.stop();
    const player = (playback = new Playback());
    stream = new CodecStream(config(), {
      codes: (codes) => views.addCodes(codes),
      audio: (samples) => player.ahead < MAX_AHEAD_SECONDS && player.push(samples),
      error: (message) => {
        stop();
        tell(section, message, true);
      },
      lost: () => {
        tell(section, "The connection is lost. Trying again …");
        retry = setTimeout(() => open(), 1000 * RETRY_SECONDS);
      },
      open: () => tell(section),
    });
  }

  function step() {
    if (!microphone) return;
    views.draw(playback.position);
    requestAnimationFrame(step);
  }

  async function start() {
    microphone = await Microphone.open((block) => stream?.push(block));
    open();
    button.textContent = "Stop";
    byId("loop-views").hidden = false;
    step();
  }

  function stop() {
    clearTimeout(retry);
    microphone.stop();
    stream.close();
    playback.stop();
    microphone = stream = null;
    button.textContent = "Start";
  }

  setUpQuality(slider, byId("loop-label"), codec, () => stream?.configure(config()));
  button.addEventListener("click", act(section, async () => (microphone ? stop() : start())));
}
