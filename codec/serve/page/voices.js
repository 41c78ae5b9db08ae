// The panel of voices: those that there are, and one more.

import { ask } from "./api.js";
import { act, byId, el, tell } from "./dom.js";
import { setUpRecorder } from "./recorder.js";

const MAX_SECONDS = 30;

/** Offer the voices in `select`, and let the panel add and delete some. */
export async function setUpVoices(section, select) {
  const [form, file] = [byId("voice-form"), byId("voice-file")];
  let recording = null;

  async function show(chosen) {
    const voices = (await (await ask("v1/audio/voices")).json()).data;
    select.replaceChildren(...voices.map((voice) => el("option", { value: voice.id }, label(voice))));
    if (voices.some(({ id }) => id === chosen)) select.value = chosen;
    byId("voices").replaceChildren(...voices.map(describe));
  }

  function describe({ id, language, consent }) {
    const onclick = act(section, async () => {
      await ask(`v1/audio/voices/${encodeURIComponent(id)}`, { method: "DELETE" });
      await show(select.value);
    });
    const remove = el("button", { type: "button", class: "quiet", "aria-label": `Delete ${id}`, onclick }, "Delete");
    const isShipped = language !== null; // of the others only the recording is known
    return el("li", {}, el("strong", {}, id), el("span", { class: "muted" }, consent), ...(isShipped ? [] : [remove]));
  }

  function take(wav) {
    recording = wav;
    file.value = "";
    byId("voice-source").textContent = "Your recording is taken.";
  }

  setUpRecorder(byId("voice-record"), MAX_SECONDS, take, (error) => tell(section, error.message, true));
  file.addEventListener("change", () => {
    recording = file.files[0] ?? null;
    byId("voice-source").textContent = recording?.name ?? "";
  });
  form.addEventListener("submit", act(section, async () => {
    if (!recording) throw new Error(`Choose a file or record 3 to ${MAX_SECONDS} s first.`);
    const body = new FormData(form);
    body.append("audio_sample", recording, recording.name ?? "recording.wav");
    tell(section, "Making the voice …");
    const { id } = await (await ask("v1/audio/voices", { method: "POST", body })).json();
    form.reset();
    recording = null;
    byId("voice-source").textContent = "";
    await show(id);
    tell(section, `${id} is there, and chosen.`);
  }));
  await show(select.value);
}

const label = ({ id, language }) => (language ? `${id} (${language})` : id);
