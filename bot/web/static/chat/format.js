// How times, roles and one-line previews read.

const zone = document.body.dataset.zone || undefined;
const part = (options) => new Intl.DateTimeFormat("zh-CN", { timeZone: zone, ...options });
const CLOCK = part({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DAY = part({ year: "numeric", month: "2-digit", day: "2-digit" });
const SHORT = part({ month: "numeric", day: "numeric" });
const LONG = part({ month: "long", day: "numeric" });

export const ROLES = {
  resident: "居民",
  leader: "微网格长",
  gridworker: "网格员",
  part_time: "兼职网格员",
  community: "社区",
  street: "街道",
  district: "区",
  department: "部门",
};

function daysAgo(date) {
  if (DAY.format(date) === DAY.format(new Date())) return 0;
  return DAY.format(date) === DAY.format(new Date(Date.now() - 86_400_000)) ? 1 : 2;
}

/** For the list of chats: 08:12, 昨天, 3/2. */
export function brief(at) {
  const date = new Date(at);
  return [CLOCK.format(date), "昨天", SHORT.format(date)][daysAgo(date)];
}

/** For the middle of a conversation: 08:12, 昨天 08:12, 3月2日 08:12. */
export function moment(at) {
  const date = new Date(at);
  return [CLOCK, null, null][daysAgo(date)]?.format(date) ?? `${daysAgo(date) === 1 ? "昨天" : LONG.format(date)} ${CLOCK.format(date)}`;
}

/** A line's content in a few words. */
export function gist(line) {
  if (line.recalled) return "撤回了一条消息";
  if (line.kind === "recall") return "撤回了一条消息";
  if (line.kind === "image") return `[照片] ${line.text ?? ""}`.trim();
  if (line.kind === "location") return `[位置] ${line.label || line.text || ""}`.trim();
  if (line.kind === "voice" || line.kind === "video" || line.kind === "file") return "[文件]";
  if (line.card) return `[任务] ${line.card.title}`;
  if (line.action) return "[点了按钮]";
  return line.text || "";
}

/** The preview in the list: in groups with the speaker's name. */
export function preview(line, kind) {
  if (!line) return "还没有人说话";
  return kind === "group" ? `${line.name}：${gist(line)}` : gist(line);
}
