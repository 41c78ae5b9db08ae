// The test as a whole: a listener's name, trial after trial, and the answers as a file.

const KINDS = {
  mushra: { title: "Rate the sounds", text: MUSHRA_TEXT, show: showMushra },
  abx: { title: "Which one is X?", text: ABX_TEXT, show: showAbx },
};

function start() {
  const data = readData();
  setUpTheme(byId("theme"));
  document.title = byId("title").textContent = KINDS[data.kind].title;
  showIntroduction(data);
}

function showIntroduction(data) {
  const name = el("input", { type: "text", id: "listener", required: true, maxlength: 60, autocomplete: "off" });
  const begin = (event) => {
    event.preventDefault();
    if (name.value.trim()) showNext(data, openSession(data, name.value.trim()));
  };
  byId("stage").replaceChildren(
    ...KINDS[data.kind].text.map((text) => el("p", {}, text)),
    el("p", {}, `${data.trials.length} screens. Use headphones in a quiet room, and set the volume on the first ` +
      "screen; leave it as it is afterwards. You can stop at any time and go on later in this browser."),
    el("form", { onsubmit: begin },
      el("label", { for: "listener" }, "Your name or initials"), name, el("button", { class: "primary" }, "Begin")));
}

/** What a listener has answered so far in this browser. */
function openSession(data, listener) {
  const key = `listen/${data.test}/${listener}`;
  const kept = recall(key);
  const session = kept ? JSON.parse(kept) : { kind: data.kind, test: data.test, listener, started: now(), answers: {} };
  const keep = () => byId("unkept").hidden = remember(key, JSON.stringify(session));
  return { session, keep };
}

const now = () => new Date().toISOString();

/** The first trial without an answer, in this listener's own order; or the end. */
function showNext(data, { session, keep }) {
  const seed = `${data.test}/${session.listener}`;
  const trial = shuffled(data.trials, seed).find(({ id }) => !(id in session.answers));
  showProgress(Object.keys(session.answers).length, data.trials.length);
  if (!trial) return showEnd(session);
  KINDS[data.kind].show(byId("stage"), trial, shuffled(trial.stimuli, `${seed}/${trial.id}`), (answer) => {
    session.answers[trial.id] = answer;
    if (Object.keys(session.answers).length === data.trials.length) session.finished = now();
    keep();
    showNext(data, { session, keep });
  });
}

function showProgress(done, all) {
  byId("progress").hidden = false;
  byId("progress").value = done / all;
  byId("count").textContent = done < all ? `${done + 1} of ${all}` : "";
}

function showEnd(session) {
  const text = JSON.stringify(session, null, 1);
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const name = session.listener.replace(/[^\p{L}\p{N}]+/gu, "-");
  byId("stage").replaceChildren(
    el("h2", {}, "Thank you."),
    el("p", {}, "Please save your answers and send the file to whoever gave you this page. If saving does not work, " +
      "copy the text below."),
    el("p", {}, el("a", { class: "button", id: "save", href: url, download: `answers-${name}.json` }, "Save answers")),
    el("textarea", { id: "answers", readonly: true, rows: 12, "aria-label": "Answers" }, text));
}

start();
