"""Group notice tasks (群发任务): a day's news for a group in one text, which the group's owner confirms by hand.

Platform page 92135: POST /cgi-bin/externalcontact/add_msg_template, at most 4,000 bytes, one a group and day. So news
of tickets are gathered as rows of the outbox that become due together; whoever is first takes the others with her.
`Outbox.platform_id` says what became of each: `asked` before the call leaves, `notice:ID` once the platform took it.
What was asked and never taken, and what is one too many, is nobody's to repeat there: it goes to the leader.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import structlog
from pydantic import ValidationError
from sqlmodel import Session, col

from bot.channels import render
from bot.channels.api import ApiClient, ApiError
from bot.channels.archive.records import NAME
from bot.channels.base import Halted, SendFailed, Uncertain
from config.side_channels import ArchiveSettings
from handlers.texts import say
from models import outbox, quota
from models.base import Clock
from models.database import Database
from models.message import Outgoing, Purpose
from models.outbox import Outbox
from models.ticket import Ticket

log = structlog.get_logger(__name__)

PATH = "/cgi-bin/externalcontact/add_msg_template"
PREFIX = "notice:"  # of a chat in the outbox, and of what the platform took
ASKED = "asked"
BYTES = 4_000
MANY = 200  # rows looked at for one notice
PATIENCE = timedelta(minutes=5)  # with a call that fails: what waited all day may wait for one more try
DAY = timedelta(days=1)


class NotPosted(Exception):
    """It will not be in a notice of today."""


class _Task(NamedTuple):
    """keys: the outbox rows whose words are in `text`. grant: of the day's number, for giving it back."""

    text: str
    keys: tuple[str, ...]
    grant: str


class Notices:
    """Gathers, and asks the owners."""

    def __init__(
        self, settings: ArchiveSettings, db: Database, api: ApiClient, clock: Clock, zone: ZoneInfo
    ) -> None:  # fmt: skip
        self._settings = settings
        self._db = db
        self._api = api
        self._clock = clock
        self._zone = zone

    def takes(self, session: Session, out: Outgoing) -> bool:
        """Whether it is news that may wait until the evening: of a ticket, not urgent, and no question."""
        if out.chat not in self._settings.owners or out.purpose != Purpose.REPLY or "？" in out.text:
            return False
        ticket = _for_everybody(session, out)
        return ticket is not None and not ticket.urgent

    def due(self, now: datetime) -> datetime:
        """The next moment at which a notice is made."""
        local = now.astimezone(self._zone)
        today = datetime.combine(local.date(), self._settings.notice_at, self._zone)
        return (today if local < today else today + DAY).astimezone(UTC)

    def _overdue(self) -> bool:
        """Whether the moment of the last notice is past for so long that whoever waits for it hears otherwise."""
        now = self._clock()
        return now - (self.due(now) - DAY) >= PATIENCE

    async def send(self, out: Outgoing, client_id: str) -> str:
        """With all that waits for the same group. Returns what the row is marked with.

        Raises NotPosted; SendFailed where a later try may help.
        """
        room = out.chat.removeprefix(PREFIX)
        owner = self._settings.owners.get(room, "")
        done = await self._db.run(lambda session: _mark(session, client_id))
        if done.startswith(PREFIX):
            return done
        if done or not owner:
            raise NotPosted
        task = await self._db.run(lambda session: self._taken(session, room, out, client_id))
        if task is None:
            raise NotPosted
        body = {"chat_type": "group", "sender": owner, "chat_id_list": [room], "text": {"content": task.text}}
        try:
            answer = await self._api.call(PATH, body)
        except Uncertain as error:  # the owner may have been asked: not twice, and nothing lost
            log.warning("archive.notice_uncertain", reason=str(error))
            raise NotPosted from None
        except SendFailed as error:
            refused = isinstance(error, ApiError) and error.after is None
            if refused or self._overdue():
                log.error("archive.notice_refused", reason=str(error))
                raise NotPosted from None
            await self._db.run(lambda session: self._given_back(session, room, task))
            kind = Halted if isinstance(error, Halted) else SendFailed
            raise kind(str(error), after=PATIENCE.total_seconds()) from None
        if room in (answer.get("fail_list") or []):
            log.warning("archive.notice_not_for_group", messages=len(task.keys))
            raise NotPosted
        mark = f"{PREFIX}{answer.get('msgid', '')}"[:128]
        await self._db.run(lambda session: _set(session, task.keys, mark))
        log.info("archive.notice", messages=len(task.keys))
        return mark

    def _taken(self, session: Session, room: str, out: Outgoing, client_id: str) -> _Task | None:
        """The rows that wait, as far as they fit, marked; None when today's notices are used up, or when this one is
        for no notice any more."""
        if _for_everybody(session, out) is None:
            return None
        now = self._clock()
        grant = self._spend(session, room, now)
        if not grant:
            return None
        due = sa.or_(col(Outbox.visible_at) <= now, col(Outbox.dedup_key) == client_id)
        waiting = sa.select(Outbox).where(
            col(Outbox.conversation) == out.conversation, col(Outbox.finished_at).is_(None),
            col(Outbox.platform_id) == "", due,
        )  # fmt: skip
        lines: list[str] = []
        keys: list[str] = []
        for row in session.scalars(waiting.order_by(col(Outbox.id)).limit(MANY)).all():
            try:
                line = outbox.read(row)
            except ValidationError:
                continue  # the sender buries it
            if _for_everybody(session, line) is None:
                continue  # its own turn comes
            shown = render.text(line, most=1, group=True)
            if len(_digest([*lines, *shown]).encode()) > BYTES:
                break
            lines += shown
            keys.append(row.dedup_key)
        _set(session, keys, ASKED)
        return _Task(_digest(lines), tuple(keys), grant)

    def _spend(self, session: Session, room: str, now: datetime) -> str:
        """One of today's notices of a group; "" when there is none left."""
        midnight = now.astimezone(self._zone).replace(hour=0, minute=0, second=0, microsecond=0)
        key = _key(room)
        quota.grant(session, key, count=self._settings.notices_a_day, per=DAY, at=midnight.astimezone(UTC))
        return quota.spend(session, key, now)

    def _given_back(self, session: Session, room: str, task: _Task) -> None:
        """The call certainly changed nothing."""
        quota.refund(session, _key(room), task.grant)
        _set(session, task.keys, "")


def _for_everybody(session: Session, out: Outgoing) -> Ticket | None:
    """Its ticket, unless it is sensitive by now: staff may have marked it while the line waited."""
    ticket = session.get(Ticket, out.ticket) if out.ticket is not None else None
    return ticket if ticket is not None and not ticket.sensitive else None


def _key(room: str) -> str:
    return f"{NAME}:{PREFIX}{room}"


def _digest(lines: list[str]) -> str:
    return say("archive_notice", lines="\n".join(f"· {line}" for line in lines))


def _mark(session: Session, key: str) -> str:
    return session.scalars(sa.select(col(Outbox.platform_id)).where(col(Outbox.dedup_key) == key)).first() or ""


def _set(session: Session, keys: list[str] | tuple[str, ...], mark: str) -> None:
    rows = sa.update(Outbox).where(col(Outbox.dedup_key).in_(keys))
    session.connection().execute(rows.values(platform_id=mark))
