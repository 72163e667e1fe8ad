"""Who has just spoken can be spoken to: what could not leave for her is tried at once.

Messages that arrive together share one transaction, as they do at the door.
"""

import asyncio

from bot.channels.wecom_bot import mailbox
from models.base import Clock
from models.database import Database

LINGER = 0.002  # seconds to collect


class Spoken:
    """Conversations in which something was said a moment ago."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._chats: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def in_chat(self, chat: str) -> None:
        """Returns once what waits for this conversation is due. Raises what the database raises."""
        self._chats.add(chat)
        if self._task is None:
            self._task = asyncio.create_task(self._hurry())
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())  # all may have hung up
        await asyncio.shield(self._task)

    async def _hurry(self) -> None:
        await asyncio.sleep(LINGER)
        chats, self._chats, self._task = self._chats, set(), None
        await self._db.run(lambda session: mailbox.hurry(session, self._clock(), chats))
