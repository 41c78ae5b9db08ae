// The panel of a conversation: what is typed or said is answered by a chat endpoint, and the answer spoken while it is
// written.

import { ask } from "./api.js";
import { answer } from "./chat.js";
import { act, byId, el, tell } from "./dom.js";
import { Microphone } from "./microphone.js";
import { wake } from "./output.js";
import { join, toWav } from "./pcm.js";
import { Speaking } from "./speaking.js";
import { listenTo } from "./talking.js";

/** `session()` is the configuration of an utterance; `recognizer` the name of a model that hears, if there is one. */
export function setUpAgent(section, session, recognizer) {
  const [form, text, listen] = [byId("agent-form"), byId("agent-text"), byId("agent-listen")];
  const messages = [];
  let turn = null; // {speaking, abort}
  let microphone = null;

  async function respond(said) {
    interrupt();
    messages.push({ role: "user", content: said });
    add("user", said);
    const reply = { role: "assistant", content: "" };
    const item = add("assistant", "");
    const abort = new AbortController();
    const speaking = new Speaking(session(), item, {
      audio: () => {},
      frame: () => {},
      end: () => (reply.content = speaking.heard),
      error: (message) => tell(section, message, true),
      lost: () => tell(section, "The connection is lost. Trying again …"),
      back: () => tell(section),
    });
    const mine = (turn = { speaking, abort, reply, item });
    messages.push(reply);
    try {
      for await (const piece of answer(endpoint(), messages.slice(0, -1), abort.signal)) {
        if (abort.signal.aborted) return;
        reply.content += piece;
        speaking.append(piece);
      }
      speaking.finish();
    } catch (error) {
      if (abort.signal.aborted) return;
      if (turn === mine) interrupt();
      throw error;
    }
  }

  /** Say no more; the conversation keeps what was heard. */
  function interrupt() {
    if (!turn || turn.speaking.isOver) return;
    const { speaking, abort, reply, item } = turn;
    abort.abort();
    reply.content = speaking.heard;
    speaking.cancel();
    item.classList.add("interrupted");
  }

  function add(role, content) {
    const item = el("li", { class: role }, content);
    byId("conversation").append(item);
    item.scrollIntoView({ block: "nearest" });
    return item;
  }

  async function hear(blocks) {
    const body = new FormData();
    body.append("file", toWav(join(blocks)));
    body.append("model", recognizer);
    const { text: said } = await (await ask("v1/audio/transcriptions", { method: "POST", body })).json();
    if (said) await respond(said);
  }

  const endpoint = () => ({
    url: byId("agent-url").value.trim(),
    model: byId("agent-model").value.trim(),
    key: byId("agent-key").value.trim(),
  });

  if (recognizer) byId("agent-listen-label").textContent = "Talk to it";
  form.addEventListener("submit", act(section, async () => {
    const said = text.value.trim();
    if (!said) throw new Error("Type what to say first.");
    text.value = "";
    await wake();
    await respond(said);
  }));
  text.addEventListener("input", interrupt);
  text.addEventListener("keydown", (event) => event.key === "Escape" && interrupt());
  byId("agent-stop").addEventListener("click", interrupt);
  listen.addEventListener("change", act(section, async () => {
    microphone?.stop();
    microphone = null;
    try {
      if (listen.checked) microphone = await Microphone.open(listenTo(interrupt, (blocks) => recognizer && act(section, () => hear(blocks))()));
    } catch (error) {
      listen.checked = false;
      throw error;
    }
  }));
}
