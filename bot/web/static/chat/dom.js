// Small helpers that build the page. Text always goes in as text: nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";

const PATHS = {
  back: "M15 5l-7 7 7 7",
  photo: "M4 6h16v12H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5h.01",
  pin: "M12 21s-7-6.2-7-11.2A7 7 0 0 1 19 9.8C19 14.8 12 21 12 21zM12 12.3a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
  quote: "M9 7l-5 5 5 5M4 12h10a6 6 0 0 1 6 6",
  recall: "M4 5v5h5M4.6 10a8 8 0 1 1-.5 4",
  close: "M6 6l12 12M18 6L6 18",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM20 20l-4-4",
  swap: "M7 8h12l-3.5-3.5M17 16H5l3.5 3.5",
  retry: "M20 5v5h-5M19.4 10a8 8 0 1 0 .5 4",
};

/** An element. props: attributes; `on…` are listeners, `class` a string, false and null are left out. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A line icon, hidden from screen readers: the button around it carries the name. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** The letter of a name on a colour that is always the same for that name. */
export function avatar(name, extra = "") {
  let sum = 7;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) >>> 0;
  const letter = [...name.replace(/^(网格员|街道|社区)/, "") || name][0] ?? "?";
  return h("span", { class: `avatar hue-${sum % 10} ${extra}`, "aria-hidden": "true" }, letter);
}

export const botAvatar = () => h("span", { class: "avatar bot", "aria-hidden": "true" }, "邻");

/** Say something short for a few seconds. */
export function notify(text) {
  const box = document.getElementById("notice");
  box.replaceChildren(h("span", {}, text));
  clearTimeout(notify.timer);
  notify.timer = setTimeout(() => box.replaceChildren(), 3500);
}
