// The page as a whole: what is chosen, and what is drawn again when it changes.

function start() {
  const data = readData();
  const view = {
    metric: data.columns[0].key,
    group: 0,
    baseline: null, // number of a system
    sort: { key: "", isAscending: true },
    hidden: new Set(), // names of the legend
    recording: null, // number of the one that is open
  };
  setUpTheme(byId("theme"));
  setUpChoices(data, view);
  setUpCodebooks(data);
  drawOverview(data);
  drawChoices(data, view);
  drawFound(data, view);
  byId("search").addEventListener("input", () => drawFound(data, view));
  addEventListener("hashchange", () => followLink(data, view));
  addEventListener("resize", () => drawSizes(data, view));
  if (!followLink(data, view)) openWhenSeen(data, view);
}

function setUpChoices(data, view) {
  const systems = data.systems.map((system, s) => [s, system.name]).filter(([s]) => !data.systems[s].not_measured);
  offer(byId("metric"), data.columns.map((column) => [column.key, column.title]));
  offer(byId("group"), data.groups.map(({ name, recordings }, g) => [g, `${name} (${recordings.length})`]));
  offer(byId("baseline"), [["", "nothing"], ...systems]);
  const choose = (name, parse) => byId(name).addEventListener("change", (event) => {
    view[name] = parse(event.target.value);
    drawChoices(data, view);
  });
  choose("metric", String);
  choose("group", Number);
  choose("baseline", (text) => (text === "" ? null : Number(text)));
}

function setUpCodebooks(data) {
  const coded = data.systems.map((system, s) => [s, system.name]).filter(([s]) => data.systems[s].usage);
  byId("codebooks").hidden = !coded.length;
  document.querySelector('nav a[href="#codebooks"]').hidden = !coded.length;
  if (!coded.length) return;
  offer(byId("coded"), coded);
  byId("coded").addEventListener("change", (event) => drawUsage(data, Number(event.target.value)));
  drawUsage(data, coded[0][0]);
}

function drawChoices(data, view) {
  drawChart(data, view);
  drawTable(data, view);
  drawWorst(data, view);
}

/** What is laid out in pixels. */
function drawSizes(data, view) {
  drawChart(data, view);
  if (!byId("codebooks").hidden) drawUsage(data, Number(byId("coded").value));
}

/** Open the recording that the address names; false if it names none. */
function followLink(data, view) {
  const r = linkedRecording(data);
  if (r < 0) return false;
  openRecording(data, view, r);
  byId("recordings").scrollIntoView();
  return true;
}

/** Open the first recording once somebody scrolls to it: decoding and drawing take a moment. */
function openWhenSeen(data, view) {
  const observer = new IntersectionObserver(([entry]) => {
    if (!entry.isIntersecting) return;
    observer.disconnect();
    if (view.recording === null) openRecording(data, view, 0);
  });
  observer.observe(byId("recordings"));
}

start();
