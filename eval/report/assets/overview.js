// What was measured, what was not, and whether the metrics can be trusted.

const N_PAIRS = 3; // of anchors that are named for each metric

function drawOverview(data) {
  byId("facts").replaceChildren(...facts(data).map(([value, label]) =>
    el("div", { class: "fact" }, el("strong", {}, value), el("span", {}, label))));
  byId("made").replaceChildren(...madeLines(data.made, true).map(([, text]) => el("code", {}, text)));
  byId("notes").replaceChildren(
    ...[missingNote(data), orderNote(data), failureNote(failuresOf(data)), madeNote(data.made)].filter(Boolean));
}

function facts(data) {
  const minutes = data.recordings.reduce((sum, r) => sum + r.seconds, 0) / 60;
  const speakers = new Set(data.recordings.map((r) => r.speaker).filter(Boolean)).size;
  return [
    [data.recordings.length, "recordings"],
    [minutes.toFixed(1), "minutes"],
    ...(speakers ? [[speakers, "speakers"]] : []),
    [data.systems.filter((s) => !s.not_measured).length, "systems"],
    [data.columns.length, "scores"],
    [failuresOf(data).length, "failures"],
  ];
}

/** What is known of how the run was made, as [key, text]: time and command, or the rest. */
function madeLines(made, isHeadline) {
  const lines = Object.entries(made).map(([key, value]) => [key.replaceAll("_", " "), plain(value)]);
  return lines.filter(([key, text]) => text && /(^|: )(time|command)$/.test(key) === isHeadline);
}

function madeNote(made) {
  const lines = madeLines(made, false);
  const list = lines.map(([key, text]) => [el("dt", {}, key), el("dd", {}, el("code", {}, text))]);
  return lines.length ? details("Code and machine", el("dl", { class: "made" }, list)) : null;
}

function plain(value) {
  if (Array.isArray(value)) return value.join(" ");
  return typeof value === "object" && value ? JSON.stringify(value) : String(value);
}

/** Metrics and systems that were asked for and are not here. */
function missingNote(data) {
  const metrics = Object.entries(data.not_measured);
  const systems = data.systems.filter((s) => s.not_measured).map((s) => [s.name, s.not_measured]);
  const lines = [...metrics, ...systems].map(([name, why]) => el("li", {}, el("b", {}, name), ` – ${why}`));
  return lines.length ? note("Not measured", "warn", el("ul", {}, lines)) : null;
}

/** Metrics that do not rank the anchors as they must, and those that these recordings do not suffice to judge. */
function orderNote(data) {
  const anchors = data.systems.filter((s) => s.is_anchor && !s.not_measured).map((s) => s.name);
  if (!anchors.length) {
    return note("Metrics not checked", "", el("p", {},
      "This run has no anchors. With --systems identity lowpass-8k lowpass-12k lowpass-16k, metrics that rank " +
      "these wrongly are named here."));
  }
  const n = data.columns.length;
  const wrong = orderLines(data, data.misorders.filter((m) => m.is_significant));
  const open = orderLines(data, data.misorders.filter((m) => !m.is_significant));
  const doubts = open.length
    ? [el("p", {}, "Cannot tell, as these may be the wrong way round by chance:"), el("ul", {}, open)] : [];
  if (wrong.length) {
    return note(`${wrong.length} of ${n} scores rank anchors wrongly`, "warn", el("ul", {}, wrong), doubts);
  }
  const right = open.length ? `${n - open.length} of ${n}` : `All ${n}`;
  return note("Metrics checked", open.length ? "" : "fine",
    el("p", {}, `${right} rank the anchors as they must: ${anchors.join(", ")}.`), doubts);
}

/** A line for each metric that has any of these misorders. */
function orderLines(data, misorders) {
  const of = data.columns.map((column) => [column, misorders.filter((m) => m.column === column.key)]);
  return of.filter(([, theirs]) => theirs.length).map(([column, theirs]) => orderLine(column, theirs));
}

/** The pairs that a metric ranks wrongly, the clearest first, and how many more there are. */
function orderLine(column, misorders) {
  const clearest = misorders.toSorted((a, b) => Math.abs(b.difference.mean) - Math.abs(a.difference.mean));
  const texts = clearest.slice(0, N_PAIRS).map(({ better, worse, difference }) => {
    const size = Math.abs(difference.mean).toFixed(column.decimals);
    const how = difference.mean === 0 ? "equals" : "beats";
    return `${worse} ${how} ${better} (by ${size}, p ${probability(difference.p)})`;
  });
  const rest = misorders.length > N_PAIRS ? `; and ${misorders.length - N_PAIRS} more pairs` : "";
  return el("li", {}, el("b", {}, column.title), ` – ${texts.join("; ")}${rest}`);
}

/** Failures, those that several systems share on one line. */
function failuresOf(data) {
  const lines = new Map();
  for (const system of data.systems) {
    for (const [recording, reasons] of Object.entries(system.failures)) {
      for (const [metric, reason] of Object.entries(reasons)) {
        const key = JSON.stringify([recording, metric, reason]);
        if (!lines.has(key)) lines.set(key, { recording, metric, reason, systems: [] });
        lines.get(key).systems.push(system.name);
      }
    }
  }
  return [...lines.values()];
}

function failureNote(failures) {
  if (!failures.length) return null;
  const rows = failures.map((f) => el("tr", {},
    [f.recording, f.metric, f.systems.join(", "), f.reason].map((text) => el("td", {}, text))));
  const head = el("tr", {}, ["recording", "step", "systems", "reason"].map((text) => el("th", {}, text)));
  return details(`${failures.length} failures, left out of all means`,
    el("div", { class: "scroll" }, el("table", { class: "plain" }, el("thead", {}, head), el("tbody", {}, rows))));
}

function note(title, kind, ...content) {
  return el("div", { class: `card note ${kind}` }, el("h3", {}, title), ...content);
}

function details(title, ...content) {
  return el("details", { class: "card note" }, el("summary", {}, title), ...content);
}

const probability = (p) => (p < 0.001 ? "< 0.001" : `= ${p.toFixed(3)}`);
