// One line of a conversation: bubbles, photos, places, task cards, and the small grey lines between.

import { media } from "./api.js";
import { avatar, botAvatar, h, icon } from "./dom.js";
import { gist } from "./format.js";

const BOT = "bot";

/** Words with the bot's name picked out. */
function words(text) {
  return text.split(/(@邻声)/).map((piece) => (piece === "@邻声" ? h("span", { class: "mention" }, piece) : piece));
}

function photos(line) {
  return line.photos.map((name) => {
    const address = media(name);
    if (!address) return h("span", { class: "photo-missing" }, icon("photo"), "照片");
    const picture = h("img", { src: address, alt: `${line.name}发的照片`, loading: "lazy" });
    return h("a", { class: "photo", href: address, target: "_blank", rel: "noopener" }, picture);
  });
}

function place(line) {
  const degrees = line.lon === null ? "" : `${line.lon.toFixed(5)}, ${line.lat.toFixed(5)}`;
  return h(
    "div",
    { class: "place" },
    h("div", { class: "place-name" }, line.label || line.text || "位置", h("small", {}, degrees)),
    h("div", { class: "place-map" }, icon("pin")),
  );
}

function card(line, acts) {
  const { title, facts: told, words: said, buttons, link } = line.card;
  // Danger is seen before it is read: a mark beside the title instead of a line among the others.
  const urgent = told.some(([name, value]) => name === "紧急" && value === "是");
  const facts = urgent ? told.filter(([name]) => name !== "紧急") : told;
  const press = (button) => async (event) => {
    const all = event.currentTarget.parentElement.querySelectorAll("button");
    all.forEach((one) => { one.disabled = true; });
    await acts.press(line, button);
    all.forEach((one) => { one.disabled = false; });
  };
  return h(
    "article",
    { class: `card ${urgent ? "urgent" : ""}`, "data-testid": "card" },
    h("h3", {}, title, urgent && h("span", { class: "badge again" }, "紧急")),
    facts.length > 0 && h("dl", {}, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    said && h("blockquote", {}, said),
    /^(https?:\/\/|\/)/.test(link) && h("a", { class: "card-link", href: link, target: "_blank", rel: "noopener" }, "查看任务"),
    buttons.length > 0 && h("div", { class: "card-buttons" }, buttons.map((button) => h("button", {
      type: "button",
      class: acts.pressed(button.action) ? "pressed" : "",
      "data-action": button.action,
      "data-testid": `card-button-${button.action.split(":")[0]}`,
      onclick: press(button),
    }, button.text))),
  );
}

function quoted(line) {
  if (!line.quote) return null;
  const text = !line.quoted ? "引用的消息找不到了" : line.quoted.recalled ? "引用的消息已撤回"
    : `${line.quoted.name}：${line.quoted.kind === "text" ? line.quoted.text : gist({ ...line.quoted, label: line.quoted.text })}`;
  return h("div", { class: "quoted" }, text);
}

function body(line, acts) {
  const parts = [];
  if (line.kind === "image") parts.push(...photos(line));
  if (line.kind === "location") parts.push(place(line));
  else if (line.text) parts.push(h("div", { class: "words" }, words(line.text)));
  else if (!["image", "text"].includes(line.kind)) parts.push(h("div", { class: "words" }, gist(line)));
  if (line.card) parts.push(card(line, acts));
  return parts;
}

function tools(line, mine, acts) {
  return h(
    "div",
    { class: "tools" },
    h("button", { type: "button", title: "引用", "aria-label": `引用${line.name}的消息`, "data-testid": "quote", onclick: () => acts.quote(line) }, icon("quote")),
    mine && h("button", { type: "button", title: "撤回", "aria-label": "撤回这条消息", "data-testid": "recall", onclick: () => acts.recall(line) }, icon("recall")),
  );
}

/** A grey line in the middle. */
export const note = (text, testid) => h("div", { class: "note", "data-testid": testid }, h("span", {}, text));

/** The element of a line. acts: {user, quote, recall, press, pressed, menu, labelOf}. */
export function bubble(line, acts) {
  const mine = line.sender === acts.user;
  const name = mine ? "你" : line.name;
  if (line.recalled || line.kind === "recall") return note(`${name}撤回了一条消息`, "recalled");
  if (line.action) return note(`${name}点了「${acts.labelOf(line.action) ?? "按钮"}」`, "pressed");
  const bot = line.sender === BOT;
  const only = line.text ? "" : { image: "bare", location: "bare" }[line.kind] ?? "";
  const bubbleBox = h("div", { class: `bubble ${only} ${line.card ? "with-card" : ""}` }, body(line, acts));
  let held = 0;
  const menu = (x, y) => acts.menu(line, mine, x, y);
  bubbleBox.addEventListener("contextmenu", (event) => {
    if (event.target.closest("a")) return;
    event.preventDefault();
    menu(event.clientX, event.clientY);
  });
  bubbleBox.addEventListener("touchstart", (event) => {
    const { clientX, clientY } = event.touches[0];
    held = setTimeout(() => menu(clientX, clientY), 500);
  }, { passive: true });
  for (const end of ["touchend", "touchmove", "touchcancel"]) bubbleBox.addEventListener(end, () => clearTimeout(held));
  return h(
    "div",
    {
      class: `message ${mine ? "mine" : ""} ${bot ? "from-bot" : ""}`,
      "data-testid": "message", "data-sender": line.sender, "data-id": String(line.id), "data-message": line.message,
    },
    bot ? botAvatar() : avatar(line.name),
    h(
      "div",
      { class: "said" },
      h("div", { class: "name" }, line.name, bot && h("span", { class: "badge" }, "机器人"), line.repeat && h("span", { class: "badge again" }, "再次提醒")),
      h("div", { class: "bubble-row" }, bubbleBox, tools(line, mine, acts)),
      quoted(line),
    ),
  );
}

/** A message on its way, or one that did not get there. */
export function waiting(item, retry) {
  const text = item.draft.text || { image: "[照片]", location: "[位置]" }[item.draft.kind] || "";
  return h(
    "div",
    { class: `message mine waiting ${item.failed ? "failed" : ""}`, "data-testid": "pending" },
    avatar(item.name),
    h("div", { class: "said" }, h("div", { class: "bubble-row" },
      h("div", { class: "bubble" }, h("div", { class: "words" }, text)),
      item.failed
        ? h("button", { type: "button", class: "retry", "aria-label": `没有发出去：${item.failed}。再发一次`, title: item.failed, onclick: retry }, icon("retry"))
        : h("span", { class: "spinner", role: "status", "aria-label": "正在发送" }))),
  );
}
