"""What a user may still be sent: five customer messages within 48 hours of her last one, three within a minute of a
press, a scan or a follow; and what she agreed to be notified of.

Platform pages: 客服接口-发消息 (five since 2025; older texts say twenty), 订阅通知. Kept in `models.quota`.
"""

import hashlib
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from bot.channels.wechat_mp.letters import NAME
from models import quota
from models.inbox import Inbox

FIVE, WINDOW = 5, timedelta(hours=48)
THREE, MOMENT = 3, timedelta(minutes=1)
AGREED = timedelta(days=365)  # a one-off agreement has no end that the platform tells


def key(user: str) -> str:
    """Of a user's customer messages."""
    return f"{NAME}:openid:{_hidden(user)}"


def notice_key(user: str, template: str) -> str:
    """Of her agreements to one template."""
    return f"{NAME}:notice:{template[:100]}:{_hidden(user)}"


def _hidden(user: str) -> str:
    """The ledger need not know who it is: whose data are deleted leaves no name in it."""
    return hashlib.sha256(user.encode()).hexdigest()[:32]


def refresh(session: Session, user: str, now: datetime) -> int | None:
    """Count what her last message entitles to; returns how many may leave now, None when we know of nothing at all.

    The inbox knows when she last wrote; the ledger is told when something is to be sent, and not at every callback.
    """
    mine = (col(Inbox.channel) == NAME, col(Inbox.chat) == user)
    # A press, a scan or a follow lies there too, under an id of its own (`events`); it entitles to less (`moved`).
    wrote = col(Inbox.message).not_like("e%")
    last = session.scalars(sa.select(sa.func.max(col(Inbox.sent_at))).where(*mine, wrote)).one()
    if last is not None:
        quota.grant(session, key(user), count=FIVE, per=WINDOW, at=last)
    return quota.left(session, key(user), now) if last is not None or quota.known(session, key(user)) else None


def moved(session: Session, user: str, at: datetime) -> None:
    """She pressed, scanned or followed."""
    quota.grant(session, key(user), count=THREE, per=MOMENT, at=at, kind="moment")


def gone(session: Session, user: str, at: datetime) -> None:
    """She does not follow any more: until she writes again nothing reaches her."""
    refresh(session, user, at)  # so that her last message does not count once more
    quota.exhaust(session, key(user), before=at)


def agreed(session: Session, user: str, template: str, at: datetime, *, accepted: bool) -> None:
    """She agreed to one notice of this template, or to none any more."""
    if accepted:
        quota.grant(session, notice_key(user, template), count=1, per=AGREED, at=at, kind="notice", add=True)
    else:
        quota.exhaust(session, notice_key(user, template), before=at)
