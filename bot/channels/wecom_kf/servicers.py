"""To a human servicer (接待人员) and back: the session's state at the platform (企业微信 94669 分配客服会话).

States: 0 not treated yet, 1 with the assistant (us), 2 in the queue (待接入池), 3 with a servicer, 4 over. Which change
the platform allows from where is not told by the pages that we have: what it refuses is tried the next best way.
"""

import hashlib
from typing import Any

import structlog

from bot.channels.api import ApiClient, ApiError
from bot.channels.base import SendFailed, Uncertain
from config.wecom_kf import WecomKfSettings

log = structlog.get_logger(__name__)
ASSISTANT, QUEUE, HUMAN, OVER = 1, 2, 3, 4
WITH_HUMANS = (QUEUE, HUMAN)
PATH = "/cgi-bin/kf/service_state"


class Servicers:
    """Moves sessions."""

    def __init__(self, settings: WecomKfSettings, api: ApiClient) -> None:
        self._settings = settings
        self._api = api

    async def take_over(self, account: str, user: str) -> bool:
        """A servicer gets the session, or the queue does. False when the platform refuses all of it: the staff have
        been alerted in any case. Raises SendFailed when it is not there."""
        if self._settings.human == "off" or await self.in_charge(account, user):
            return False
        for servicer in self._in_turn(user):
            if await self._trans(account, user, HUMAN, servicer):
                return True
        return await self._trans(account, user, QUEUE)

    async def in_charge(self, account: str, user: str) -> bool:
        """A human has the session, or will. Raises SendFailed when the platform is not there."""
        return await self._state(account, user) in WITH_HUMANS

    async def give_back(self, account: str, user: str) -> None:
        """The session is the bot's again; where the platform does not allow that, it is over, and her next word begins
        another one. Nothing when no human has it. Raises SendFailed when the platform is not there."""
        if await self.in_charge(account, user) and not await self._trans(account, user, ASSISTANT):
            await self._trans(account, user, OVER)

    def _in_turn(self, user: str) -> tuple[str, ...]:
        """The servicers, beginning with another one for another customer."""
        names = self._settings.servicers if self._settings.human == "servicer" else ()
        first = int(hashlib.sha256(user.encode()).hexdigest()[:8], 16) % max(1, len(names))
        return (*names[first:], *names[:first])

    async def _state(self, account: str, user: str) -> int:
        found = await self._called(f"{PATH}/get", {"open_kfid": account, "external_userid": user})
        return int(found.get("service_state", 0))

    async def _trans(self, account: str, user: str, state: int, servicer: str = "") -> bool:
        body: dict[str, Any] = {"open_kfid": account, "external_userid": user, "service_state": state}
        if servicer:
            body["servicer_userid"] = servicer
        try:
            await self._called(f"{PATH}/trans", body)
        except ApiError as error:
            if error.after is not None:  # busy or over its rate: later it may well
                raise
            log.warning("kf.not_moved", state=state, code=error.code)
            return False
        log.info("kf.moved", state=state)
        return True

    async def _called(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._api.call(path, body)
        except Uncertain as error:
            raise SendFailed(str(error)) from None  # the same state twice does no harm
