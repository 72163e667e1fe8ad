// What staff put right: which value a button stands for, and the places that fit what is typed.

import { places } from "./api.js";

const LOOK_AFTER = 250; // milliseconds without a key before the server is asked
const codes = new Map(); // a place's name as the list shows it, to its code

const at = (id) => document.getElementById(id);
export const ticked = () => [...document.querySelectorAll("input[name=tick]:checked")].map((box) => box.value);

/** {value} for the press, or {missing}: what to say when something is not chosen yet. */
export function wanted(button) {
  const { correct, value, from, missing, wrong } = button.dataset;
  if (correct === "split") {
    const rows = ticked();
    if (rows.length === 0) return { missing };
    const name = at("split-place").value.trim();
    if (name && !codes.has(name)) return { missing: wrong };
    return { value: [rows.join(","), at("split-category").value, codes.get(name) ?? ""].join(":") };
  }
  if (from === "place") {
    const code = codes.get(at("place").value.trim());
    return code ? { value: code } : { missing };
  }
  return { value: from ? at(from).value : value };
}

async function offer(words) {
  const found = await places(words).catch(() => []);
  for (const { code, name } of found) codes.set(name, code);
  at("near")?.replaceChildren(...found.map(({ name }) => new Option(name, name)));
}

let waiting;
document.addEventListener("input", ({ target }) => {
  if (target.getAttribute("list") !== "near") return;
  clearTimeout(waiting);
  const words = target.value.trim();
  if (words && !codes.has(words)) waiting = setTimeout(offer, LOOK_AFTER, words);
});
