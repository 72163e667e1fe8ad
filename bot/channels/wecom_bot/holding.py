"""Who of a deployment's processes has the bot's one connection, and how it goes from one to the next.

Whoever has the hold dials. Thrown out while it is held, it was a stranger, who has the bot in another deployment: this
one rests. Thrown out without it, it was the process that has the hold now.
"""

import asyncio
from collections.abc import Awaitable, Callable

import sqlalchemy as sa
import structlog

from bot.channels import proofs
from bot.channels.base import Proof
from bot.channels.holder import Holder
from bot.channels.wecom_bot.letters import NAME
from bot.channels.wecom_bot.socket import Connection, Kicked, State

log = structlog.get_logger(__name__)
LOOKS = 2  # times the pause between two looks of a standby: one until it looks, one until it has dialled


def held(where: str, state: str, why: str) -> Proof:
    """What the doctor says while a process of this deployment has the hold, by what that process wrote down."""
    said = "a process of this deployment has the connection"
    if state == State.UP:
        return Proof("credentials", proofs.OK, f"{said}, and {where} has taken it")
    if state == State.RESTING:
        said += " and rests: another deployment has subscribed to this bot. Stop one of the two, start the other anew"
        return Proof("credentials", proofs.FAIL, f"{said}.")
    if why:
        todo = "Look at bot_id and secret, and at connection.lost in its log"
        return Proof(
            "credentials", proofs.FAIL, f"{said} to make, and it is not up; {where}: {proofs.told(why)} {todo}."
        )
    return Proof(
        "credentials", proofs.WARN, f"{said} to make, and it is not up yet: ask again, or look at its /healthz."
    )


class Holding:
    """One process's part in it."""

    def __init__(
        self, connection: Connection, holder: Holder, on_up: Callable[[], Awaitable[None]], seconds: float
    ) -> None:  # fmt: skip
        """on_up: see `Connection.run`. seconds: between two looks whether it may be had, and whether it still is."""
        self._connection = connection
        self._holder = holder
        self._on_up = on_up
        self._seconds = seconds
        self._line: asyncio.Task[None] | None = None
        self._noted: tuple[str, str] | None = None
        self.held = False

    async def run(self) -> None:
        """Hold and connect, until cancelled; again when the hold is lost. Once thrown out by a stranger, hold on
        without connecting: the processes beside this one must not take up the quarrel either."""
        while True:
            if await self._taken():
                self.held = True
                self._noted = None  # what stands there is of whoever held it before
                if not await self._served():
                    await self._rested()
                self.held = False
                log.warning("connection.hold_lost", channel=NAME)
                await self._holder.let_go()
            await asyncio.sleep(self._seconds)

    async def stop(self) -> None:
        """Let another process have it, and hang up. After `run` was cancelled."""
        try:
            if self.held:
                self.held = False
                await self._holder.let_go()
                await self._hand_over()
        finally:
            await self._hang_up()

    async def _taken(self) -> bool | None:
        """None where the database does not say."""
        try:
            return await self._holder.take()
        except sa.exc.SQLAlchemyError as error:
            log.warning("connection.no_hold", channel=NAME, error=type(error).__name__)
            return None

    async def _still(self) -> bool | None:
        """Whether it is held; taken anew where it was lost and nobody else has it. None: see `_taken`."""
        return await self._holder.still() or await self._taken()

    async def _note(self) -> None:
        """Write down how the connection is, once for each change: `linsheng doctor` may not dial beside it."""
        how = (self._connection.state.value, self._connection.why)
        if how == self._noted:
            return
        try:
            await self._holder.note(*how)
            self._noted = how
        except sa.exc.SQLAlchemyError as error:
            log.warning("connection.not_noted", channel=NAME, error=type(error).__name__)

    async def _served(self) -> bool:
        """Hear and send until another process takes over. False when somebody took the connection and not the hold."""
        self._connection.comes_back = True
        self._line = asyncio.create_task(self._connection.run(self._on_up))
        while True:
            await self._note()
            held = await self._still()
            # A line that is lost without the hold may be somebody else's by now: dialling would throw her out.
            self._connection.comes_back = bool(held)
            if self._line.done():
                return not (await self._hang_up() and held)
            if held is False:
                await self._hand_over()
                return True
            await asyncio.wait({self._line}, timeout=self._seconds)

    async def _rested(self) -> None:
        """Leave it to the stranger, and say so, until another process has the hold."""
        self._connection.rest()
        log.error(
            "connection.resting", channel=NAME,
            meaning="another instance has subscribed to this bot; this one rests until it is started anew",
        )  # fmt: skip
        held: bool | None = True
        while held is not False:
            await self._note()
            await asyncio.sleep(self._seconds)
            held = await self._still()

    async def _hand_over(self) -> None:
        """Hear until whoever may have it now has subscribed, or nobody seems to want it: what is said while nobody is
        subscribed is lost, the platform does not say it again."""
        if self._line is not None and self._connection.up:
            self._connection.comes_back = False
            await asyncio.wait({self._line}, timeout=LOOKS * self._seconds)
        if await self._hang_up():
            log.info("connection.handed_over", channel=NAME)

    async def _hang_up(self) -> bool:
        """Returns whether somebody else had taken the connection before."""
        if self._line is None:
            return False
        self._line.cancel()
        await asyncio.wait({self._line})
        kicked = not self._line.cancelled() and isinstance(self._line.exception(), Kicked)
        self._line = None
        return kicked
