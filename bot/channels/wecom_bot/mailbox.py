"""What waits for a conversation in the webhook mode, and by which way it leaves: a stream's poll, or a response_url.

The bot may only speak when it was spoken to (ADR 0027). Rows of the outbox are the one store of what it has to say, and
`Outbox.platform_id` is where a way takes a row: set from "" in one statement, so that of two ways one gets it.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from pydantic import ValidationError
from sqlmodel import Session, col

from bot.channels import render
from bot.channels.wecom_bot.letters import NAME, OPINION, Letter
from bot.channels.wecom_bot.rates import FULL
from models import inbox, outbox, replay
from models.chat import Chat, ChatKind
from models.inbox import Inbox
from models.message import Incoming, Outgoing
from models.outbox import DEAD, Outbox
from models.person import Identity
from models.replay import Replay

WINDOW = timedelta(minutes=6)  # 101031: so long a stream is polled after the user's message
LATE = timedelta(minutes=5, seconds=40)  # a stream that is not finished by then shows nothing for ever
LIFE = timedelta(minutes=59)  # of a response_url; the platform says an hour
RECENT = 20  # messages looked at for a way to answer
ENOUGH = 6  # letters of a quote that need not be the whole of a message
MANY = 40  # rows that one poll takes
Said = tuple[str, str]  # a chat and the platform's id of a message in it


@dataclass(frozen=True, slots=True)
class Way:
    """A response_url that is still open, and the message it came with. The address holds a secret."""

    message: str
    url: str


@dataclass(frozen=True, slots=True)
class Content:
    """What a stream shows now. finished: the message was handled, and these are the answers, perhaps none."""

    finished: bool
    messages: tuple[Outgoing, ...] = ()


def tag(way: str, message: str) -> str:
    """The mark of a way on the rows it took: `stream:…`, `url:…`, `reply:…`. message: the platform's id."""
    return f"{way}:{_hash(message)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def take(session: Session, key: str, mark: str) -> str:
    """Take the row `key` for a way; returns the mark it has now, which is another one if somebody was faster, and ""
    if it was handed on to another channel."""
    one = col(Outbox.dedup_key) == key
    free = (col(Outbox.platform_id) == "", col(Outbox.finished_at).is_(None))
    session.connection().execute(sa.update(Outbox).where(one, *free).values(platform_id=mark))
    return session.scalars(sa.select(col(Outbox.platform_id)).where(one)).first() or ""


def give_back(session: Session, key: str, mark: str) -> None:
    """The way did not work, certainly: another one may take the row."""
    statement = sa.update(Outbox).where(col(Outbox.dedup_key) == key, col(Outbox.platform_id) == mark)
    session.connection().execute(statement.values(platform_id=""))


def mark_of(session: Session, key: str) -> str:
    """Which way has taken the row; "" as long as none has."""
    return session.scalars(sa.select(col(Outbox.platform_id)).where(col(Outbox.dedup_key) == key)).first() or ""


def poll(session: Session, chat: str, message: str, now: datetime) -> Content:
    """What a stream shows: once the message is handled, all words that wait for this conversation, in their order, but
    for the answers to other messages whose streams are open.

    Cards are left for a response_url, which can show them. It ends then: asked again, which the platform does when the
    answer to a poll is lost, and anybody with an old poll may, it says the same and takes no more.
    """
    row = inbox.find(session, NAME, chat, message)
    if row is None:
        return Content(finished=True)
    if row.finished_at is None and now - row.received_at < LATE:
        return Content(finished=False)
    if row.finished_at is None:
        _ends(session, row, now)  # no worker: its answer has the response_url still
        return Content(finished=True)
    mark = tag("stream", message)
    if now - row.received_at <= WINDOW and _ends(session, row, now):
        for key, out in waiting(session, row.conversation):
            # Who asked something else, and is still to be answered under it, must not find her answer under this.
            if out.trigger in (None, message) or not stream_open(session, chat, out.trigger, now):
                take(session, key, mark)
    taken = sa.select(Outbox).where(col(Outbox.conversation) == row.conversation, col(Outbox.platform_id) == mark)
    rows = session.scalars(taken.order_by(col(Outbox.id)).execution_options(populate_existing=True)).all()
    return Content(True, tuple(out for out in map(_read, rows) if out is not None))


def _ends(session: Session, row: Inbox, now: datetime) -> bool:
    """True for the poll that ends the stream, for one of any number at the same time."""
    pair = _pair(row)
    return not replay.remember(session, {pair: pair}, since=row.received_at - WINDOW, now=now)


def _pair(row: Inbox) -> str:
    """An ended stream is remembered beside the nonces, which are kept longer than any stream is polled."""
    return _hash(f"{row.conversation} stream {row.message}")


def waiting(session: Session, conversation: str) -> list[tuple[str, Outgoing]]:
    """Key and message of the words that wait for a conversation and that no way has taken, in their order."""
    free = sa.select(Outbox).where(
        col(Outbox.conversation) == conversation, col(Outbox.finished_at).is_(None), col(Outbox.platform_id) == ""
    )
    rows = session.scalars(free.order_by(col(Outbox.id)).limit(MANY)).all()
    found = [(row.dedup_key, out) for row in rows if (out := _read(row)) is not None]
    return [(key, out) for key, out in found if out.card is None or not out.card.buttons]


def is_handled(session: Session, letter: Letter) -> bool:
    """True for a repeat of a message that was handled: it has its answer, or another way to it."""
    row = inbox.find(session, NAME, letter.chat, letter.id)
    return row is not None and row.finished_at is not None


def unanswered(session: Session, said: Collection[Said]) -> list[Said]:
    """Those messages that were handled and that no words wait to answer. said: by chat and the platform's id."""
    keys = {f"{NAME}:{chat}:{message}": (chat, message) for chat, message in said}
    done = sa.select(col(Inbox.dedup_key)).where(col(Inbox.dedup_key).in_(keys), col(Inbox.finished_at).is_not(None))
    handled = [keys[key] for key in session.scalars(done)]
    coming = {
        (chat, out.trigger)
        for chat in {chat for chat, _ in handled}
        for _, out in waiting(session, f"{NAME}:{chat}")
    }  # fmt: skip
    return [one for one in handled if one not in coming]


def _read(row: Outbox) -> Outgoing | None:
    try:
        return outbox.read(row)
    except ValidationError:
        return None  # the sender buries it


def stream_open(session: Session, chat: str, message: str | None, now: datetime) -> bool:
    """Whether the platform still asks for the stream of this message: lately heard, and no poll has ended it."""
    row = inbox.find(session, NAME, chat, message) if message else None
    if row is None or row.received_at < now - WINDOW or row.kind == "card" or row.message.startswith(OPINION):
        return False
    return session.get(Replay, _pair(row), populate_existing=True) is None


def ways(session: Session, chat: str, now: datetime, but: Collection[str] = ()) -> list[Way]:
    """Open response_urls of a conversation, the newest first. but: messages whose address is used up."""
    rows = session.scalars(
        sa.select(Inbox)
        .where(col(Inbox.channel) == NAME, col(Inbox.chat) == chat, col(Inbox.received_at) > now - LIFE)
        .order_by(sa.desc(col(Inbox.id)))
        .limit(RECENT)
    ).all()
    marks = {tag("url", row.message): row for row in rows}
    used = sa.select(col(Outbox.platform_id)).where(
        col(Outbox.conversation) == f"{NAME}:{chat}", col(Outbox.platform_id).in_(sorted(marks))
    )
    gone = set(session.scalars(used)) if marks else set()
    found = []
    for mark, row in marks.items():
        if mark in gone or row.message in but:
            continue
        try:
            url = inbox.read(row).platform.get("response_url", "")
        except ValidationError:
            continue
        if url:
            found.append(Way(row.message, url))
    return found


def hurry(session: Session, now: datetime) -> int:
    """The way is open again: what waits for its next try is due now. How many.

    Not what waits for the rate, which no connection helps.
    """
    statement = sa.update(Outbox).where(
        col(Outbox.channel) == NAME, col(Outbox.finished_at).is_(None), col(Outbox.lease).is_(None),
        col(Outbox.visible_at) > now, ~col(Outbox.error).startswith(FULL),
    )  # fmt: skip
    return session.connection().execute(statement.values(visible_at=now)).rowcount


def revive(session: Session, reason: str, now: datetime) -> int:
    """Rows that were given up only because nobody was connected are tried anew. Returns how many."""
    statement = sa.update(Outbox).where(
        col(Outbox.channel) == NAME, col(Outbox.outcome) == DEAD, col(Outbox.error) == reason,
        col(Outbox.created_at) > now - timedelta(days=1),
    )  # fmt: skip
    fresh = {"finished_at": None, "visible_at": now, "attempts": 0, "outcome": "", "error": "", "lease": None}
    return session.connection().execute(statement.values(**fresh)).rowcount


def is_group(session: Session, chat: str) -> bool | None:
    """Whether a chat is a group: as the last message there said, else as the town has it; None where nothing says."""
    last = sa.select(Inbox).where(col(Inbox.channel) == NAME, col(Inbox.chat) == chat).order_by(sa.desc(col(Inbox.id)))
    row = session.scalars(last.limit(1)).first()
    if row is not None:
        try:
            return not inbox.read(row).direct
        except ValidationError:
            return row.sender != chat  # a direct chat is named by its user
    known = sa.select(col(Chat.kind)).where(col(Chat.channel) == NAME, col(Chat.code) == chat)
    kind = session.scalars(known).first()
    if kind is not None:
        return kind == ChatKind.GROUP
    user = sa.select(Identity.id).where(col(Identity.channel) == NAME, col(Identity.user) == chat)  # type: ignore[call-overload]
    return False if session.scalars(user).first() is not None else None


def resolve_quote(session: Session, incoming: Incoming, words: str, now: datetime) -> str | None:
    """The id of the message whose words are quoted, ours or somebody's; None where none of the last ones has them."""
    wanted = _letters(words)
    if not wanted:
        return None
    since = now - timedelta(days=7)
    ours = sa.select(Outbox).where(col(Outbox.conversation) == incoming.conversation, col(Outbox.created_at) > since)
    for line in session.scalars(ours.order_by(sa.desc(col(Outbox.id))).limit(MANY)):
        out = _read(line)
        if out is not None and line.platform_id and _quotes(wanted, out, group=not incoming.direct):
            return line.platform_id
    theirs = sa.select(Inbox).where(
        col(Inbox.channel) == NAME, col(Inbox.chat) == incoming.chat, col(Inbox.sent_at) > since
    )
    for row in session.scalars(theirs.order_by(sa.desc(col(Inbox.id))).limit(MANY)):
        try:
            said = inbox.read(row).text
        except ValidationError:
            continue
        if row.message != incoming.id and _holds(wanted, _letters(said)):
            return row.message
    return None


def _quotes(wanted: str, out: Outgoing, *, group: bool) -> bool:
    """Whether the words are of this message as it was shown, masked and perhaps among others in one bubble."""
    shown = _letters("".join(render.markdown(out, group=group)))
    return _holds(shown, wanted) or _holds(_letters(out.text), wanted) or (len(shown) >= ENOUGH and shown in wanted)


def _holds(whole: str, some: str) -> bool:
    """A screen may cut a quote short; a word or two of it would fit anything."""
    return whole == some or (len(some) >= ENOUGH and some in whole)


def _letters(words: str) -> str:
    """Letters and digits only: markdown, spaces and mentions get lost between the screen and the quote."""
    return "".join(filter(str.isalnum, words))[:200]
