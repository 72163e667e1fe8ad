"""Rows of the web chat as the page shows them: quotes looked up, recalled lines emptied."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from models.message import Incoming, Kind, Outgoing
from models.webchat import WebMessage

BOT = "bot"
BOT_NAME = "邻声"
EXCERPT = 60  # characters of a quoted line

Line = dict[str, Any]


def put(
    session: Session, *, client_id: str, chat: str, sender: str, body: str, at: datetime
) -> tuple[WebMessage, bool]:
    """Add a row unless its `client_id` is there already; returns the row that is there now, and whether it is new."""
    build = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    values = {"client_id": client_id, "chat": chat, "sender": sender, "body": body, "at": at}
    added = session.connection().execute(
        build(WebMessage).values(values).on_conflict_do_nothing(index_elements=["client_id"]).returning(WebMessage.id)  # type: ignore[call-overload]
    )
    new = added.first() is not None
    row = session.scalars(sa.select(WebMessage).where(WebMessage.client_id == client_id)).one()  # type: ignore[arg-type]
    return row, new


def heard_id(chat: str, message: str) -> str:
    """The `client_id` of what a person said."""
    return f"in:{chat}:{message}"


def find(session: Session, chat: str, message: str) -> WebMessage | None:
    """The row of a message by its platform id: what a person's browser named it, or the row's number for the bot's."""
    one = sa.select(WebMessage).where(WebMessage.chat == chat, WebMessage.client_id == heard_id(chat, message))  # type: ignore[arg-type]
    row = session.scalars(one).first()
    if row is None and message.isascii() and message.isdigit() and len(message) < 19:
        said = session.get(WebMessage, int(message))
        row = said if said is not None and said.chat == chat and said.sender == BOT else None
    return row


def lines(session: Session, rows: Iterable[WebMessage]) -> list[Line]:
    """The rows as the page sees them, in their order."""
    rows = list(rows)
    gone = _recalled(session, {row.chat for row in rows})
    made = []
    for row in rows:
        line = _plain(row)
        if (row.chat, line["message"]) in gone and row.sender != BOT:
            line = _emptied(line)
        elif line["quote"]:
            line["quoted"] = _excerpt(session, row.chat, line["quote"], gone)
        made.append(line)
    return made


def history(session: Session, chat: str, before: int | None, limit: int) -> list[Line]:
    """The last lines of a chat, or the last ones with an id below `before`; oldest first."""
    statement = sa.select(WebMessage).where(WebMessage.chat == chat)  # type: ignore[arg-type]
    if before is not None:
        statement = statement.where(WebMessage.id < before)  # type: ignore[operator, arg-type]
    found = session.scalars(statement.order_by(sa.desc(WebMessage.id)).limit(limit)).all()  # type: ignore[call-overload]
    return lines(session, reversed(found))


def last_lines(session: Session, chats: Sequence[str]) -> dict[str, Line]:
    """Chat code → its newest line."""
    newest = (
        sa.select(sa.func.max(WebMessage.id)).where(WebMessage.chat.in_(chats)).group_by(WebMessage.chat)  # type: ignore[attr-defined]
    )
    rows = session.scalars(sa.select(WebMessage).where(WebMessage.id.in_(newest))).all()  # type: ignore[union-attr]
    return {line["chat"]: line for line in lines(session, rows)}


def _plain(row: WebMessage) -> Line:
    line: Line = {
        "id": row.id,
        "chat": row.chat,
        "sender": row.sender,
        "name": BOT_NAME,
        "at": row.at.isoformat(),
        "message": str(row.id),
        "kind": Kind.TEXT.value,
        "quote": None,
        "recalled": False,
    }
    if row.sender == BOT:
        out = Outgoing.model_validate_json(row.body)
        card = out.card.model_dump(mode="json") if out.card else None
        return line | {"text": out.text, "card": card, "repeat": out.repeat}
    heard = Incoming.model_validate_json(row.body)
    return line | {
        "name": heard.sender_name or row.sender,
        "message": heard.id,
        "kind": heard.kind.value,
        "text": heard.text,
        "quote": heard.quote,
        "photos": [item.path or item.name for item in heard.media],
        "lon": heard.lon,
        "lat": heard.lat,
        "label": heard.label,
        "recalls": heard.recalls,
        "action": heard.action,
    }


def _emptied(line: Line) -> Line:
    """What was recalled leaves nothing behind but the fact."""
    empty: Line = {"text": "", "photos": [], "lon": None, "lat": None, "label": "", "quote": None}
    return line | empty | {"recalled": True}


def _recalled(session: Session, chats: set[str]) -> set[tuple[str, str]]:
    """(chat, message id) of what was recalled in these chats."""
    if not chats:
        return set()
    statement = sa.select(WebMessage.chat, WebMessage.body).where(  # type: ignore[call-overload]
        WebMessage.chat.in_(chats),  # type: ignore[attr-defined]
        WebMessage.sender != BOT,
        WebMessage.body.contains('"recalls":"', autoescape=True),  # type: ignore[attr-defined]
    )
    heard = ((chat, Incoming.model_validate_json(body).recalls) for chat, body in session.execute(statement))
    return {(chat, recalls) for chat, recalls in heard if recalls}


def _excerpt(session: Session, chat: str, quote: str, gone: set[tuple[str, str]]) -> Line | None:
    """Who said the quoted line, and how it began; None when it is not kept."""
    row = find(session, chat, quote)
    if row is None:
        return None
    line = _plain(row)
    if (chat, line["message"]) in gone:
        line = _emptied(line)
    card = line.get("card") or {}
    return {
        "name": line["name"],
        "kind": line["kind"],
        "recalled": line["recalled"],
        "text": str(line["text"] or card.get("title", "") or line.get("label", ""))[:EXCERPT],
    }
