"""One connection of one account: actions out, each with its echo, and their answers back.

Source: OneBot v11, 通信: 反向 WebSocket; API 请求与响应 (retcode 0 ok, 1 async; 1400, 1401, 1403, 1404 as in HTTP).
"""

import asyncio
import json
import secrets
from http import HTTPStatus
from itertools import count
from typing import Any

from aiohttp import web

from bot.channels.base import SendFailed, Uncertain

# No other try can help: the implementation does not understand the action, or does not know it. Everything else (100,
# and numbers of each implementation's own: a risk control, a group where nobody may speak) may pass.
FINAL = frozenset({1400, 1404})
AGAIN = 60.0  # seconds after a refusal
RECONNECT = 5.0  # seconds after a broken connection

Answer = dict[str, Any]


class Link:
    """Actions over one WebSocket. Whoever reads the socket hands the answers to `settle`."""

    def __init__(self, socket: web.WebSocketResponse, account: str, *, action_seconds: float) -> None:
        self.account = account
        self.online = True  # what the implementation says of its QQ login
        self._socket = socket
        self._seconds = action_seconds
        self._numbers = count(1)
        self._waiting: dict[str, asyncio.Future[Answer]] = {}

    async def act(self, action: str, params: dict[str, Any]) -> Answer:
        """Do it; returns the answer's data. Raises SendFailed when it was certainly not done, else Uncertain."""
        if self._socket.closed:
            raise SendFailed("the connection is closed", after=RECONNECT)
        echo = f"{next(self._numbers)}-{secrets.token_hex(4)}"
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[echo] = answer
        request = json.dumps({"action": action, "params": params, "echo": echo}, ensure_ascii=False)
        try:
            async with asyncio.timeout(self._seconds):
                await self._socket.send_str(request)
                return _judge(action, await answer)
        except TimeoutError:
            raise Uncertain(f"{action}: no answer in time") from None
        except (ConnectionError, RuntimeError) as error:
            # It was open a moment ago: the frame may have left before the connection broke.
            raise Uncertain(f"{action}: {type(error).__name__}") from None
        finally:
            self._waiting.pop(echo, None)

    def settle(self, answer: Answer) -> None:
        """An answer came in; one that nobody waits for any more is dropped."""
        waiting = self._waiting.get(str(answer.get("echo")))
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def end(self) -> None:
        """The connection is gone: who still waits will never know."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Uncertain("the connection broke before the answer"))

    async def close(self, why: str) -> None:
        """Hang up. why: a few words for the other side's log."""
        await self._socket.close(code=1001, message=why.encode())


def _judge(action: str, answer: Answer) -> Answer:
    """The data of an answer. The implementation's own words are not repeated: they may hold the message's."""
    code = answer.get("retcode")
    if answer.get("status") in ("ok", "async") and code in (0, 1, None):
        data = answer.get("data")
        return data if isinstance(data, dict) else {}
    known = code if isinstance(code, int) and not isinstance(code, bool) else HTTPStatus.INTERNAL_SERVER_ERROR
    raise SendFailed(f"{action}: retcode {int(known)}", final=known in FINAL, after=AGAIN)
