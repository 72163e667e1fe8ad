"""The rest of a deletion (删除我的信息): files on the disk, rows still under way, tickets that had to end first.

Runs again and again beside the scheduler's other sweeps; whatever process sweeps first does it.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
import structlog
from sqlmodel import Session, col

from bot.leftovers import remove
from handlers.desk import Desk
from handlers.erasing import HELD, alerts, letter, settle, unfetched, unsaid
from models.binding import forget
from models.inbox import Inbox
from models.outbox import Outbox
from models.privacy import Erasure, Owed, Remnant, RemnantKind
from models.ticket import Ticket
from models.webchat import WebMessage

log = structlog.get_logger(__name__)
SOME = 100  # rows of one transaction


class Forgetting:
    """Finishes deletions. tx: runs a function in one transaction. desk: the desk for a key, as the sweeper has it."""

    def __init__(
        self, tx: Callable[[Callable[[Session], int]], int], desk: Callable[[Session, str], Desk], media: Path,
        over: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        """media: the folder of pictures and voices. over: asked before each transaction; once it is, none begins."""
        self._tx = tx
        self._desk = desk
        self._media = media
        self._over = over

    def run(self) -> int:
        """Everything that can be done now. Returns how many rows were dealt with."""
        done = 0
        for work in (self._tickets, self._remnants):
            while not self._over() and (count := self._tx(work)):
                done += count
        return done if self._over() else done + self._tx(self._close)

    def _tickets(self, session: Session) -> int:
        ended = (
            sa.select(Owed)
            .join(Ticket, col(Ticket.id) == col(Owed.ticket))
            .where(col(Ticket.status).not_in(HELD))
            .order_by(col(Owed.id))
            .limit(SOME)
            .with_for_update(skip_locked=True, of=Owed)
        )
        rows = session.scalars(ended).all()
        for row in rows:
            settle(self._desk(session, f"owed:{row.id}"), row)
        if rows:
            log.info("privacy.settled", tickets=len(rows))
        return len(rows)

    def _remnants(self, session: Session) -> int:
        desk = self._desk(session, "remnants")
        due = sa.select(Remnant).where(col(Remnant.due_at) <= desk.now).order_by(col(Remnant.id)).limit(SOME)
        rows = session.scalars(due.with_for_update(skip_locked=True)).all()
        for row in rows:
            if row.kind == RemnantKind.FILE:
                remove(session, self._media, [row.value])
            elif row.kind == RemnantKind.TICKET:
                alerts(session, int(row.value), late=desk.now)
            else:
                remove(session, self._media, _last_words(session, row, desk.now))
            session.delete(row)
        session.flush()
        return len(rows)

    def _close(self, session: Session) -> int:
        """Deletions of which nothing is left to do; codes that are over."""
        now = self._desk(session, "erasures").now
        left = [sa.exists().where(col(table.erasure) == col(Erasure.id)) for table in (Owed, Remnant)]
        done = sa.update(Erasure).where(col(Erasure.done_at).is_(None), ~sa.or_(*left)).values(done_at=now)
        forget(session, now)
        return session.connection().execute(done).rowcount


def _last_words(session: Session, row: Remnant, now: datetime) -> list[str]:
    """What had still to leave or might have come again when she asked: by now it has, and what waits for a word of hers
    or of somebody's does not leave any more. Gives the files of it."""
    run = session.connection().execute
    where = f"{row.channel}:{row.chat}"
    said = (col(Outbox.conversation) == where, col(Outbox.created_at) <= row.before)
    held = sa.select(col(Owed.ticket)).where(col(Owed.channel) == row.channel, col(Owed.user) == row.value)
    mine = sa.or_(col(Outbox.ticket).is_(None), col(Outbox.ticket).not_in(held))
    run(sa.delete(Outbox).where(*said, mine))
    heard = (
        col(Inbox.channel) == row.channel, col(Inbox.sender) == row.value, col(Inbox.received_at) <= row.before,
        col(Inbox.finished_at).is_not(None),
    )  # fmt: skip
    going = session.scalars(held).all()
    hers = session.scalars(sa.select(Inbox).where(*heard)).all()
    files = [media.path for said in hers if (told := letter(said)) for media in told.media if media.path]
    keys = [said.dedup_key for said in hers]
    unsaid(session, keys, going, late=now)
    unfetched(session, keys, going)
    run(sa.delete(Inbox).where(*heard))
    if row.channel == "web":
        run(sa.delete(WebMessage).where(col(WebMessage.chat) == row.chat, col(WebMessage.at) <= row.before))
    return files
