// The first screen: who do you want to be?

import { avatar, h, icon } from "./dom.js";
import { ROLES } from "./format.js";

const GROUPS = [
  ["居民", ["resident"]],
  ["微网格长", ["leader"]],
  ["网格员", ["gridworker", "part_time"]],
  ["社区、街道和区", ["community", "street", "district"]],
  ["部门", ["department"]],
];

const rank = (person) => GROUPS.findLastIndex(([, roles]) => person.roles.some((role) => roles.includes(role)));

function entry(person, choose) {
  const roles = person.roles.map((role) => h("span", { class: `chip ${role}` }, ROLES[role] ?? role));
  return h(
    "a",
    {
      class: "person",
      href: `?person=${encodeURIComponent(person.code)}`,
      "data-testid": `person-${person.code}`,
      onclick: (event) => {
        // With a modifier the browser opens another window: a second person.
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        choose(person.code);
      },
    },
    avatar(person.name),
    h(
      "span",
      { class: "who" },
      h("span", { class: "who-name" }, person.name),
      h("span", { class: "who-more" }, roles, person.home && h("span", { class: "home" }, person.home)),
    ),
  );
}

/** The picker; `choose(code)` is called once somebody is picked. */
export function picker(people, choose) {
  const list = h("div", { class: "people" });
  let only = null;
  const show = () => {
    const wanted = search.value.trim().toLowerCase();
    const fits = (person) =>
      [person.name, person.code, person.home, ...person.roles.map((role) => ROLES[role] ?? role)]
        .some((text) => text.toLowerCase().includes(wanted));
    const sections = [...GROUPS, ["其他", []]].map(([title], at) => {
      const place = at === GROUPS.length ? -1 : at;
      const found = only === null || only === title ? people.filter((person) => rank(person) === place && fits(person)) : [];
      return found.length
        ? h("section", {}, h("h2", {}, title, h("small", {}, String(found.length))),
            h("div", { class: "person-grid" }, found.map((person) => entry(person, choose))))
        : null;
    }).filter(Boolean);
    const empty = people.length ? "没有这样的人" : "这里还没有人：先导入一个镇街的资料";
    list.replaceChildren(...(sections.length ? sections : [h("p", { class: "empty" }, empty)]));
  };
  const search = h("input", {
    type: "search", placeholder: "搜名字、身份、住处", "aria-label": "搜索人", "data-testid": "person-search",
    oninput: show,
  });
  const tabs = [["全部", null], ...GROUPS.map(([title]) => [title, title])].map(([text, title]) => h("button", {
    type: "button", class: "tab", "aria-pressed": String(title === only), "data-testid": `tab-${text}`,
    onclick: (event) => {
      only = title;
      tabs.forEach((tab) => tab.setAttribute("aria-pressed", String(tab === event.currentTarget)));
      list.scrollTop = 0;
      show();
    },
  }, text));
  show();
  return h(
    "main",
    { class: "phone picker" },
    h(
      "header",
      { class: "picker-head" },
      h("img", { src: "/static/chat/icon.svg", alt: "", class: "mark" }),
      h("div", {}, h("h1", {}, "你想当谁？"), h("p", {}, "选一个人，走进他的邻里群。再开一个窗口，就是另一个人。")),
      h("label", { class: "search" }, icon("search"), search),
      h("nav", { class: "tabs", "aria-label": "身份" }, tabs),
    ),
    list,
  );
}
