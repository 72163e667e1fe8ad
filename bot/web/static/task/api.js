// What the page asks the server. All addresses lie under the page's own, which carries the signed token.

const BASE = location.pathname.replace(/\/$/, "");
const REASONS = {
  400: "这次操作不完整，请重试",
  403: "链接已失效，请点聊天里最新的任务卡片",
  409: "这次操作没有被接受，请在聊天里办理",
  413: "照片太大，最大 8 MB",
  415: "只能发 JPG、PNG、WebP 或 GIF 照片",
};

async function ask(path, options) {
  const response = await fetch(BASE + path, options).catch(() => null);
  if (response === null) throw new Error("网络不通，没有发出去，请再按一次");
  if (!response.ok) throw new Error(REASONS[response.status] ?? "服务暂时不可用，请稍后再按一次");
  return response;
}

export const state = async (press = "") => (await ask(`/state?press=${encodeURIComponent(press)}`)).json();
export const places = async (words) => (await (await ask(`/places?q=${encodeURIComponent(words)}`)).json()).places;
export const page = async () => new DOMParser().parseFromString(await (await ask("")).text(), "text/html");

/** fields: {action, note, value, client_id}; the same client_id may be posted again without harm. */
export function act(fields, photo) {
  if (!photo) {
    return ask("/act", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(fields) });
  }
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("photo", photo, photo.name || "photo.jpg");
  return ask("/act", { method: "POST", body: form });
}

/** A phone's photo made small enough for a weak signal; drawn anew, it also loses where it was taken. */
export async function shrink(file) {
  const LONGEST = 1600;
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(bitmap.width * scale);
    canvas.height = Math.round(bitmap.height * scale);
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return (await new Promise((done) => { canvas.toBlob(done, "image/jpeg", 0.85); })) ?? file;
  } catch {
    return file; // a format this browser cannot draw: the server decides
  }
}
