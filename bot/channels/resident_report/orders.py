"""An order of 居民上报 as our messages: what the resident reported, and one for each step of the product's workers.

Platform pages 93513-93519, 97154-97158. An order has no status of its own: the list of its steps (process_list) tells
it. Every message has an id made of the order and the step, so that an order may be read as often as one likes.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from bot.channels.coordinates import wgs84_from_gcj02
from bot.channels.security import Refused, refusing
from models.message import Incoming, Kind, Media

NAME = "resident_report"
WORDS = 4_000  # characters of a description; the product's own form takes far fewer
MOST_FILES = 20
MOST_STEPS = 200
PLAIN = re.compile(r"[A-Za-z0-9_.@-]{1,80}")
Order = Mapping[str, Any]


class Step(IntEnum):
    """process_type. Chinese terms: 创建, 受理, 分配, 转交, 办结, 拒绝, 办理中. A resident's order begins with 受理."""

    CREATED = 1
    ACCEPTED = 2
    ASSIGNED = 3
    PASSED_ON = 4
    SOLVED = 5
    REFUSED = 6
    IN_HAND = 7


# What a step says to the handlers (`handlers.orders`).
TOLD = {
    Step.ACCEPTED: "taken", Step.ASSIGNED: "assigned", Step.PASSED_ON: "passed", Step.SOLVED: "done",
    Step.REFUSED: "refused", Step.IN_HAND: "accepted",
}  # fmt: skip
DONE = 1  # of a step's status; 0 is still going on
ENDED = (Step.SOLVED, Step.REFUSED)


def ended(order: Order) -> datetime | None:
    """When the product was done with it: its last step is 办结 or 不受理, and is over. None while it goes on.

    Raises Refused.
    """
    with refusing():
        steps = order.get("process_list") or []
        if not steps or int(steps[-1]["process_type"]) not in ENDED or int(steps[-1].get("status") or 0) != DONE:
            return None
        return _moment(steps[-1].get("solved_time") or order["create_time"])


def read(
    order: Order, *, coordinates: str = "gcj02", urgent: frozenset[int] = frozenset({3}),
    grids: Mapping[str, str] | None = None, kinds: Mapping[str, str] | None = None,
) -> list[Incoming]:  # fmt: skip
    """The order and its steps so far, in order. grids: the product's grid_id → our code. kinds: what it filed an order
    without words under → our kind. Raises Refused("malformed").

    The reporter's telephone number is not read: workers see it in the product.
    """
    with refusing():
        chat = name(str(order["order_id"]))
        sent_at = _moment(order["create_time"])
        sender = str(order.get("unionid") or "") or f"order-{chat}"
        told = {
            "channel": NAME, "chat": chat, "sender": sender[:128], "sender_name": str(order.get("reporter_name") or ""),
            "sent_at": sent_at, "direct": True,
        }  # fmt: skip
        reported = _reported(order, told, coordinates, urgent=urgent, grids=grids or {}, kinds=kinds or {})
        return [*reported, *_steps(order, chat, sent_at)]


def name(order_id: str) -> str:
    """What an order's chat is called here: its id, or a hash of one that is longer or stranger than expected."""
    if not order_id:
        raise Refused("malformed")
    return order_id if PLAIN.fullmatch(order_id) else hashlib.sha256(order_id.encode()).hexdigest()[:40]


def _reported(
    order: Order, told: dict[str, Any], coordinates: str, *, urgent: frozenset[int], grids: Mapping[str, str],
    kinds: Mapping[str, str],
) -> list[Incoming]:  # fmt: skip
    """What the resident told, with her pictures and her pin; her videos come as a second message."""
    chat, grid = told["chat"], str(order.get("grid_id") or "")
    platform = {"order": "new", "grid": grids.get(grid, grid), "grid_name": str(order.get("grid_name") or "")}
    if int(order.get("urge_type") or 0) in urgent:
        platform["urgent"] = "yes"
    words, case = str(order.get("desc") or "").strip(), str(order.get("case_name") or "")
    if not words and case in kinds:
        platform["kind"] = kinds[case]
    pin = _pin(order.get("location") or {}, coordinates)
    pictures = _pictures(order)
    kind = Kind.IMAGE if pictures else Kind.LOCATION if "lon" in pin else Kind.TEXT
    found = [
        Incoming(
            id=f"{chat}:0", kind=kind, text=(words or case)[:WORDS], media=pictures, platform=platform, **pin, **told
        )
    ]
    if videos := _videos(order):
        more = {"order": "more"}
        found.append(Incoming(id=f"{chat}:video", kind=Kind.VIDEO, media=videos, platform=more, **told))
    return found


def _steps(order: Order, chat: str, since: datetime) -> list[Incoming]:
    """What the product's workers did. 受理, 办结 and 不受理 count when they are over. Each other step is two messages,
    however it is first seen: that it began, with the words it had then, and what was said and shown when it ended."""
    steps = order.get("process_list") or []
    people = [str(one) for one in order.get("processor_userids") or []]
    found = []
    for number, step in enumerate(steps[:MOST_STEPS]):
        kind, status = int(step["process_type"]), int(step.get("status") or 0)
        if kind not in TOLD or (status != DONE and kind in (Step.ACCEPTED, *ENDED)):
            continue
        by = str(step.get("solve_userid") or "")
        platform = {"order": "step", "step": TOLD[Step(kind)], "by": by}
        if number == len(steps) - 1 and len(people) == 1:
            platform["to"] = people[0]
        pictures, words = _pictures(step), str(step.get("process_desc") or "").strip()[:WORDS]
        head: dict[str, Any] = {
            "channel": NAME, "chat": chat, "sender": f"staff-{by}"[:128], "direct": True, "platform": platform,
            "sent_at": _moment(step["solved_time"]) if step.get("solved_time") else since,
        }  # fmt: skip
        files = (*pictures, *_videos(step))
        said: dict[str, Any] = {"kind": Kind.IMAGE if pictures else Kind.TEXT, "text": words, "media": files}
        began, goes_on = f"{chat}:{number + 1}-{kind}", kind not in (Step.ACCEPTED, *ENDED)
        if goes_on and status == DONE and (words or files):
            found.append(Incoming(id=began, **head | {"platform": platform | {"more": "yes"}}))
            found.append(Incoming(id=f"{began}-over", **head, **said))
        else:
            found.append(Incoming(id=began, **head, **said))
    return found


def _pictures(told: Order) -> tuple[Media, ...]:
    """By their addresses; the platform gives them no id, and one is needed to know a picture again."""
    urls = [str(url) for url in (told.get("image_urls") or [])][:MOST_FILES]
    return tuple(
        Media(platform_id=f"url:{hashlib.sha256(url.encode()).hexdigest()[:40]}", url=url)
        for url in dict.fromkeys(urls) if len(url) <= 1024
    )  # fmt: skip


def _videos(told: Order) -> tuple[Media, ...]:
    ids = [str(one) for one in (told.get("video_media_ids") or [])][:MOST_FILES]
    return tuple(Media(platform_id=one) for one in dict.fromkeys(ids) if 0 < len(one) <= 256)


def _pin(location: Order, coordinates: str) -> dict[str, Any]:
    lon, lat = float(location.get("longitude") or 0), float(location.get("latitude") or 0)
    words = [str(location.get(part) or "").strip() for part in ("name", "address")]
    label = " ".join(dict.fromkeys(filter(None, words)))[:200]
    if not (lon or lat):
        return {"label": label}
    if coordinates == "gcj02":
        lon, lat = wgs84_from_gcj02(lon, lat)
    return {"lon": lon, "lat": lat, "label": label}


def _moment(seconds: Any) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
