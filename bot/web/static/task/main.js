// Presses and waits: what may be done and what came of it, the server says.

import { act, page, shrink, state } from "./api.js";
import { ticked, wanted } from "./correct.js";

const POLL = 600; // milliseconds between looks while a press is on its way
const PATIENCE = 45; // looks before the person is told that it takes longer
const IDLE = 15_000; // milliseconds between looks when nothing is pressed
const SURE = 4_000; // milliseconds in which a second tap confirms

const CONFIRM = { transfer: "再点一次：确认转派", dismiss: "再点一次：确认非诉求" };
const buttons = [...document.querySelectorAll("button[data-action]")];
const note = document.getElementById("note");
const photo = document.getElementById("photo");
const photoName = document.getElementById("photo-name");
const notice = document.getElementById("notice");
const askPhoto = photoName.textContent;
const names = new Map(buttons.map((button) => [button, button.textContent]));
// What has not arrived yet: the same press again keeps its id, so that it acts once.
let pending = null;
let busy = false;

// crypto.randomUUID exists only on https and localhost.
const newId = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const pause = (time) => new Promise((done) => { setTimeout(done, time); });
const mark = () => document.getElementById("ticket").dataset.mark;

function tell(text, bad = false) {
  notice.textContent = text;
  notice.classList.toggle("bad", bad);
}

function offer(actions) {
  for (const button of buttons) button.hidden = !actions.includes(button.dataset.action);
  document.getElementById("work").hidden = actions.length === 0;
}

/** Show the ticket as it is now; what the person has typed and ticked stays, unless `all` is to be as it is now. */
async function refresh(actions, all = false) {
  const fresh = await page();
  const keep = all ? [] : ticked();
  const editing = !all && document.querySelector("#correct details[open]");
  for (const id of ["ticket", "history", ...(editing ? [] : ["correct"])]) {
    document.getElementById(id).replaceWith(fresh.getElementById(id));
  }
  for (const box of document.querySelectorAll("input[name=tick]")) box.checked = keep.includes(box.value);
  offer(actions);
}

async function settled(id) {
  for (let look = 0; look < PATIENCE; look += 1) {
    const now = await state(id);
    if (now.press?.finished) return now;
    await pause(POLL);
  }
  return null;
}

async function press(action, value = "") {
  const file = action === "done" ? photo.files[0] : undefined;
  const words = value ? "" : note.value; // a correction has its value, the rest has the note
  const same = pending && pending.action === action && pending.value === value && pending.note === words && pending.file === file;
  if (!same) pending = { action, value, note: words, file, id: newId() };
  await act({ action, note: words, value, client_id: pending.id }, file && (await shrink(file)));
  const now = await settled(pending.id);
  if (now === null) {
    tell("已收到，还在处理，请稍后再看");
    return;
  }
  pending = null;
  const refused = now.press.outcome !== "work";
  if (!refused && !value) {
    note.value = "";
    photo.value = "";
    photoName.textContent = askPhoto;
  }
  await refresh(now.actions, !refused);
  tell(now.press.answer || (refused ? "没有改动" : "已处理"), refused);
}

function calm() {
  for (const [button, name] of names) {
    button.textContent = name;
    button.classList.remove("sure");
  }
  for (const button of document.querySelectorAll("button[data-correct].sure")) {
    button.textContent = button.dataset.name;
    button.classList.remove("sure");
  }
}

async function pressed(button) {
  const { action, correct, sure = CONFIRM[action] } = button.dataset;
  if (busy) return;
  const { value, missing } = correct ? wanted(button) : {};
  if (missing) {
    tell(missing, true);
    return;
  }
  if (sure && !button.classList.contains("sure")) {
    calm();
    button.dataset.name = button.textContent;
    button.textContent = sure;
    button.classList.add("sure");
    clearTimeout(pressed.timer);
    pressed.timer = setTimeout(calm, SURE);
    return;
  }
  calm();
  busy = true;
  const all = () => [...buttons, ...document.querySelectorAll("button[data-correct]")];
  all().forEach((one) => { one.disabled = true; });
  tell("正在提交…");
  try {
    await press(correct ?? action, value);
  } catch (fault) {
    tell(fault.message, true);
  }
  all().forEach((one) => { one.disabled = false; });
  busy = false;
}

async function look() {
  if (busy || document.hidden) return;
  try {
    const now = await state();
    if (!busy && now.mark !== mark()) await refresh(now.actions);
  } catch {
    return; // the next look, or the next press, tells
  }
}

for (const button of buttons) button.addEventListener("click", () => pressed(button));
document.addEventListener("click", ({ target }) => {
  const button = target.closest("button[data-correct]");
  if (button) pressed(button);
});
photo.addEventListener("change", () => { photoName.textContent = photo.files.length ? "已选 1 张照片，点这里可更换" : askPhoto; });
document.addEventListener("visibilitychange", look);
setInterval(look, IDLE);
