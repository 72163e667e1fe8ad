// The bar at the bottom: words, a photo, a place, a mention of the bot, and what is being quoted.

import { h, icon, notify } from "./dom.js";
import { gist } from "./format.js";
import { pickPlace } from "./place.js";

const MAX_TEXT = Number(document.body.dataset.maxText) || 2000;
const MAX_PHOTO = 8 * 1024 * 1024;
const MENTION = "@邻声 ";

// The first bytes of what the server takes; a file's name and type say little.
const PHOTO = [/^\xff\xd8\xff/, /^\x89PNG\r\n\x1a\n/, /^GIF8[79]a/, /^RIFF[^]{4}WEBP/];
const isPhoto = async (file) => {
  const head = String.fromCharCode(...new Uint8Array(await file.slice(0, 12).arrayBuffer()));
  return PHOTO.some((kind) => kind.test(head));
};

/** The composer of one chat. send(fields): hands a draft on. direct: spoken to the bot alone, no mention needed. */
export function composer({ send, direct }) {
  let photo = null;
  let quote = null;
  const above = h("div", { class: "above" });
  const text = h("textarea", {
    rows: "1", "aria-label": "消息", "data-testid": "composer", enterkeyhint: "send",
    placeholder: direct ? "跟邻声说" : "说点什么",
  });
  const go = h("button", { type: "submit", class: "send", "data-testid": "send", disabled: true }, "发送");
  const file = h("input", { type: "file", accept: "image/*", class: "visually-hidden", "data-testid": "photo-input", "aria-label": "选照片" });

  const fit = () => {
    text.style.height = "auto";
    text.style.height = `${Math.min(text.scrollHeight, 120)}px`;
    go.disabled = !text.value.trim() && !photo;
  };
  const drop = (label, off) => h("button", { type: "button", class: "drop", "aria-label": label, onclick: off }, icon("close"));
  const showAbove = () => {
    above.querySelectorAll("img").forEach((picture) => URL.revokeObjectURL(picture.src));
    above.replaceChildren();
    if (quote) {
      above.append(h("div", { class: "quoting" }, h("span", {}, `${quote.name}：${gist(quote)}`),
        drop("不引用了", () => { quote = null; showAbove(); text.focus(); })));
    }
    if (photo) {
      above.append(h("div", { class: "thumb" }, h("img", { src: URL.createObjectURL(photo), alt: "要发的照片" }),
        drop("不发这张照片", () => { photo = null; showAbove(); text.focus(); })));
    }
    fit();
  };
  const take = async (chosen) => {
    if (!chosen) return;
    if (chosen.size > MAX_PHOTO) notify("照片最大 8 MB");
    else if (!(await isPhoto(chosen))) notify("只能发 JPG、PNG、WebP 或 GIF 照片");
    else {
      photo = chosen;
      showAbove();
      text.focus();
    }
  };
  const submit = () => {
    const words = text.value.trim();
    const length = [...words].length;
    if (!words && !photo) {
      notify("还没有写内容");
      return;
    }
    if (length > MAX_TEXT) {
      // Kept as it is: cutting it off unseen would lose what she wanted to say.
      notify(`一条消息最多 ${MAX_TEXT} 字，这条有 ${length} 字`);
      return;
    }
    const fields = { kind: photo ? "image" : "text", text: words };
    if (quote) fields.quote = quote.message;
    if (words.includes("@邻声")) fields.mentions = ["bot"];
    if (photo) fields.photo = photo;
    text.value = "";
    photo = null;
    quote = null;
    showAbove();
    send(fields);
  };

  file.addEventListener("change", () => {
    take(file.files[0]);
    file.value = "";
  });
  text.addEventListener("input", fit);
  text.addEventListener("keydown", (event) => {
    // While an input method composes, Enter picks a word.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit();
    }
    if (event.key === "Escape" && quote) {
      quote = null;
      showAbove();
    }
  });
  text.addEventListener("paste", (event) => take([...event.clipboardData.files].find((one) => one.type.startsWith("image/"))));

  const mention = () => {
    if (!text.value.includes("@邻声")) text.value = MENTION + text.value;
    fit();
    text.focus();
  };
  const sendPlace = async () => {
    const place = await pickPlace();
    if (place) send({ kind: "location", ...place, ...(quote ? { quote: quote.message } : {}) });
    quote = null;
    showAbove();
    text.focus();
  };
  const tool = (name, label, act, testid) =>
    h("button", { type: "button", class: "tool", "aria-label": label, title: label, "data-testid": testid, onclick: act }, icon(name));

  const element = h(
    "form",
    { class: "composer", onsubmit: (event) => { event.preventDefault(); submit(); } },
    above,
    h("div", { class: "bar" },
      tool("photo", "照片", () => file.click(), "photo"), file,
      tool("pin", "位置", sendPlace, "location"),
      !direct && h("button", { type: "button", class: "mention-chip", "data-testid": "mention", onclick: mention }, "@邻声"),
      text, go),
  );
  return {
    element,
    focus: () => text.focus(),
    quote: (line) => {
      quote = line;
      showAbove();
      text.focus();
    },
  };
}
