// The dialog that sends a place: one of the town's named places, or degrees.

import { places } from "./api.js";
import { h, icon, notify } from "./dom.js";

/** Resolves to {lon, lat, label}, or null when the dialog was closed. */
export function pickPlace() {
  return new Promise((resolve) => {
    let result = null;
    let asked = 0;
    const found = h("div", { class: "place-list", role: "list", "aria-live": "polite" });
    const done = (value) => {
      result = value;
      dialog.close();
    };
    const look = async (words) => {
      const mine = ++asked;
      const list = await places(words).catch((fault) => { notify(fault.message); return []; });
      if (mine !== asked) return;
      const rows = list.map(({ code, name, lon, lat }) => h("div", { role: "listitem" },
        h("button", { type: "button", class: "place-row", "data-testid": `place-${code}`, onclick: () => done({ lon, lat, label: name }) },
          icon("pin"), h("span", {}, name), h("small", {}, `${lon.toFixed(4)}, ${lat.toFixed(4)}`))));
      found.replaceChildren(...(rows.length ? rows : [h("p", { class: "empty" }, "没有这个地方")]));
    };
    const degree = (label, most, testid) => h("input", {
      type: "number", step: "any", min: String(-most), max: String(most), required: true,
      placeholder: label, "aria-label": label, "data-testid": testid,
    });
    const lon = degree("经度", 180, "lon");
    const lat = degree("纬度", 90, "lat");
    const label = h("input", { type: "text", maxlength: "200", placeholder: "叫什么（可不填）", "aria-label": "地名" });
    const search = h("input", {
      type: "search", placeholder: "搜小区、楼幢、店铺、路", "aria-label": "搜索地方", "data-testid": "place-search",
      oninput: (event) => look(event.target.value),
    });
    const dialog = h(
      "dialog",
      { class: "sheet", "aria-label": "发送位置", "data-testid": "place-dialog" },
      h("header", {}, h("h2", {}, "发送位置"),
        h("button", { type: "button", class: "tool", "aria-label": "关闭", onclick: () => dialog.close() }, icon("close"))),
      h("label", { class: "search" }, icon("search"), search),
      found,
      h("details", {}, h("summary", {}, "直接填经纬度（WGS-84）"),
        h("form", {
          class: "degrees",
          onsubmit: (event) => {
            event.preventDefault();
            done({ lon: Number(lon.value), lat: Number(lat.value), label: label.value.trim() });
          },
        }, lon, lat, label, h("button", { type: "submit", class: "send", "data-testid": "place-send" }, "发送"))),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result);
    });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
    document.body.append(dialog);
    dialog.showModal();
    search.focus();
    look("");
  });
}
