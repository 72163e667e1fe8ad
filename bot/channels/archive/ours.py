"""Our own words in a group that is only read: posted by the leader or the owner who was asked to, or quoted by anybody.

Nobody reports anything by posting or quoting them; what somebody says besides is hers.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from bot.channels import render
from bot.channels.archive.notice import PREFIX
from bot.channels.archive.records import NAME
from handlers.masking import masked
from handlers.texts import say
from models import outbox
from models.message import Incoming
from models.outbox import Outbox

PASSED_ON = timedelta(days=7)  # so long after they left they may come back
# How WeCom writes a quote where it writes words only: the quoted ones, a line of dashes, then her own.
FRAME = re.compile(r"^\s*这是一条引用/回复消息\s*[：:].*?\n\s*-{3,}\s*(?:\n|$)", re.DOTALL)
AROUND = " \t\r\n:：,，.。、·\"'“”‘’「」-—"

Words = Mapping[str, Collection[str]]


def our_words(session: Session, messages: Sequence[Incoming]) -> Words:
    """What we wanted said in the groups of these messages, not long before them, by group."""
    if not messages:
        return {}
    chats = {message.chat for message in messages}
    told = [f"{NAME}:{before}{chat}" for chat in chats for before in ("", PREFIX)]
    left = col(Outbox.finished_at) > min(message.sent_at for message in messages) - PASSED_ON
    rows = session.scalars(
        sa.select(Outbox).where(col(Outbox.conversation).in_(told), sa.or_(left, col(Outbox.finished_at).is_(None)))
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        out = outbox.read(row)
        shown = render.harmless(out.text)
        # As they may have been shown, whoever posts them: as they are, or masked, as in a notice.
        found.setdefault(out.chat.removeprefix(PREFIX), set()).update(
            {_close(words) for words in (out.text, shown, masked(shown))} - {""}
        )
    return found


def without_ours(message: Incoming, ours: Words) -> Incoming | None:
    """The message with its sender's own words alone; None where there are none."""
    text, close = message.text, _close(message.text)
    there = sorted((line for line in ours.get(message.chat, ()) if line in close), key=len, reverse=True)
    if not there:
        return message
    if close.startswith(_close(say("archive_notice", lines=""))):
        return None
    for line in there:
        text = re.sub(r"\s*".join(map(re.escape, line)), "\n", text)
    text = FRAME.sub("", text).strip(AROUND)
    return message.model_copy(update={"text": text}) if text or message.media else None


def _close(words: str) -> str:
    """Without blanks: she has line breaks of her own."""
    return "".join(words.split())
