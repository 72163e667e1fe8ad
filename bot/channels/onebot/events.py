"""OneBot events as our messages. Source: OneBot v11, 事件: 消息事件, 通知事件, 元事件."""

from datetime import UTC, datetime
from typing import Any

from bot.channels.onebot.segments import Reading, segments
from bot.channels.security import Refused, refusing
from models.message import Incoming, Kind

NAME = "onebot"
GROUP = "g-"  # a group's chat code is g-777: a QQ group and a QQ user may have the same number
ID_DIGITS = 20

Event = dict[str, Any]


def number(value: object) -> str:
    """An id, which some implementations give as a number and some as text. Raises Refused."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not text.removeprefix("-").isdecimal() or not text.isascii() or len(text) > ID_DIGITS:
        raise Refused("malformed")
    return text


def message_id(value: object) -> str:
    """A message's id: a number by the standard, any short word in the wild. Raises Refused."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not text or len(text) > 100:
        raise Refused("malformed")
    return text


def target(chat: str) -> tuple[str, dict[str, int]] | None:
    """(action, parameters) that reach a chat; None when the code is neither a group's nor a user's."""
    bare = chat.removeprefix(GROUP)
    if not (bare.isascii() and bare.isdecimal() and len(bare) <= ID_DIGITS):
        return None
    if chat.startswith(GROUP):
        return "send_group_msg", {"group_id": int(bare)}
    return "send_private_msg", {"user_id": int(bare)}


def read(event: Event, account: str) -> Incoming | None:
    """A message or a recall; None for everything else, and for what the account itself said. Raises Refused."""
    with refusing():
        if event.get("post_type") == "message":
            return _message(event, account)
        if event.get("post_type") == "notice" and event.get("notice_type") in ("group_recall", "friend_recall"):
            return _recall(event)
    return None


def _message(event: Event, account: str) -> Incoming | None:
    group = event["message_type"] == "group"
    if not group and event["message_type"] != "private":
        return None
    sender = number(event["user_id"])
    if sender == account or (group and event.get("sub_type") == "notice"):
        return None  # 系统提示, such as "匿名聊天已关闭"
    hidden = event.get("anonymous") if group else None
    if isinstance(hidden, dict):
        sender = f"anonymous-{number(hidden.get('id'))}"  # all who hide share one user id
    fields = Reading(account).fields(segments(event["message"]))
    if fields is None:
        return None
    told = event.get("sender")
    known = told if isinstance(told, dict) and not isinstance(hidden, dict) else {}
    name = known.get("card") or known.get("nickname") or ""
    return Incoming(
        id=message_id(event["message_id"]),
        channel=NAME,
        chat=GROUP + number(event["group_id"]) if group else sender,
        sender=sender,
        sender_name=str(name)[:100],
        sent_at=datetime.fromtimestamp(int(event["time"]), UTC),
        direct=not group,
        **fields,
    )


def _recall(event: Event) -> Incoming | None:
    """Somebody takes back her own words. An administrator who removes another's says nothing about the matter."""
    sender = number(event["user_id"])
    group = event["notice_type"] == "group_recall"
    if group and number(event.get("operator_id", sender)) != sender:
        return None
    taken = message_id(event["message_id"])
    return Incoming(
        id=f"recall-{taken}",
        channel=NAME,
        chat=GROUP + number(event["group_id"]) if group else sender,
        sender=sender,
        sent_at=datetime.fromtimestamp(int(event["time"]), UTC),
        kind=Kind.RECALL,
        direct=not group,
        recalls=taken,
    )
