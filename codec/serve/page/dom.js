// Elements and the theme. Text only ever becomes text nodes, so no text can be markup.

export const byId = (id) => document.getElementById(id);

/** An HTML element; attributes called on... are listeners, booleans are present or absent. */
export function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (typeof value === "boolean") node.toggleAttribute(key, value);
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

/** What a section says of its state: an error, or what it waits for; nothing without a text. */
export function tell(section, text, isError = false) {
  const notice = section.querySelector(".notice");
  notice.textContent = text ?? "";
  notice.classList.toggle("error", isError);
}

/** A listener that shows in a section what goes wrong in an action, and takes away what was shown before. */
export function act(section, action) {
  return async (event) => {
    event?.preventDefault();
    tell(section);
    try {
      await action(event);
    } catch (error) {
      tell(section, error.message, true);
    }
  };
}

const system = matchMedia("(prefers-color-scheme: dark)");

/** Call a listener whenever the page's colours have changed. */
export function onThemeChange(listener) {
  system.addEventListener("change", listener);
  new MutationObserver(listener).observe(document.documentElement, { attributeFilter: ["data-theme"] });
}

/** Let a button switch between light and dark; until it is used, the system decides. */
export function setUpTheme(button) {
  const root = document.documentElement;
  button.addEventListener("click", () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
    root.dataset.theme = isDark ? "light" : "dark";
  });
}
