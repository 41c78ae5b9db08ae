// Begins once the server lets the page in.

import { setUpAgent } from "./agent.js";
import { ask, setKey } from "./api.js";
import { act, byId, setUpTheme, tell } from "./dom.js";
import { setUpLoop } from "./loop.js";
import { setUpRate } from "./rate.js";
import { setUpSpeak } from "./speak.js";
import { setUpVoices } from "./voices.js";

const RETRY_SECONDS = 2;
const page = document.body;

async function begin() {
  let codec, models;
  try {
    codec = await (await ask("v1/codec")).json();
    models = (await (await ask("v1/models")).json()).data;
  } catch (error) {
    return wait(error);
  }
  tell(page);
  byId("key-form").hidden = true;
  const voices = byId("voices-panel");
  act(voices, () => setUpVoices(voices, byId("voice")))();
  const session = () => ({ voice: byId("voice").value, word_timestamps: models[0].word_timestamps });
  const onspoken = setUpRate(byId("rate-panel"), codec);
  setUpSpeak(byId("speak-panel"), codec, session, onspoken);
  setUpLoop(byId("loop-panel"), codec);
  setUpAgent(byId("agent-panel"), session, models.find((model) => !model.speaks)?.id);
  byId("panels").inert = false;
}

/** Until there is a key, or a server. */
function wait(error) {
  const needsKey = error.status === 401;
  byId("key-form").hidden = !needsKey;
  if (needsKey) {
    const isWrong = byId("key").value !== "";
    tell(page, isWrong ? error.message : "", isWrong);
    byId("key").focus();
  } else {
    tell(page, `${error.message} Trying again …`, true);
    setTimeout(begin, 1000 * RETRY_SECONDS);
  }
}

byId("key-form").addEventListener("submit", act(page, async () => {
  setKey(byId("key").value.trim());
  await begin();
}));
setUpTheme(byId("theme"));
begin();
