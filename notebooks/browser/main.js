// The page: what its controls do, and what it shows of a run.

import { tokensFile, wavFile } from "./files.js";
import { HeatMap } from "./heatmap.js";
import { Microphone, Player, Recording } from "./sound.js";

const byId = (id) => document.getElementById(id);
const worker = new Worker("worker.js", { type: "module" });
let codec; // its rates, codebook sizes and fingerprint, once the worker has loaded it
let heatMap;
let run = null; // what is going on: a source, a player, and what came of them

worker.addEventListener("error", ({ message }) =>
  giveUp(message ?? "onnxruntime-web is missing: npm install brings it"));
worker.addEventListener("message", ({ data }) => {
  if (data.error) giveUp(data.error);
  else if (data.about) introduce(data.about);
  else if (data.end) run.player.play(null);
  else keep(data);
});

byId("open").addEventListener("click", () => byId("file").click());
byId("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  if (file) start(file.name, (send) => Recording.open(file, codec, send));
  target.value = ""; // so that the same file can be opened again
});
byId("microphone").addEventListener("click", () => start("microphone", (send) => Microphone.open(codec, send)));
byId("stop").addEventListener("click", () => {
  byId("stop").disabled = true;
  run.source.stop();
});
byId("n_q").addEventListener("input", choose);

/** The codec is loaded. */
function introduce(about) {
  codec = about;
  const { codebookSizes, sampleRate, hopLength, fingerprint } = codec;
  heatMap = new HeatMap(byId("tokens"), codebookSizes);
  byId("n_q").max = byId("n_q").value = codebookSizes.length;
  byId("n_q").disabled = false;
  byId("about").textContent = `Speech at ${sampleRate / 1000} kHz as ${sampleRate / hopLength} frames a second of ` +
    `${codebookSizes.length} tokens, and back, on this device. Codec ${fingerprint}.`;
  choose();
  say("Ready. With a microphone, wear headphones.");
  setBusy(false);
}

/** Decode as many codebooks as the slider says. */
function choose() {
  const nQ = Number(byId("n_q").value);
  const bits = codec.codebookSizes.slice(0, nQ).reduce((sum, size) => sum + Math.log2(size), 0);
  const kbitPerSecond = (bits * codec.sampleRate) / codec.hopLength / 1000;
  byId("rate").textContent = `${nQ} of ${codec.codebookSizes.length}, ${kbitPerSecond.toFixed(2)} kbit/s`;
  worker.postMessage({ nQ });
}

/** Stream from what `openSource` gives. */
async function start(name, openSource) {
  setBusy(true);
  heatMap.clear();
  run = { name, frames: [], nPlayed: 0, nGaps: 0, times: { encode: 0, decode: 0 } };
  try {
    run.player = await Player.open(codec, follow);
    run.source = await openSource((samples) => worker.postMessage(samples ? { samples } : { end: true }));
  } catch ({ message }) {
    run.player?.close();
    setBusy(false);
    return say(`${name}: ${message}`, true);
  }
  byId("stop").disabled = false;
  say(`Streaming ${name} …`);
}

/** A frame came out of the codec. */
function keep(frame) {
  run.frames.push(frame);
  for (const part of ["encode", "decode"]) run.times[part] += frame.times[part];
  run.player.play(frame.sound);
}

/** The player goes on. */
function follow(event) {
  if (event === "end") return finish();
  if (event === "gap") run.nGaps++;
  else {
    const { codes, nQ } = run.frames[run.nPlayed++];
    heatMap.add(codes, nQ);
    run.source.proceed();
  }
  showSpeed();
}

function showSpeed() {
  const { frames, times, nPlayed, nGaps } = run;
  const frameSeconds = codec.hopLength / codec.sampleRate;
  const milliseconds = (time) => `${(time / frames.length).toFixed(1)} ms`;
  byId("rtf").textContent = ((times.encode + times.decode) / (1000 * frameSeconds * frames.length)).toFixed(2);
  byId("encode").textContent = milliseconds(times.encode);
  byId("decode").textContent = milliseconds(times.decode);
  byId("played").textContent = `${(nPlayed * frameSeconds).toFixed(1)} s`;
  byId("gaps").textContent = nGaps;
}

/** All was played: offer it to be saved. */
function finish() {
  const sounds = run.frames.map((frame) => frame.sound);
  const nSamples = sounds.reduce((sum, sound) => sum + sound.length, 0);
  const stem = run.name.replace(/\.[^.]*$/, "");
  offer(byId("save_sound"), wavFile(sounds, nSamples, codec), `${stem}.wav`);
  offer(byId("save_tokens"), tokensFile(run.frames.map((frame) => frame.codes), nSamples, codec), `${stem}.tokens`);
  run.player.close();
  say(`Done: ${run.name}.`);
  setBusy(false);
}

function offer(link, file, name) {
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(file);
  link.download = name;
}

function setBusy(isBusy) {
  byId("open").disabled = byId("microphone").disabled = isBusy;
  byId("stop").disabled = true;
  byId("saves").hidden = isBusy || !run?.frames.length;
}

function say(text, isFailure = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("failed", isFailure);
}

/** The codec does not run here. */
function giveUp(reason) {
  run?.player?.close();
  run?.source?.stop();
  setBusy(true);
  say(reason, true);
}
