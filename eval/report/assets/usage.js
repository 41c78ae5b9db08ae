// How much of each codebook is used.

const BARS_HEIGHT = 190;

function drawUsage(data, s) {
  const { usage } = data.systems[s];
  const { codebooks } = usage;
  const saved = 1 - usage.entropy_kbit_per_s / usage.nominal_kbit_per_s;
  const texts = [
    `${usage.frames.toLocaleString("en")} frames.`,
    `Entropy ${usage.entropy_kbit_per_s.toFixed(2)} of ${usage.nominal_kbit_per_s.toFixed(2)} kbit/s: coding each ` +
      `code by its frequency would save ${(100 * saved).toFixed(0)}%.`,
    `Another code of the same frame tells ${(100 * usage.redundancy).toFixed(0)}% of a code on average.`,
  ];
  if (codebooks.some((book) => book.size > usage.frames)) {
    texts.push("There are fewer frames than entries in the largest codebook, so its numbers are too low.");
  }
  byId("usage").replaceChildren(
    el("p", {}, texts.join(" ")),
    el("div", { class: "legend" },
      el("span", {}, el("i", { class: "used" }), "entries used"),
      el("span", {}, el("i", { class: "entropy" }), "entropy, of the most that so many entries can have")),
    drawBars(codebooks, byId("usage").clientWidth - 32));
}

function drawBars(codebooks, width) {
  const [left, bottom, top] = [40, BARS_HEIGHT - 22, 8];
  const step = Math.min((width - left) / codebooks.length, 60);
  const y = (share) => bottom - share * (bottom - top);
  const every = Math.max(1, Math.ceil(18 / step)); // so that the numbers do not touch
  return svg("svg", { width, height: BARS_HEIGHT, role: "img", "aria-label": "Usage of each codebook" },
    svg("g", { class: "axes" },
      [0, 0.5, 1].map((share) => [
        svg("line", { x1: left, x2: width, y1: y(share), y2: y(share) }),
        svg("text", { x: left - 6, y: y(share) + 4, "text-anchor": "end" }, `${100 * share}%`),
      ]),
      codebooks.flatMap((_, k) => k % every ? [] :
        [svg("text", { x: left + (k + 0.5) * step, y: BARS_HEIGHT - 6, "text-anchor": "middle" }, String(k + 1))])),
    codebooks.map((book, k) => drawBar(book, k, left + (k + 0.14) * step, 0.72 * step, y)));
}

function drawBar(book, k, x, width, y) {
  const used = book.size - book.n_unseen;
  const share = book.size > 1 ? book.entropy / Math.log2(book.size) : 0;
  const lines = [
    `Codebook ${k + 1}`,
    `${used} of ${book.size} entries used`,
    `entropy ${book.entropy.toFixed(2)} of ${Math.log2(book.size).toFixed(2)} bits`,
    `perplexity ${short(book.perplexity)}`,
    `${(100 * book.repetition).toFixed(0)}% repeat the frame before`,
  ];
  const show = (event) => showTip(event.currentTarget, lines);
  const bar = (kind, height, inset) =>
    svg("rect", { class: kind, x: x + inset, y: y(height), width: width - 2 * inset, height: y(0) - y(height) });
  return svg("g", {
    tabindex: 0, role: "img", "aria-label": lines.join(", "),
    onpointerenter: show, onfocus: show, onpointerleave: hideTip, onblur: hideTip,
  }, bar("used", used / book.size, 0), bar("entropy", share, width * 0.22));
}
