// What the page asks the server, and the stream of new lines.

const BASE = "/chat/api";
const REASONS = {
  400: "这条消息不完整",
  403: "你不在这个群里",
  404: "找不到了",
  409: "请再发一次",
  413: "太大了：文字最多 2000 字，照片最大 8 MB",
  415: "只能发 JPG、PNG、WebP 或 GIF 照片",
};

/** A refusal, with a sentence for the person. */
export class Refused extends Error {
  constructor(status, field) {
    super(REASONS[status] ?? "网络不通，没有发出去");
    this.status = status;
    this.field = field;
  }
}

async function ask(path, options) {
  const response = await fetch(BASE + path, options).catch(() => null);
  if (response === null) throw new Refused(0, "");
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, body.field ?? "");
  return body;
}

const code = encodeURIComponent;

export const people = async () => (await ask("/people")).people;
export const person = (who) => ask(`/people/${code(who)}`);
export const places = async (words) => (await ask(`/places?q=${code(words)}`)).places;

export function messages(chat, who, before) {
  return ask(`/chats/${code(chat)}/messages?person=${code(who)}${before ? `&before=${before}` : ""}`);
}

/** draft: the fields of a message; `photo` makes it a form. The same client_id may be posted again without harm. */
export async function post(chat, draft) {
  const path = `/chats/${code(chat)}/messages`;
  const { photo, ...fields } = draft;
  if (!photo) {
    const body = JSON.stringify(fields);
    return (await ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body })).message;
  }
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    for (const item of Array.isArray(value) ? value : [value]) form.append(name, item);
  }
  form.append("photo", photo);
  return (await ask(path, { method: "POST", body: form })).message;
}

export const media = (name) => (/^[0-9a-f]{64}\.(jpg|png|webp|gif)$/.test(name) ? `${BASE}/media/${name}` : null);

/** Follow all chats of a person. Returns a function that stops. `onState(open, again)`: again after a gap. */
export function follow(who, after, onLine, onState) {
  let last = after;
  let source = null;
  let timer = 0;
  let gap = false;
  const open = () => {
    source = new EventSource(`${BASE}/stream?person=${code(who)}&after=${last}`);
    source.onopen = () => {
      onState(true, gap);
      gap = false;
    };
    source.onmessage = (event) => {
      last = Math.max(last, Number(event.lastEventId));
      onLine(JSON.parse(event.data));
    };
    source.onerror = () => {
      gap = true;
      onState(false, false);
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, 2000);
    };
  };
  open();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}
