"""What a platform answered, judged: an answer, a file, or why not; and no error tells a secret.

Source: 全局返回码说明 (公众号, 企业微信 90313).
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from bot.channels.base import Halted, SendFailed, Uncertain

BUSY = -1
PAUSE = 60.0  # seconds until another try of what the platform refuses for now
TOKEN_REFUSED = frozenset({40001, 40014, 42001})
# The account's calls of this kind are used up, for the day or the minute, for whomever they are.
USED_UP = frozenset({45009, 45011})
NOT_LISTED = frozenset({40164, 60020})  # our address is not on the account's list: an operator must act
CLOSED_TO_US = USED_UP | NOT_LISTED
RATE_LIMITED = USED_UP | {45033, 846607}  # too many of the account's at once; too many for one conversation
# What is said of our account, and not of whoever the message is for. 846607 is of one conversation.
OURS = CLOSED_TO_US | TOKEN_REFUSED | {45033}

_SECRET = re.compile(
    r"((?:access_?token|app_?secret|corp_?secret|secret|key|response_code)[\"']?\s*[=:]\s*[\"']?)[^&\s\"',}]+",
    re.IGNORECASE,
)
Answer = dict[str, Any]


class ApiError(SendFailed):
    """The platform said no. code: its errcode."""

    def __init__(self, code: int, reason: str, *, final: bool = False, after: float | None = None) -> None:
        super().__init__(reason, final=final, after=after)
        self.code = code


class AccountRefused(ApiError, Halted):
    """The platform said no to our account, whoever the message is for."""


class Again(SendFailed):
    """The platform is busy and took nothing: worth another try."""


@dataclass(frozen=True)
class Download:
    """What came: bytes, or only an address where they are (videos of the Official Account)."""

    data: bytes = field(repr=False)
    name: str = ""
    mime: str = ""
    url: str = field(default="", repr=False)


@dataclass(frozen=True)
class Reply:
    """What came back. final: errcodes that no other try can help. secrets: what no error may tell. repeatable: the same
    call once more does no harm."""

    path: str
    status: int
    raw: bytes = field(repr=False)
    mime: str = ""
    name: str = ""
    final: Collection[int] = ()
    secrets: Collection[str] = field(default=(), repr=False)
    repeatable: bool = False

    def scrubbed(self, text: str) -> str:
        """`text` without secrets, and no longer than a log line."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return _SECRET.sub(r"\1***", text)[:200]


def answer(reply: Reply) -> Answer:
    """The JSON object in it. Raises Again, ApiError, SendFailed; Uncertain where nobody can say what happened."""
    path = reply.path
    _check_status(reply)
    try:
        found = json.loads(reply.raw)
        code = int(found.get("errcode", 0))
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise Uncertain(f"{path}: the answer is no JSON object") from None
    if code == 0:
        return dict(found)
    reason = f"{path}: errcode {code}: {reply.scrubbed(str(found.get('errmsg', '')))}"
    if code == BUSY:
        raise Again(reason, after=30)
    raise refusal(code, reason, final=code in reply.final)


def refusal(code: int, reason: str, *, final: bool = False) -> ApiError:
    """The error that an errcode is."""
    kind = AccountRefused if code in OURS else ApiError
    return kind(code, reason, final=final, after=PAUSE if code in OURS | RATE_LIMITED else None)


def file(reply: Reply) -> Download:
    """The file in it. Raises as `answer` does."""
    # Errors come as JSON, some of them under text/plain; a file never begins like that.
    if reply.mime in ("application/json", "text/plain") and reply.raw.lstrip()[:1] == b"{":
        if isinstance(url := answer(reply).get("video_url"), str):
            return Download(b"", url=url)
        raise SendFailed(f"{reply.path}: there is no file in the answer", final=True)
    _check_status(reply)
    return Download(reply.raw, reply.name, reply.mime)


def _check_status(reply: Reply) -> None:
    told = f"{reply.path}: HTTP {reply.status}"
    if reply.status == HTTPStatus.GATEWAY_TIMEOUT:
        raise Uncertain(told)  # a gateway waited in vain, and we with it: the platform may well have taken it
    broken = reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if reply.status == HTTPStatus.SERVICE_UNAVAILABLE or (broken and reply.repeatable):
        raise Again(told, after=30)
    if broken:
        raise Uncertain(told)  # it broke at the call or behind it: a message may stand in the chat (ADR 0005)
    if reply.status != HTTPStatus.OK:
        raise SendFailed(told, after=60)
