// One open conversation: its lines in order, times between them, and the menu of a line.

import { messages } from "./api.js";
import { bubble, note, waiting } from "./bubble.js";
import { composer } from "./composer.js";
import { botAvatar, h, icon, notify } from "./dom.js";
import { moment } from "./format.js";

const GAP = 5 * 60 * 1000; // a time is shown after so many milliseconds of silence

/** The screen of `chat` for `me`. acts: {send(chat, fields), retry(item), back()}. */
export class Talk {
  constructor(me, chat, acts) {
    this.me = me;
    this.chat = chat;
    this.acts = acts;
    this.more = false;
    this.pending = h("div", { class: "pendings" });
    this.older = h("button", { type: "button", class: "older", hidden: true, onclick: () => this.loadOlder() }, "更早的消息");
    this.log = h("div", { class: "lines", role: "log", "aria-live": "polite", "aria-label": `${chat.title}的消息` });
    this.scroller = h("div", { class: "scroller", tabindex: "0", "aria-label": "消息记录" }, this.older, this.log, this.pending);
    this.fresh = h("button", { type: "button", class: "fresh", hidden: true, onclick: () => this.toEnd() }, "↓ 新消息");
    this.pinned = true;
    this.scroller.addEventListener("scroll", () => {
      this.pinned = this.atEnd();
      if (this.pinned) this.fresh.hidden = true;
    });
    this.composer = composer({ direct: chat.kind === "direct", send: (fields) => acts.send(chat, fields) });
    this.element = h(
      "section",
      { class: "talk", "aria-label": chat.title },
      h("header", { class: "talk-head" },
        h("button", { type: "button", class: "tool back", "aria-label": "返回", "data-testid": "back", onclick: acts.back }, icon("back")),
        h("h2", {}, chat.title, chat.kind === "direct" && h("span", { class: "badge" }, "机器人"))),
      this.scroller, this.fresh, this.composer.element,
    );
    this.lineActs = {
      user: me.user,
      quote: (line) => this.composer.quote(line),
      recall: (line) => acts.send(chat, { kind: "recall", recalls: line.message }),
      press: (line, button) => acts.send(chat, { action: button.action, quote: line.message }),
      pressed: (action) => [...chat.lines.values()].some((line) => line.action === action && line.sender === me.user),
      labelOf: (action) => [...chat.lines.values()].flatMap((line) => line.card?.buttons ?? [])
        .find((button) => button.action === action)?.text,
      menu: (line, mine, x, y) => this.menu(line, mine, x, y),
    };
  }

  /** Fetch the newest lines; after a gap in the stream this fills it. */
  async load() {
    const known = this.chat.lines.size > 0;
    try {
      const { messages: found, more } = await messages(this.chat.code, this.me.code);
      found.forEach((line) => this.chat.lines.set(line.id, line));
      if (!known) this.more = more;
    } catch (fault) {
      notify(fault.message);
    }
    this.draw();
    this.toEnd();
  }

  async loadOlder() {
    const first = Math.min(...this.chat.lines.keys());
    const height = this.scroller.scrollHeight;
    try {
      const { messages: found, more } = await messages(this.chat.code, this.me.code, first);
      found.forEach((line) => this.chat.lines.set(line.id, line));
      this.more = more;
      this.draw();
      this.scroller.scrollTop += this.scroller.scrollHeight - height;
    } catch (fault) {
      notify(fault.message);
    }
  }

  ordered() {
    const lines = [...this.chat.lines.values()].sort((a, b) => a.id - b.id);
    const here = new Set(lines.map((line) => line.message));
    // A recall is told where the recalled line stood; only if that is out of sight does it stand for itself.
    return lines.filter((line) => line.kind !== "recall" || !here.has(line.recalls));
  }

  draw() {
    const top = this.scroller.scrollTop;
    this.older.hidden = !this.more;
    this.log.replaceChildren();
    this.lastAt = 0;
    const lines = this.ordered();
    lines.forEach((line) => this.append(line));
    if (!lines.length) this.log.append(note(this.chat.kind === "direct" ? "跟邻声说说家门口的事" : "还没有人说话", "nothing"));
    this.scroller.scrollTop = top;
  }

  append(line) {
    const at = Date.parse(line.at);
    if (at - this.lastAt > GAP) this.log.append(h("time", { class: "time", datetime: line.at }, moment(line.at)));
    this.lastAt = at;
    this.log.append(bubble(line, this.lineActs));
  }

  /** A new line of this chat, already kept in `chat.lines`. */
  add(line) {
    const end = this.atEnd() || line.sender === this.me.user;
    const newest = line.id === Math.max(...this.chat.lines.keys());
    if (line.kind === "recall" || line.action || !newest || this.chat.lines.size === 1) this.draw();
    else this.append(line);
    if (end) this.toEnd();
    else if (line.kind !== "recall") this.fresh.hidden = false;
  }

  showPending(items) {
    this.pending.replaceChildren(...items.map((item) => waiting(item, () => this.acts.retry(item))));
    if (items.length) this.toEnd();
  }

  atEnd() {
    return this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight < 80;
  }

  toEnd() {
    this.fresh.hidden = true;
    this.pinned = true;
    const down = () => { if (this.pinned) this.scroller.scrollTop = this.scroller.scrollHeight; };
    down();
    // A photo that arrives later pushes the end away; whoever has scrolled up meanwhile stays where she is.
    this.log.querySelectorAll("img").forEach((picture) => { if (!picture.complete) picture.addEventListener("load", down, { once: true }); });
  }

  menu(line, mine, x, y) {
    const items = [["引用", () => this.lineActs.quote(line)]];
    if (line.text) items.push(["复制", () => navigator.clipboard?.writeText(line.text)]);
    if (mine) items.push(["撤回", () => this.lineActs.recall(line)]);
    const close = () => { box.remove(); document.removeEventListener("pointerdown", outside, true); };
    const outside = (event) => { if (!box.contains(event.target)) close(); };
    const box = h("div", { class: "menu", role: "menu", onkeydown: (event) => { if (event.key === "Escape") close(); } },
      items.map(([label, act]) => h("button", { type: "button", role: "menuitem", onclick: () => { close(); act(); } }, label)));
    document.body.append(box);
    box.style.left = `${Math.max(8, Math.min(x, innerWidth - box.offsetWidth - 8))}px`;
    box.style.top = `${Math.max(8, Math.min(y, innerHeight - box.offsetHeight - 8))}px`;
    document.addEventListener("pointerdown", outside, true);
    box.querySelector("button").focus({ preventScroll: true });
  }
}

/** What stands beside the list before a chat is chosen. */
export const nothingOpen = () => h("section", { class: "talk blank" }, botAvatar(), h("p", {}, "选一个群，听听邻居在说什么"));
