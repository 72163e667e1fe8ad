"""A small share of silence is looked at by people: which messages, and what they say to it."""

import hashlib

from handlers.context import Context
from handlers.correct import check_category
from handlers.corrected import SAID, BadCorrection, NotYours
from handlers.desk import Desk
from handlers.dispatch import LEVELS
from handlers.reading import reading
from models.correction import Correction, CorrectionKind
from models.insert import insert_new
from models.sample import Sample, SampleState

_WHOLE = 2**64


def chosen(key: str, share: float) -> bool:
    """Whether the message of this key is among the share (0 to 1) that is looked at. The same key, the same answer."""
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * _WHOLE


def sample(ctx: Context, share: float) -> bool:
    """Keep a message on which the bot stayed silent, if it is one of the share; a message handled again is not kept
    twice. True when it was kept."""
    m = ctx.message
    if not m.words or not chosen(m.dedup_key, share):
        return False
    found = reading(ctx.understanding, ctx.understanding.matters[0], ctx.known.heard.context)
    row = {
        "channel": m.channel, "chat": m.chat, "message": m.id, "grid": ctx.grid, "text": m.words,
        "context": found.pop("context"), "engine": found.pop("engine"), "said": found, "at": m.sent_at,
        "state": SampleState.OPEN,
    }  # fmt: skip
    return insert_new(ctx.session, Sample, [row], ["channel", "chat", "message"]) == 1


def missed(desk: Desk, row: Sample, category: str, by: str) -> Correction:
    """It was a report of this kind: kept as a correction. No ticket is opened, whoever reviews can tell the gridworker.

    Raises NotYours, BadCorrection.
    """
    _check(desk, row, by)
    check_category(category)
    words = {"channel": row.channel, "chat": row.chat, "message": row.message, "role": "report", "text": row.text}
    kept = Correction(
        at=desk.now, by=by, kind=CorrectionKind.MISSED, words=[words], context=row.context,
        said={name: row.said[name] for name in SAID if name in row.said}, engine=row.engine,
        before={"outcome": "silent"}, after={"intent": "report", "category": category},
    )  # fmt: skip
    desk.session.add(kept)
    _decide(desk, row, by, SampleState.MISSED)
    return kept


def fine(desk: Desk, row: Sample, by: str) -> None:
    """It was talk, and silence was right. Raises NotYours, BadCorrection."""
    _check(desk, row, by)
    _decide(desk, row, by, SampleState.FINE)


def may_review(desk: Desk, grid: str | None, by: str) -> bool:
    """Staff of a chat's grid, or of one above it; of the whole town where the chat has none."""
    chain = set(desk.town.chain(grid or desk.town.root))
    return any(duty.role in LEVELS and duty.grid in chain for duty in desk.town.duties.get(by, ()))


def _check(desk: Desk, row: Sample, by: str) -> None:
    if not may_review(desk, row.grid, by):
        raise NotYours(f"{by} has no duty to review sample {row.id}.")
    if row.state != SampleState.OPEN:
        raise BadCorrection("sample", f"{row.id} was reviewed before: {row.state.value}", "worker_decided")


def _decide(desk: Desk, row: Sample, by: str, state: SampleState) -> None:
    row.state, row.by, row.decided_at = state, by, desk.now
    desk.session.add(row)
    desk.session.flush()
