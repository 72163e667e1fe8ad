"""What staff put right, out of the database: each message of it once, as an example of what it is in truth.

Staff say what was wrong with a ticket; here that becomes what is true of the message that opened it. All corrections of
a ticket are taken together, the last word counts. What they did not touch they let stand.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from config.decisions import decisions
from handlers.dividing import TELLS
from handlers.town import Town, load
from models.correction import Correction, CorrectionKind
from models.sample import Sample, SampleState
from models.ticket import TicketMessage
from nlu.corpus import Example
from nlu.lessons import Lesson, context_of, once
from nlu.scrub import scrub
from nlu.types import Context, Names

Where = tuple[str, str, str]  # channel, chat, message


@dataclass(frozen=True)
class Here:
    """What the town says of a text: the names in it that are places, and those that are people."""

    names: Names
    people: tuple[str, ...]

    @classmethod
    def of(cls, town: Town) -> "Here":
        """A shopkeeper may be called as her shop is; the shop is a place."""
        places = "|".join(f"{place.name}|{place.aliases}" for place in town.places.values())
        return cls(town.names, tuple(person.name for person in town.people.values() if person.name not in places))

    def scrubbed(self, text: str) -> str:
        """Without telephones, flats and names."""
        return scrub(text, self.people)


def lessons(session: Session) -> list[Lesson]:
    """Everything to be learned here, scrubbed, oldest first."""
    here = Here.of(load(session))
    several = _opened_several(session)
    found: list[Lesson] = []
    for rows in _by_ticket(session.scalars(sa.select(Correction).order_by(col(Correction.id)))).values():
        found += _of_ticket(rows, here, several)
    reviewed = sa.select(Sample).where(col(Sample.state) == SampleState.FINE).order_by(col(Sample.id))
    found += [_talk(row, here) for row in session.scalars(reviewed) if row.text]
    return once(found)


def alive(session: Session) -> set[str]:
    """Keys of all messages whose words still stand in corrections and samples."""
    found = {
        key_of(_where(said))
        for (words,) in session.execute(sa.select(col(Correction.words)))
        for said in words
        if said["text"]
    }
    samples = session.scalars(sa.select(Sample))
    return found | {key_of((row.channel, row.chat, row.message)) for row in samples if row.text}


def key_of(where: Where) -> str:
    """A message's name that does not tell which it is."""
    return hashlib.sha256("\0".join(where).encode()).hexdigest()[:16]


def _where(said: dict[str, str]) -> Where:
    return said["channel"], said["chat"], said["message"]


def _opened_several(session: Session) -> set[Where]:
    """Messages that opened more than one ticket: what is said of one of them is not true of the message as a whole."""
    key = (col(TicketMessage.channel), col(TicketMessage.chat), col(TicketMessage.message))
    statement = sa.select(*key).where(col(TicketMessage.role) == "report").group_by(*key)
    rows = session.execute(statement.having(sa.func.count(col(TicketMessage.ticket).distinct()) > 1))
    return {(channel, chat, message) for channel, chat, message in rows}


def _by_ticket(rows: Iterable[Correction]) -> dict[object, list[Correction]]:
    found: dict[object, list[Correction]] = {}
    for row in rows:
        found.setdefault(row.ticket or f"c{row.id}", []).append(row)
    return found


def _of_ticket(rows: Sequence[Correction], here: Here, several: set[Where]) -> Iterator[Lesson]:
    """The lessons of one ticket: the message that opened it, and those that turned out to be another matter."""
    divided = [row for row in rows if row.kind == CorrectionKind.SPLIT]
    gone = {message for row in divided for message in row.after.get("went", ())}
    group = _group(rows)
    for row in divided:
        told = next((said for said in row.words if said["role"] in TELLS), None)
        if told and told["text"] and _where(told) not in several:
            # What was known when it was heard is only kept of the message that opened the ticket.
            context = _context(row) if told["role"] == "report" else None
            example = _example(told, "report", row.after["category"], row, context, here)
            yield Lesson(key_of(_where(told)), group, row.at, example)
    others = [row for row in rows if row.kind != CorrectionKind.SPLIT]
    opened = next((said for row in others for said in row.words if said["role"] == "report"), None)
    if opened is None or opened["message"] in gone or _where(opened) in several:
        return
    if not all(said["text"] for row in others for said in row.words if _where(said) == _where(opened)):
        return  # it was taken back
    meaning = _meaning(others)
    if meaning is not None:
        intent, leaf = meaning
        marked = _example(opened, intent, leaf, others[-1], _context(others[0]), here, others)
        yield Lesson(key_of(_where(opened)), group, others[0].at, marked)


def _meaning(rows: Sequence[Correction]) -> tuple[str, str] | None:
    """(intent, leaf) of the message that opened the ticket; None where its corrections say nothing of it."""
    found: tuple[str, str] | None = None
    for row in rows:
        match row.kind:
            case CorrectionKind.DISMISSED:
                found = ("chatter", "")
            case CorrectionKind.CATEGORY | CorrectionKind.MISSED:
                found = ("report", row.after["category"])
            case CorrectionKind.URGENT | CorrectionKind.SENSITIVE:
                found = found or ("report", "")
            case CorrectionKind.MERGE:
                found = (_belonging(row), row.after["category"])
            case _:  # a place says nothing that the heads could learn
                pass
    return found


def _belonging(row: Correction) -> str:
    """What a message was whose ticket went into another one: a detail of the sender's own matter, or a neighbour's
    joining. Where no matter was open in that chat nobody could have told: it was a report, and the linker was to find
    the other."""
    context = _context(row)
    if context is None or context.chat_ticket is None:
        return "report"
    return "join" if context.own_ticket is None else "detail"


def _context(row: Correction) -> Context | None:
    """None where it was not kept: for tickets from before readings were."""
    return context_of(row.context) if row.said else None


def _example(
    said: dict[str, str], intent: str, leaf: str, row: Correction, context: Context | None, here: Here,
    rows: Sequence[Correction] = (),
) -> Example:  # fmt: skip
    """rows: those that may say how urgent and how private it is; what none of them says is as the engine had it."""
    rules = decisions()
    urgent = float(row.said.get("urgent", 0.0)) >= rules.urgent or leaf in rules.urgent_kinds
    sensitive = float(row.said.get("sensitive", 0.0)) >= rules.sensitive or leaf in rules.sensitive_kinds
    for one in rows:
        if one.kind == CorrectionKind.URGENT:
            urgent = bool(one.after["urgent"])
        elif one.kind == CorrectionKind.SENSITIVE:
            sensitive = bool(one.after["sensitive"])
    return Example(
        text=here.scrubbed(said["text"]), intent=intent, leaf=leaf, urgent=urgent and intent == "report",
        sensitive=sensitive and intent != "chatter", context=context, names=here.names, corrected=True,
        source=key_of(_where(said)),
    )  # fmt: skip


def _group(rows: Sequence[Correction]) -> str:
    """The ticket, or the one that it went into: 合并 is the same matter."""
    merged = [row.after["into"] for row in rows if row.kind == CorrectionKind.MERGE]
    first = rows[0]
    return str(merged[-1] if merged else f"LS{first.ticket:05d}" if first.ticket else f"correction {first.id}")


def _talk(row: Sample, here: Here) -> Lesson:
    key = key_of((row.channel, row.chat, row.message))
    context = context_of(row.context) if row.said else None
    example = Example(
        text=here.scrubbed(row.text), intent="chatter", context=context, names=here.names, corrected=True, source=key
    )
    return Lesson(key, f"sample {row.id}", row.decided_at or row.at, example)


def counted(found: Iterable[Lesson]) -> dict[str, Any]:
    """How many of each intent."""
    return dict(sorted(Counter(lesson.example.intent for lesson in found).items()))
