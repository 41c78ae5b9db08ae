// Quality over bitrate: settings of a model joined by a line, intervals as bars, anchors as dashed lines.

const MARGIN = { left: 50, right: 18, top: 14, bottom: 42 };
const N_HUES = 8;
const LETTER = 6.3; // width of a label's letter, about

function drawChart(data, view) {
  const box = byId("chart");
  const column = data.columns.find((c) => c.key === view.metric);
  const points = data.systems.flatMap((system, i) => {
    const mean = data.means[view.group][view.metric][i];
    return mean && !view.hidden.has(legendName(system)) ? [{ system, mean, hue: hueOf(data, system) }] : [];
  });
  const plot = points.length ? drawPlot(box.clientWidth - 24, points, column) : el("p", {}, "Nothing to show.");
  box.replaceChildren(drawLegend(data, view), plot);
}

/** Anchors and systems without a rate have no place on the axis of rates. */
const isLine = (system) => system.is_anchor || !(system.kbit_per_s > 0);
const legendName = (system) => (system.is_anchor ? "anchors" : system.family);

function hueOf(data, system) {
  const families = [...new Set(data.systems.filter((s) => !s.is_anchor).map((s) => s.family))];
  return system.is_anchor ? "var(--muted)" : `var(--hue-${families.indexOf(system.family) % N_HUES})`;
}

function drawLegend(data, view) {
  const names = new Map();
  for (const system of data.systems) {
    if (!system.not_measured) names.set(legendName(system), hueOf(data, system));
  }
  return el("div", { class: "legend" }, [...names].map(([name, hue]) =>
    el("button", {
      class: "quiet",
      "aria-pressed": String(!view.hidden.has(name)),
      onclick: () => {
        if (!view.hidden.delete(name)) view.hidden.add(name);
        drawChart(data, view);
      },
    }, el("i", { style: `background: ${hue}` }), name)));
}

function drawPlot(width, points, column) {
  const height = width < 500 ? 300 : 400;
  const x = rateScale(points, MARGIN.left, width - MARGIN.right);
  const y = valueScale(points, height - MARGIN.bottom, MARGIN.top);
  const dots = points.filter((p) => !isLine(p.system)).map((p) => (
    { ...p, x: x(p.system.kbit_per_s), y: y(p.mean.mean), low: y(p.mean.low), high: y(p.mean.high) }));
  const lines = points.filter((p) => isLine(p.system));
  const curves = curvesOf(dots);
  return svg("svg", { width, height, role: "img", "aria-label": `${column.title} over kbit/s` },
    drawAxes(x, y, width, height, column),
    lines.map((p) => drawLine(p, y, width, column)),
    drawLineLabels(lines, y),
    curves.map((curve) => drawCurve(curve)),
    dots.map((p) => drawDot(p, column)),
    drawLabels(dots, curves, width));
}

function rateScale(points, from, to) {
  const rates = points.filter((p) => !isLine(p.system)).map((p) => p.system.kbit_per_s);
  const [low, high] = rates.length ? [Math.min(...rates) / 1.25, Math.max(...rates) * 1.35] : [1, 10];
  const scale = (rate) => from + ((to - from) * Math.log(rate / low)) / Math.log(high / low);
  const all = [-2, -1, 0, 1, 2, 3].flatMap((e) => [1, 2, 5].map((m) => m * 10 ** e));
  scale.ticks = all.filter((rate) => rate >= low && rate <= high);
  return scale;
}

function valueScale(points, from, to) {
  const ends = points.flatMap((p) => [p.mean.low, p.mean.high]);
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const pad = (high - low || 1) * 0.06;
  const scale = (value) => from + ((to - from) * (value - low + pad)) / (high - low + 2 * pad);
  const step = niceStep((high - low + 2 * pad) / 5);
  const first = Math.ceil((low - pad) / step);
  const count = Math.floor((high + pad) / step) - first + 1;
  scale.ticks = Array.from({ length: count }, (_, i) => (first + i) * step);
  scale.decimals = Math.max(0, -Math.floor(Math.log10(step)));
  return scale;
}

/** The smallest of 1, 2, 5, 10 ... (times a power of ten) that is no smaller. */
function niceStep(step) {
  const unit = 10 ** Math.floor(Math.log10(step));
  return unit * [1, 2, 5, 10].find((m) => m * unit >= step * 0.999);
}

function drawAxes(x, y, width, height, column) {
  const [left, right, bottom] = [MARGIN.left, width - MARGIN.right, height - MARGIN.bottom];
  const unit = column.unit ? ` (${column.unit})` : "";
  return svg("g", { class: "axes" },
    y.ticks.map((value) => [
      svg("line", { x1: left, x2: right, y1: y(value), y2: y(value) }),
      svg("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(y.decimals)),
    ]),
    x.ticks.map((rate) => svg("text", { x: x(rate), y: bottom + 18, "text-anchor": "middle" }, String(rate))),
    svg("text", { x: right, y: height - 6, "text-anchor": "end" }, "kbit/s"),
    svg("text", { x: left, y: height - 6 },
      `${column.title}${unit}: ${column.higher_is_better ? "higher" : "lower"} is better`));
}

function drawLine({ system, mean }, y, width, column) {
  const at = y(mean.mean);
  return svg("g", { class: "anchor", ...tipFor(system, mean, column) },
    svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: at, y2: at }),
    svg("line", { class: "target", x1: MARGIN.left, x2: width - MARGIN.right, y1: at, y2: at }));
}

/** Names on dashed lines; those of lines that nearly coincide share a place. */
function drawLineLabels(lines, y) {
  const labels = [];
  for (const { system, mean } of lines.toSorted((a, b) => y(b.mean.mean) - y(a.mean.mean))) {
    const last = labels.at(-1);
    if (last && last.at - y(mean.mean) < 12) last.names.push(system.name);
    else labels.push({ at: y(mean.mean), names: [system.name] });
  }
  return labels.map(({ at, names }) =>
    svg("text", { class: "line-label", x: MARGIN.left + 6, y: at - 4 }, names.join(", ")));
}

/** Dots of each model in the order of their rates. */
function curvesOf(dots) {
  const families = Map.groupBy(dots.filter((p) => p.system.is_curve), (p) => p.system.family);
  return [...families.values()].map((members) => members.toSorted((a, b) => a.x - b.x));
}

function drawCurve(curve) {
  const path = curve.map((p) => `${p.x},${p.y}`).join(" ");
  return svg("polyline", { class: "curve", points: path, style: `stroke: ${curve[0].hue}` });
}

function drawDot({ system, mean, hue, x, y, low, high }, column) {
  const caps = [low, high].map((end) => `M${x - 4},${end}h8`).join("");
  return svg("g", { class: "dot", style: `--hue: ${hue}`, ...tipFor(system, mean, column) },
    svg("path", { d: `M${x},${low}V${high}${caps}` }),
    svg("circle", { cx: x, cy: y, r: 5 }),
    svg("circle", { class: "target", cx: x, cy: y, r: 13 }));
}

/** Names beside the dots, where there is room; the rest have them on hover. */
function drawLabels(dots, curves, width) {
  const bars = dots.map(({ x, low, high }) => ({ left: x - 4, right: x + 4, top: high, bottom: low }));
  const taken = [...dots.map((p) => around(p, 5)), ...curves.flatMap(alongCurve)];
  return dots.flatMap((p) => {
    const text = p.system.name.length > 24 ? `…${p.system.name.slice(-23)}` : p.system.name;
    const places = labelPlaces(p, text.length * LETTER).filter(({ left, right, top }) =>
      left >= MARGIN.left && right <= width && top >= 0);
    const isFree = (label, obstacles) => !obstacles.some((other) => overlap(label, other));
    const free = places.filter((label) => isFree(label, taken));
    const label = free.find((label) => isFree(label, bars)) ?? free[0]; // across a bar rather than nowhere
    if (!label) return [];
    taken.push(label);
    return [svg("text", { class: "label", x: label.left, y: label.top + 11, style: `fill: ${p.hue}` }, text)];
  });
}

/** Where a label of this width can stand beside a dot, the best place first. */
function labelPlaces({ x, y }, size) {
  const [center, end] = [-size / 2, -size];
  const offsets = [[9, 4], [-4, -10], [-4, 18], [center, -12], [center, 20], [end - 9, 4], [end + 4, -10]];
  return offsets.map(([dx, dy]) => ({ left: x + dx, right: x + dx + size, top: y + dy - 11, bottom: y + dy + 3 }));
}

const around = ({ x, y }, r) => ({ left: x - r, right: x + r, top: y - r, bottom: y + r });

/** Small boxes that cover a curve. */
function alongCurve(curve) {
  return curve.slice(1).flatMap((end, i) => {
    const steps = Math.ceil(Math.hypot(end.x - curve[i].x, end.y - curve[i].y) / 5);
    const between = (from, to, step) => from + ((to - from) * step) / steps;
    return Array.from({ length: steps }, (_, step) =>
      around({ x: between(curve[i].x, end.x, step), y: between(curve[i].y, end.y, step) }, 2));
  });
}

const overlap = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

/** Attributes that show a point's numbers on hover and focus. */
function tipFor(system, mean, column) {
  const value = (x) => x.toFixed(column.decimals);
  const lines = [
    system.name,
    `${column.title} ${value(mean.mean)} [${value(mean.low)}, ${value(mean.high)}]`,
    `${system.kbit_per_s > 0 ? `${short(system.kbit_per_s)} kbit/s, ` : ""}${mean.n} recordings`,
  ];
  const show = (event) => showTip(event.currentTarget, lines);
  return {
    tabindex: 0, role: "img", "aria-label": lines.join(", "),
    onpointerenter: show, onfocus: show, onpointerleave: hideTip, onblur: hideTip,
  };
}

/** Show lines above an element, the first one bold. */
function showTip(target, lines) {
  const tip = byId("tip");
  const box = (target.querySelector("circle") ?? target).getBoundingClientRect();
  tip.replaceChildren(...lines.map((line, i) => el(i ? "div" : "b", {}, line)));
  tip.hidden = false;
  const left = box.left + box.width / 2 - tip.offsetWidth / 2;
  tip.style.left = `${Math.min(Math.max(8, left), innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.max(8, box.top - tip.offsetHeight - 10)}px`;
}

function hideTip() {
  byId("tip").hidden = true;
}
