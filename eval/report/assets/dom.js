// Elements, numbers and memory. Text only ever becomes text nodes, so no transcript can be markup.

const byId = (id) => document.getElementById(id);
const readData = () => JSON.parse(byId("data").textContent);

/** An HTML element; attributes called on... are listeners, booleans are present or absent. */
function el(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** An SVG element, likewise. */
function svg(name, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (typeof value === "boolean") node.toggleAttribute(key, value);
    else node.setAttribute(key, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null));
  return node;
}

/** Make `select` offer [value, text] pairs. */
function offer(select, pairs) {
  select.replaceChildren(...pairs.map(([value, text]) => el("option", { value }, text)));
}

/** Bytes of one of the page's base64 elements; null if it has none of this name. */
function readBlob(name) {
  const holder = byId(name);
  return holder && Uint8Array.from(atob(holder.textContent), (c) => c.charCodeAt(0));
}

/** Three significant digits for rates and times. */
const short = (x) => (x >= 100 ? x.toFixed(0) : x.toPrecision(3));

/** Keep a text for the next visit; false where the browser does not allow it. */
function remember(key, text) {
  try {
    localStorage.setItem(key, text);
    return true;
  } catch {
    return false;
  }
}

function recall(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Let a button switch between light and dark; until it is used, the system decides. */
function setUpTheme(button) {
  const root = document.documentElement;
  const chosen = recall("theme");
  if (chosen) root.dataset.theme = chosen;
  button.addEventListener("click", () => {
    const isDark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    remember("theme", root.dataset.theme);
  });
}
