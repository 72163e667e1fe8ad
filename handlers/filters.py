"""One question about a message each."""

import re
from collections.abc import Callable

from handlers.context import Context
from models.message import Kind

QUESTION = re.compile(
    r"[?？]|[吗么冇没]$|怎么|咋|几点|几号|哪里|哪儿|在哪|什么|啥|多少|能不能|可不可以|有没有|要不要|会不会|谁|了没"
)
Filter = Callable[[Context], bool]


def kind(*kinds: Kind) -> Filter:
    """The message is of one of these kinds."""
    return lambda ctx: ctx.message.kind in kinds


def intent(*names: str) -> Filter:
    """The understanding settled on one of these intents, surely enough to act on it."""
    wanted = frozenset(names)
    return lambda ctx: ctx.understanding.intent in wanted and ctx.understanding.p(*names) >= ctx.decisions.answer


def to_bot(ctx: Context) -> bool:
    """The bot is meant: mentioned, or spoken to directly."""
    return ctx.to_bot


def direct(ctx: Context) -> bool:
    """In a direct chat."""
    return ctx.direct


def from_worker(ctx: Context) -> bool:
    """The sender has a duty to act: gridworker, department, staff."""
    return ctx.is_worker


def unread(ctx: Context) -> bool:
    """Nothing that the bot can read: a kind of message that its channel knows only by its envelope."""
    m = ctx.message
    return m.kind == Kind.TEXT and not (m.words.strip() or m.media or m.action)


def wordless(ctx: Context) -> bool:
    """A picture, voice, video, file or pin without a word."""
    return ctx.message.kind in (Kind.IMAGE, Kind.VIDEO, Kind.VOICE, Kind.FILE, Kind.LOCATION) and not ctx.message.words
