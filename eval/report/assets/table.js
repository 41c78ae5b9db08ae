// Systems by columns: sortable, best values marked, each compared with a baseline of choice.

const SIGNIFICANT = 0.05;

function drawTable(data, view) {
  const columns = tableColumns(data, view);
  const rows = sorted(data.systems.map((system, i) => ({ system, i })).filter(({ system }) => !system.not_measured),
    columns.find((c) => c.key === view.sort.key), view.sort.isAscending);
  const head = el("tr", {}, columns.map((column) => headCell(column, data, view)));
  const body = rows.map((row) => el("tr", { class: row.system.is_anchor ? "anchor" : "" },
    columns.map((column) => column.cell(row))));
  byId("systems").replaceChildren(el("table", {}, el("thead", {}, head), el("tbody", {}, body)));
  byId("comparison").textContent = view.baseline === null ? "" :
    ` Below each interval: difference from ${data.systems[view.baseline].name} on the same recordings, and p of a ` +
    "two-sided paired permutation test, not corrected for the number of comparisons.";
}

/** Key, title, sorting value and cell of each column. */
function tableColumns(data, view) {
  return [
    { key: "name", title: "System", isAscending: true, value: ({ system }) => system.name, cell: nameCell },
    numberColumn("kbit_per_s", "kbit/s"),
    ...data.columns.map((column) => metricColumn(data, view, column)),
    numberColumn("encode_rtf", "encode RTF"),
    numberColumn("decode_rtf", "decode RTF"),
  ];
}

/** A number that a system has over all recordings; 0 where it is unknown. */
function numberColumn(key, title) {
  return {
    key, title, isAscending: true,
    value: ({ system }) => system[key] || null,
    cell: ({ system }) => el("td", {}, system[key] ? short(system[key]) : "–"),
  };
}

function metricColumn(data, view, column) {
  const means = data.means[view.group][column.key];
  const best = bestOf(data, means, column);
  return {
    key: column.key,
    title: column.title + (column.unit ? ` (${column.unit})` : ""),
    better: column.higher_is_better ? "↑" : "↓",
    isAscending: !column.higher_is_better,
    value: ({ i }) => means[i]?.mean ?? null,
    cell: ({ i }) => metricCell(
      means[i], column, data.groups[view.group].recordings.length, means[i]?.mean === best,
      differenceLine(data, view, column, i)),
  };
}

function bestOf(data, means, column) {
  const values = means.filter((mean, i) => mean && !data.systems[i].is_anchor).map((mean) => mean.mean);
  return column.higher_is_better ? Math.max(...values) : Math.min(...values);
}

/** Rows by a column's values; those without one come last. */
function sorted(rows, column, isAscending) {
  if (!column) return rows;
  const sign = isAscending ? 1 : -1;
  return rows.toSorted((a, b) => {
    const [x, y] = [column.value(a), column.value(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (typeof x === "string" ? x.localeCompare(y, undefined, { numeric: true }) : x - y);
  });
}

function headCell(column, data, view) {
  const isSorted = view.sort.key === column.key;
  const direction = view.sort.isAscending ? "ascending" : "descending";
  const sort = () => {
    view.sort = { key: column.key, isAscending: isSorted ? !view.sort.isAscending : column.isAscending };
    drawTable(data, view);
  };
  const better = column.better ? el("span", { class: "muted", title: "better" }, ` ${column.better}`) : null;
  return el("th", { scope: "col", "aria-sort": isSorted ? direction : "none" },
    el("button", { class: "quiet", onclick: sort, "data-column": column.key }, column.title, better));
}

function nameCell({ system }) {
  return el("th", { scope: "row", title: system.name }, system.name);
}

/** Mean and interval; also of how many recordings, if not of all `n`. */
function metricCell(mean, column, n, isBest, difference) {
  if (!mean) return el("td", { class: "muted" }, "–");
  const value = (x) => x.toFixed(column.decimals);
  return el("td", isBest ? { class: "best" } : {},
    el("div", { class: "mean" }, value(mean.mean)),
    el("div", { class: "interval" },
      `${value(mean.low)} – ${value(mean.high)}${mean.n < n ? ` (${mean.n} of ${n})` : ""}`),
    difference);
}

function differenceLine(data, view, column, i) {
  const difference = view.baseline === null ? null : differenceOf(data, view.group, column.key, i, view.baseline);
  if (!difference) return null;
  const gain = column.higher_is_better ? difference.mean : -difference.mean;
  const kind = difference.p >= SIGNIFICANT || !gain ? "" : gain > 0 ? "good" : "bad";
  const value = (x) => (x > 0 ? "+" : "") + x.toFixed(column.decimals);
  const title = `[${value(difference.low)}, ${value(difference.high)}] on ${difference.n} recordings`;
  return el("div", { class: `difference ${kind}`, title }, `${value(difference.mean)}, p ${probability(difference.p)}`);
}

/** System i minus system j; pairs are kept one way round. */
function differenceOf(data, group, key, i, j) {
  if (i === j) return null;
  const differences = data.differences[group][key];
  if (i < j) return differences[i][j];
  const other = differences[j][i];
  return other && { mean: -other.mean, low: -other.high, high: -other.low, n: other.n, p: other.p };
}
