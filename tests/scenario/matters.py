"""The whole town on one platform, and what came of its matter: on the screens, and in the database."""

import io

import sqlalchemy as sa
from PIL import Image
from sqlmodel import Session, col

from models.chat import Chat, ChatKind
from models.database import Database
from models.mark import TOWN, bump
from models.person import Identity
from models.ticket import Attachment, Status, Ticket, TicketEvent
from tests.platform.harness import TestPlatform


def everybody_to(db: Database, channel: str, *, groups: bool = False) -> None:
    """All people of the demo town write by this channel from now on, and with `groups` its groups are there too."""

    def write(session: Session) -> None:
        session.connection().execute(sa.update(Identity).values(channel=channel))
        session.connection().execute(sa.delete(Chat).where(col(Chat.kind) == ChatKind.DIRECT))
        if groups:
            session.connection().execute(sa.update(Chat).values(channel=channel))
        bump(session, TOWN)

    db.tx(write)


def photo() -> bytes:
    """A JPEG."""
    made = io.BytesIO()
    Image.new("RGB", (64, 48), "navy").save(made, "JPEG")
    return made.getvalue()


def told(p: TestPlatform, who: str) -> str:
    """All words on somebody's screen, or in a group."""
    return "\n".join(bubble.text for bubble in p.seen(who))


def ticket(db: Database) -> Ticket | None:
    """The first one."""
    return db.tx(lambda session: session.scalars(sa.select(Ticket).order_by(col(Ticket.id))).first())


def status(db: Database) -> Status | None:
    """Where the first one stands."""
    found = ticket(db)
    return found.status if found else None


def place(db: Database) -> str | None:
    """Where the first one is."""
    found = ticket(db)
    return found.place if found else None


def photos(db: Database) -> list[str]:
    """The paths of the pictures that were fetched."""
    paths = sa.select(col(Attachment.path)).where(col(Attachment.path) != "")
    return db.tx(lambda session: list(session.scalars(paths)))


def events(db: Database) -> list[str]:
    """What happened, oldest first."""
    names = sa.select(col(TicketEvent.what)).order_by(col(TicketEvent.id))
    return db.tx(lambda session: list(session.scalars(names)))
