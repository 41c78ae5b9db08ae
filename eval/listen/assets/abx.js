// An ABX screen: is X the same as A or as B?

const ABX_TEXT = [
  "On each screen you hear A, B and X. X is the same as A or the same as B: say which.",
  "Listen to all three first. You can switch at any moment; the next sound goes on where the last one was.",
  "If you hear no difference, guess.",
];

/** Show a trial in `box`, A and B in the given order; `ondone` is called with the stimulus that X is said to be. */
function showAbx(box, trial, order, ondone) {
  const choices = order.map((name, i) => el("button", { class: "primary", disabled: true, onclick: () => {
    stage.close();
    ondone(name);
  } }, `X is ${"AB"[i]}`));
  const sounds = [...order, trial.x].map((name, i) => ({ name, label: "ABX"[i], key: "ABX"[i] }));
  const stage = new Stage(sounds, (unheard) => {
    if (!unheard) choices.forEach((choice) => choice.disabled = false);
  });
  box.replaceChildren(
    el("div", { class: "triple" }, stage.buttons),
    stage.controls,
    el("footer", {}, el("span", { class: "muted small" }, "Listen to all three, then choose."), choices));
}
