// The panel in which a clip plays at any bitrate.

import { ask } from "./api.js";
import { Clip } from "./clip.js";
import { act, byId, tell } from "./dom.js";
import { wake } from "./output.js";
import { toFloat, toWav } from "./pcm.js";
import { setUpQuality } from "./quality.js";
import { setUpRecorder } from "./recorder.js";

const MAX_SECONDS = 20;

/** Returns a function that offers samples as a clip. */
export function setUpRate(section, codec) {
  const [slider, file, play, spoken] = [byId("rate"), byId("rate-file"), byId("rate-play"), byId("rate-spoken")];
  const maxFrames = Math.ceil((MAX_SECONDS * codec.sample_rate) / codec.hop_length);
  const clip = new Clip();
  let tokens = null; // of the clip, as of POST /v1/codec/encode
  let decoded = new Map(); // samples by n_q
  let isDecoding = false;
  let lastSpoken = null;

  async function load(recording) {
    tell(section, "Encoding …");
    const body = new FormData();
    body.append("file", recording);
    const { codes, n_samples, fingerprint } = await (await ask("v1/codec/encode", { method: "POST", body })).json();
    tokens = {
      codes: codes.map((row) => row.slice(0, maxFrames)),
      n_samples: Math.min(n_samples, maxFrames * codec.hop_length),
      fingerprint,
    };
    decoded = new Map();
    stop();
    await decode();
    play.disabled = false;
    tell(section);
    start();
  }

  /** Let the clip sound with as many codebooks as the slider says, also if it moves meanwhile. */
  async function decode() {
    if (!tokens || isDecoding) return;
    isDecoding = true;
    try {
      for (let nQ = null; nQ !== Number(slider.value); ) {
        nQ = Number(slider.value);
        if (!decoded.has(nQ)) decoded.set(nQ, await samplesOf({ ...tokens, codes: tokens.codes.slice(0, nQ) }));
        clip.change(decoded.get(nQ));
      }
    } finally {
      isDecoding = false;
    }
  }

  function start() {
    clip.play();
    play.textContent = "Stop";
  }

  function stop() {
    clip.stop();
    play.textContent = "Play";
  }

  setUpQuality(slider, byId("rate-label"), codec, act(section, decode));
  const take = (wav) => act(section, () => load(wav))();
  setUpRecorder(byId("rate-record"), MAX_SECONDS, take, (error) => tell(section, error.message, true));
  file.addEventListener("change", act(section, async () => {
    await wake();
    if (file.files[0]) await load(file.files[0]);
  }));
  spoken.addEventListener("click", act(section, async () => {
    await wake();
    await load(toWav(lastSpoken));
  }));
  play.addEventListener("click", act(section, async () => {
    await wake();
    if (clip.isPlaying) stop();
    else start();
  }));
  return (samples) => {
    lastSpoken = samples;
    spoken.disabled = false;
  };
}

async function samplesOf(tokens) {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify(tokens);
  const response = await ask("v1/codec/decode?response_format=pcm", { method: "POST", headers, body });
  return toFloat(await response.arrayBuffer());
}
