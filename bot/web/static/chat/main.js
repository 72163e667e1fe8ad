// One window is one person: ?person=U01&chat=g-… says who and where.

import * as api from "./api.js";
import { h, notify } from "./dom.js";
import { chatList } from "./list.js";
import { picker } from "./picker.js";
import { Talk, nothingOpen } from "./talk.js";

const app = document.getElementById("app");
let phone = null;

function address(person, chat) {
  const query = new URLSearchParams();
  if (person) query.set("person", person);
  if (chat) query.set("chat", chat);
  return query.size ? `?${query}` : location.pathname;
}

// crypto.randomUUID exists only on https and localhost; the demo is also shown over plain http in an office.
const newId = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** All that one person sees; `close()` when somebody else takes the window. */
class Phone {
  constructor({ person, chats, head }) {
    this.me = person;
    this.pending = [];
    this.readKey = `linsheng.read.${person.code}`;
    this.read = JSON.parse(localStorage.getItem(this.readKey) ?? "{}");
    this.chats = chats.map((chat) => ({
      ...chat,
      title: chat.kind === "direct" ? "邻声" : chat.name,
      address: address(person.code, chat.code),
      lines: new Map(),
      unread: Boolean(chat.last) && chat.last.sender !== person.user && chat.last.id > (this.read[chat.code] ?? 0),
    }));
    this.list = chatList(person, { choose: (chat) => go(person.code, chat.code), leave: () => go(null, null) });
    this.side = h("div", { class: "side" }, nothingOpen());
    this.element = h("main", { class: "phone", "data-screen": "list" }, this.list.element, this.side);
    this.stop = api.follow(person.code, head, (line) => this.hear(line), (open, again) => {
      this.list.online(open);
      if (again) this.talk?.load();
    });
    this.list.draw(this.chats, null);
  }

  close() {
    this.stop();
  }

  open(code) {
    const chat = this.chats.find((one) => one.code === code);
    if (code && !chat) notify("你不在这个群里");
    this.element.dataset.screen = chat ? "talk" : "list";
    document.title = chat ? `${chat.title} · ${this.me.name}` : `${this.me.name} · 邻声`;
    if (this.talk?.chat === chat && chat) return;
    this.talk = chat ? new Talk(this.me, chat, {
      send: (to, fields) => this.send(to, fields),
      retry: (item) => this.deliver(item),
      back: () => go(this.me.code, null),
    }) : null;
    this.side.replaceChildren(this.talk?.element ?? nothingOpen());
    if (this.talk) {
      this.talk.load();
      this.showPending();
      this.markRead(chat);
      if (matchMedia("(min-width: 760px)").matches) this.talk.composer.focus();
    }
    this.list.draw(this.chats, chat?.code);
  }

  hear(line) {
    const chat = this.chats.find((one) => one.code === line.chat);
    if (!chat || chat.lines.has(line.id)) return;
    if (line.recalls) {
      for (const [id, old] of chat.lines) {
        if (old.message === line.recalls) chat.lines.set(id, { ...old, recalled: true });
        else if (old.quote === line.recalls && old.quoted) chat.lines.set(id, { ...old, quoted: { ...old.quoted, recalled: true } });
      }
    }
    chat.lines.set(line.id, line);
    this.pending = this.pending.filter((item) => item.draft.client_id !== line.message);
    if (!chat.last || line.id > chat.last.id) {
      chat.last = line;
      this.chats = [chat, ...this.chats.filter((one) => one !== chat)];
    }
    if (this.talk?.chat === chat) {
      this.showPending();
      this.talk.add(line);
      this.markRead(chat);
    } else if (line.sender !== this.me.user) chat.unread = true;
    this.list.draw(this.chats, this.talk?.chat.code);
  }

  markRead(chat) {
    chat.unread = false;
    this.read[chat.code] = Math.max(this.read[chat.code] ?? 0, chat.last?.id ?? 0);
    localStorage.setItem(this.readKey, JSON.stringify(this.read));
  }

  send(chat, fields) {
    const draft = { ...fields, person: this.me.code, client_id: newId() };
    const item = { chat: chat.code, draft, failed: "", name: this.me.name };
    if (!draft.recalls && !draft.action) this.pending.push(item);
    return this.deliver(item);
  }

  async deliver(item) {
    item.failed = "";
    this.showPending();
    try {
      this.hear(await api.post(item.chat, item.draft));
    } catch (fault) {
      item.failed = fault.message;
      notify(fault.message);
      this.showPending();
    }
  }

  showPending() {
    this.talk?.showPending(this.pending.filter((item) => item.chat === this.talk.chat.code));
  }
}

/** Show what the address says. */
async function show() {
  const query = new URLSearchParams(location.search);
  const who = query.get("person");
  if (phone && phone.me.code !== who) {
    phone.close();
    phone = null;
  }
  if (!phone && who) {
    try {
      const known = await api.people(); // asked first: an address that was mistyped is then no failed request
      if (!known.some((one) => one.code === who)) throw new api.Refused(404, "person");
      const view = await api.person(who);
      if (new URLSearchParams(location.search).get("person") !== who) return;
      phone = new Phone(view);
      app.replaceChildren(phone.element);
    } catch (fault) {
      notify(fault.status === 404 ? "没有这个人" : fault.message);
      history.replaceState(null, "", location.pathname);
    }
  }
  if (phone) phone.open(query.get("chat"));
  else {
    document.title = "邻声 · 网页聊天";
    const people = await api.people().catch((fault) => { notify(fault.message); return []; });
    app.replaceChildren(picker(people, (code) => go(code, null)));
  }
}

function go(person, chat) {
  history.pushState(null, "", address(person, chat));
  show();
}

addEventListener("popstate", show);
show();
