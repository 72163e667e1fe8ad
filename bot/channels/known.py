"""What a channel may ask of the town: which groups the deployment knows, and who is who.

An account can be in groups that are no business of ours. What is said there is not kept (PIPL 5, 6: no more than is
needed), so channels that hear everything ask here first.
"""

from sqlmodel import Session

from handlers.town import Town, load
from models import mark
from models.chat import Chat, ChatKind
from models.database import Database


class Known:
    """The town as it stands now, read anew when it has changed."""

    def __init__(self, db: Database, on: frozenset[str] | None = None) -> None:
        """on: the channels of this deployment; None: any."""
        self._db = db
        self._on = on
        self._town: Town | None = None

    def town(self, session: Session) -> Town:
        """The town, inside a transaction."""
        if self._town is None or self._town.version != mark.value(session, mark.TOWN):
            self._town = load(session, self._on)
        return self._town

    def group_in(self, session: Session, channel: str, code: str) -> Chat | None:
        """The group of this code, inside a transaction; None where the town names none."""
        found = self.town(session).chats.get((channel, code))
        return found if found is not None and found.kind == ChatKind.GROUP else None

    async def group(self, channel: str, code: str) -> Chat | None:
        """`group_in`, in a transaction of its own."""
        return await self._db.run(lambda session: self.group_in(session, channel, code))
