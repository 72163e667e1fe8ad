// The list of chats of one person.

import { avatar, botAvatar, h, icon } from "./dom.js";
import { ROLES, brief, preview } from "./format.js";

function row(chat, open, choose) {
  const last = chat.last;
  return h(
    "a",
    {
      class: `chat-row ${open ? "open" : ""}`, href: chat.address, "aria-current": open ? "true" : null,
      "data-testid": `chat-${chat.code}`, "data-unread": chat.unread ? "true" : "false",
      onclick: (event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        choose(chat);
      },
    },
    h("span", { class: "face" }, chat.kind === "direct" ? botAvatar() : avatar(chat.title, "group"),
      chat.unread && h("span", { class: "dot", role: "img", "aria-label": "有新消息" })),
    h("span", { class: "chat-text" },
      h("span", { class: "chat-top" }, h("span", { class: "chat-name" }, chat.title),
        last && h("time", { datetime: last.at }, brief(last.at))),
      h("span", { class: "chat-last" }, preview(last, chat.kind))),
  );
}

/** The list's element, and `draw(chats, openCode)`. acts: {choose(chat), leave()}. */
export function chatList(me, acts) {
  const rows = h("nav", { class: "chats", "aria-label": "会话" });
  const state = h("div", { class: "state", role: "status", hidden: true }, "连接断了，正在重连…");
  const element = h(
    "aside",
    { class: "list" },
    h("header", { class: "me" }, avatar(me.name),
      h("span", { class: "who" }, h("span", { class: "who-name" }, me.name),
        h("span", { class: "who-more" }, me.roles.map((role) => h("span", { class: `chip ${role}` }, ROLES[role] ?? role)),
          me.home && h("span", { class: "home" }, me.home))),
      h("button", { type: "button", class: "tool", "aria-label": "换一个人", title: "换一个人", "data-testid": "switch", onclick: acts.leave }, icon("swap"))),
    state, rows,
  );
  return {
    element,
    online: (yes) => { state.hidden = yes; },
    draw: (chats, open) => {
      const focused = document.activeElement?.dataset?.testid;
      rows.replaceChildren(...chats.map((chat) => row(chat, chat.code === open, acts.choose)));
      if (focused?.startsWith("chat-")) rows.querySelector(`[data-testid="${CSS.escape(focused)}"]`)?.focus();
    },
  };
}
