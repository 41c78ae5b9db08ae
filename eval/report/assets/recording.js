// One recording through every system: sound, spectrograms, codes and scores side by side.

let player = null; // of the recording that is open

function drawFound(data, view) {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = data.recordings.map((recording, r) => ({ recording, r })).filter(({ recording }) => {
    const text = [recording.id, recording.text, recording.speaker, recording.language, ...recording.groups];
    return words.every((word) => text.join(" ").toLowerCase().includes(word));
  });
  byId("found").replaceChildren(...found.map(({ recording, r }) =>
    el("li", {}, el("a", { href: linkTo(recording), "aria-current": String(view.recording === r) },
      el("b", {}, recording.id), el("span", {}, recording.text || aboutRecording(recording))))));
  if (!found.length) byId("found").append(el("li", { class: "muted" }, "No recording has all these words."));
}

const linkTo = (recording) => `#recording=${encodeURIComponent(recording.id)}`;

function aboutRecording({ seconds, speaker, language }) {
  return [`${seconds.toFixed(1)} s`, speaker, language].filter(Boolean).join(" · ");
}

/** The number of the recording that the address names; -1 for none. */
function linkedRecording(data) {
  const id = location.hash.startsWith("#recording=") ? decodeURIComponent(location.hash.slice(11)) : null;
  return data.recordings.findIndex((recording) => recording.id === id);
}

async function openRecording(data, view, r) {
  view.recording = r;
  player?.pause();
  drawFound(data, view);
  const recording = data.recordings[r];
  const cards = [referenceCard(r), ...data.systems.map((system, s) => systemCard(data, system, s, r)).filter(Boolean)];
  const grid = el("div", { class: "sounds" }, cards.map((card) => card.node));
  byId("recording").replaceChildren(recordingHead(recording), grid);
  const buffers = await Promise.all(cards.map((card) => decodeBlob(card.audio)));
  if (view.recording !== r) return; // another was opened meanwhile
  player = connectPlayer(grid, cards, buffers);
  await drawSpectra(cards, buffers, () => view.recording === r);
}

function recordingHead(recording) {
  const chips = [aboutRecording(recording), ...recording.groups].map((text) => el("span", { class: "chip" }, text));
  const loop = el("input", { type: "checkbox", onchange: (event) => player?.loop(event.target.checked) });
  return el("header", { class: "card" },
    el("h3", {}, recording.id),
    recording.text ? el("blockquote", { lang: recording.language }, recording.text) : null,
    el("div", { class: "chips" }, chips, el("label", { class: "field" }, loop, "Loop")),
    el("p", { class: "muted small" }, "Press play on another system while one sounds: it takes over at the same " +
      "position. Click a spectrogram to play from there. Sounds are Opus copies at about 46 kbit/s."));
}

function referenceCard(r) {
  const stops = Array.from({ length: 11 }, (_, i) => `rgb(${magma(i / 10).map(Math.round).join(" ")})`);
  const scale = el("div", { class: "scale", style: `background: linear-gradient(to right, ${stops.join(", ")})` });
  return soundCard("original", "", `audio-reference-${r}`, [
    scale,
    el("div", { class: "ends muted small" }, el("span", {}, `${FLOOR_DB} dB`), el("span", {}, "0 dB: its loudest")),
  ]);
}

/** What a system made of recording r; null if it was not measured at all. */
function systemCard(data, system, s, r) {
  if (system.not_measured) return null;
  const codes = system.codebook_sizes.length ? readCodes(`codes-${s}-${r}`, system.codebook_sizes.length) : null;
  const rate = system.kbit_per_s > 0 ? `${short(system.kbit_per_s)} kbit/s` : "";
  return soundCard(system.name, rate, `audio-${s}-${r}`, [
    codes && codesFigure(codes, system.codebook_sizes),
    scoreList(data.columns, system, r),
    failureList(system.failures[data.recordings[r].id]),
  ]);
}

function soundCard(name, rate, audio, content) {
  const play = el("button", { class: "play", disabled: true, "aria-label": `Play ${name}`, "aria-pressed": "false" });
  const canvas = el("canvas", { class: "spectrum", role: "img", "aria-label": `Spectrogram of ${name}` });
  const picture = el("div", { class: "picture" }, canvas, el("div", { class: "head" }),
    el("span", { class: "top" }, `${SAMPLE_RATE / 2000} kHz`), el("span", { class: "bottom" }, "0"));
  const head = el("header", {}, play, el("h3", { title: name }, name), el("span", { class: "muted small" }, rate));
  const node = el("article", { class: "card sound" }, head, picture, content);
  return { node, audio, play, canvas, picture };
}

function codesFigure(codes, sizes) {
  const canvas = el("canvas", { class: "codes", style: `height: ${Math.max(10, 2 * sizes.length)}px` });
  drawCodes(canvas, codes, sizes);
  return el("figure", {}, canvas,
    el("figcaption", { class: "muted small" }, `codes: ${sizes.length} codebooks × ${codes.frames} frames`));
}

function scoreList(columns, system, r) {
  const scores = columns.map((column) => [column, system.values[column.key]?.[r] ?? null]);
  return el("dl", { class: "scores" }, scores.filter(([, value]) => value !== null).map(([column, value]) =>
    el("div", {}, el("dt", {}, column.title), el("dd", {}, value.toFixed(column.decimals)))));
}

function failureList(reasons) {
  const lines = Object.entries(reasons ?? {}).map(([step, reason]) => el("li", {}, `${step}: ${reason}`));
  return lines.length ? el("ul", { class: "failed small" }, lines) : null;
}

function connectPlayer(grid, cards, buffers) {
  const player = new Player(buffers, (playing) => {
    cards.forEach((card, i) => card.play.setAttribute("aria-pressed", String(i === playing)));
    if (playing !== null) requestAnimationFrame(follow);
  });
  const showPosition = () => grid.style.setProperty("--at", player.position / player.duration);
  const follow = () => {
    showPosition();
    if (player.playing !== null) requestAnimationFrame(follow);
  };
  cards.forEach((card, i) => {
    if (!buffers[i]) return card.picture.replaceChildren(el("p", { class: "muted small" }, "No audio was kept."));
    card.play.disabled = false;
    card.play.addEventListener("click", () => player.toggle(i));
    card.picture.addEventListener("click", (event) => {
      player.play(i, (event.offsetX / card.picture.clientWidth) * player.duration);
    });
  });
  return player;
}

/** Spectrograms one after the other, so that the page stays quick; their scale is that of the original. */
async function drawSpectra(cards, buffers, isWanted) {
  let max = null;
  for (const [i, card] of cards.entries()) {
    if (!buffers[i]) continue;
    await new Promise((done) => setTimeout(done));
    if (!isWanted()) return;
    const drawn = spectrum(buffers[i].getChannelData(0));
    max ??= drawn.max;
    drawSpectrum(card.canvas, drawn, max);
  }
}
