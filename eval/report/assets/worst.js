// Where each system does worst, as links into the recordings.

const N_WORST = 10;

function drawWorst(data, view) {
  const column = data.columns.find((c) => c.key === view.metric);
  byId("worst-metric").textContent = column.title;
  byId("worst-lists").replaceChildren(...data.systems.flatMap((system) => {
    const worst = worstOf(system.values[column.key] ?? [], data.groups[view.group].recordings, column);
    return worst.length ? [worstCard(data, system, worst, column)] : [];
  }));
}

/** Up to N_WORST of the given recordings and their values, the worst first. */
function worstOf(values, recordings, column) {
  const sign = column.higher_is_better ? 1 : -1;
  const measured = recordings.map((r) => ({ r, value: values[r] ?? null })).filter(({ value }) => value !== null);
  return measured.toSorted((a, b) => sign * (a.value - b.value)).slice(0, N_WORST);
}

function worstCard(data, system, worst, column) {
  return el("div", { class: "card" }, el("h3", {}, system.name), el("ol", {}, worst.map(({ r, value }) =>
    el("li", {}, el("a", { href: linkTo(data.recordings[r]) }, data.recordings[r].id),
      el("span", { class: "number" }, value.toFixed(column.decimals))))));
}
