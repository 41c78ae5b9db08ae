// The panel in which a text is typed and heard.

import { CodecStream } from "./codec-stream.js";
import { act, byId, tell } from "./dom.js";
import { wake } from "./output.js";
import { join } from "./pcm.js";
import { Speaking } from "./speaking.js";
import { Views } from "./views.js";

/** `session()` is the configuration of an utterance; `onspoken(samples)` gets what was spoken. */
export function setUpSpeak(section, codec, session, onspoken) {
  const [form, text, stop] = [byId("speak-form"), byId("text"), byId("stop")];
  const views = new Views(byId("tokens"), byId("spectrogram"), codec);
  let speaking = null;
  let tokens = null;

  function start() {
    end();
    views.clear();
    const blocks = [];
    tokens = new CodecStream({ output: "codes" }, {
      codes: (codes) => views.addCodes(codes),
      error: (message) => tell(section, `Tokens: ${message}`, true),
      lost: () => {},
    });
    speaking = new Speaking(session(), byId("said"), {
      audio: (samples) => {
        blocks.push(samples);
        tokens.push(samples);
      },
      frame: ({ playback, utterance }) => {
        views.draw(playback.position);
        showFigures(utterance, playback);
      },
      end: () => {
        tokens.finish();
        stop.disabled = true;
        if (blocks.length) onspoken(join(blocks));
      },
      error: (message) => tell(section, message, true),
      lost: () => tell(section, "The connection is lost. Trying again …"),
      back: () => tell(section, "Connected again."),
    });
    stop.disabled = false;
    speaking.append(text.value);
    speaking.finish();
  }

  function end() {
    speaking?.cancel();
    tokens?.close();
    stop.disabled = true;
  }

  form.addEventListener("submit", act(section, async () => {
    if (!text.value.trim()) throw new Error("Type what to say first.");
    await wake();
    start();
  }));
  stop.addEventListener("click", end);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    if (event.key === "Escape") end();
  });
}

function showFigures({ firstPacketSeconds, rtf }, { seconds, nGaps }) {
  show("first-packet", firstPacketSeconds === null ? "–" : `${Math.round(1000 * firstPacketSeconds)} ms`);
  show("rtf", rtf === null ? "–" : rtf.toFixed(2));
  show("seconds", `${seconds.toFixed(1)} s`);
  show("gaps", String(nGaps));
}

/** Most frames of the screen change nothing, and should cost nothing. */
function show(name, text) {
  if (byId(name).textContent !== text) byId(name).textContent = text;
}
