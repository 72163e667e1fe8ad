"""What a customer may still be sent: five messages within 48 hours of each of hers, on each account (企业微信 94677).

Kept in `models.quota`, granted in the transaction that keeps her message.
"""

import hashlib
from collections.abc import Collection
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.channels.wecom_kf.letters import NAME
from models import quota

FIVE, WINDOW = 5, timedelta(hours=48)


def key(account: str, user: str) -> str:
    """Of one customer on one account. Whose data are deleted leaves no name in it."""
    return f"{NAME}:{account}:{hashlib.sha256(user.encode()).hexdigest()[:32]}"


def heard(session: Session, account: str, user: str, at: datetime) -> None:
    """She wrote: whatever was left, it is five again. Told again, or of an earlier message, it changes nothing."""
    quota.grant(session, key(account, user), count=FIVE, per=WINDOW, at=at)


def left(session: Session, account: str, user: str, now: datetime) -> int | None:
    """How many may leave now; None when we know of nothing, and the platform says when it is enough."""
    name = key(account, user)
    return quota.left(session, name, now) if quota.known(session, name) else None


def open_account(session: Session, accounts: Collection[str], user: str, now: datetime) -> str:
    """Of these accounts the one that she wrote to last, of those on which something is left if there are any; "" where
    we know of nothing she wrote."""
    names = {key(account, user): account for account in accounts}
    wrote = quota.granted(session, list(names), now)
    return next((names[name] for name, left in wrote if left), names[wrote[0][0]] if wrote else "")
