// A MUSHRA screen: an open reference, and stimuli to rate from 0 to 100, the reference among them.

const LABELS = ["Bad", "Poor", "Fair", "Good", "Excellent"];

const MUSHRA_TEXT = [
  "On each screen, compare all sounds with the reference and rate how good each is on a scale from 0 (bad) to 100 " +
  "(excellent). Anything that differs from the reference counts.",
  "One of the sounds is the reference itself, hidden: it should get 100.",
  "Listen to every sound before you rate. You can switch at any moment; the next sound goes on where the last one was.",
];

/** Show a trial in `box`, stimuli in the given order; `ondone` is called with { stimulus: score }. */
function showMushra(box, trial, order, ondone) {
  const scores = new Map();
  const next = el("button", { class: "primary", disabled: true, onclick: () => {
    stage.close();
    ondone(Object.fromEntries(scores));
  } }, "Next");
  const hint = el("span", { class: "muted small", role: "status" }, "Listen to every sound first.");
  const rows = order.map((name) => ratingRow((score) => {
    scores.set(name, score);
    next.disabled = scores.size < order.length;
    if (!next.disabled) hint.textContent = "";
  }));
  const sounds = [
    { name: trial.reference, label: "Reference", key: "0" },
    ...order.map((name, i) => ({ name, label: `Sound ${i + 1}`, key: String(i + 1) })),
  ];
  const stage = new Stage(sounds, (unheard) => {
    if (unheard || scores.size) return;
    rows.forEach((row) => row.slider.disabled = false);
    hint.textContent = "Rate every sound.";
  });
  box.replaceChildren(
    el("div", { class: "reference" }, stage.buttons[0], stage.controls),
    el("div", { class: "ratings" },
      el("div", { class: "labels muted small" }, LABELS.map((label) => el("span", {}, label))),
      rows.map((row, i) => el("div", { class: "rating" }, stage.buttons[i + 1], row.slider, row.value))),
    el("footer", {}, hint, next));
}

/** A slider that counts as set once it was touched. */
function ratingRow(onset) {
  const value = el("output", {}, "–");
  const set = () => {
    slider.classList.add("set");
    value.textContent = slider.value;
    onset(Number(slider.value));
  };
  const slider = el("input", {
    type: "range", min: 0, max: 100, value: 50, disabled: true, "aria-label": "Score", oninput: set, onclick: set,
  });
  return { slider, value };
}
