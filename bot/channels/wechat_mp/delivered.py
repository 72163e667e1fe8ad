"""What became of a notice that the platform took: it says so later, by an id that not every kind of notice gets before.

Platform pages: 模板消息 (TEMPLATESENDJOBFINISH), 订阅通知 (subscribe_msg_sent_event). bizsend answers without an id, so
what it sent is known by its template first: the platform tells of them in the order in which they left.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from bot.channels.wechat_mp.events import Delivery
from bot.channels.wechat_mp.letters import NAME
from models import outbox
from models.message import Purpose
from models.outbox import SENT, TOLD, Outbox

LATELY = timedelta(hours=1)  # what is older was told of long ago, and that got lost


def unnamed(template: str) -> str:
    """Stands for the id of a subscription notice until the platform tells it."""
    return f"template:{template}"[:128]


def settle(session: Session, user: str, told: Delivery, now: datetime) -> bool:
    """An alert whose notice did not arrive is given up by the sender, who tells somebody else; a reply waits for her
    next word. Told again, it changes nothing. False when the platform was faster than our own note of what it was
    given: come again."""
    if not told.message:
        return True  # texts have no id: an empty one must not be taken for theirs
    hers = sa.select(Outbox).where(col(Outbox.conversation) == f"{NAME}:{user}")
    row = session.scalars(hers.where(col(Outbox.platform_id) == told.message).limit(1)).first()
    if row is None and told.template:
        sent = sa.and_(col(Outbox.outcome) == SENT, col(Outbox.finished_at) > now - LATELY)
        stands = sa.and_(col(Outbox.notice) == TOLD, col(Outbox.finished_at).is_(None))  # the words wait behind it
        unknown = hers.where(col(Outbox.platform_id) == unnamed(told.template), sa.or_(sent, stands))
        lately = unknown.order_by(col(Outbox.id))
        row = session.scalars(lately.limit(1)).first()
    if row is None:
        leaving = hers.where(col(Outbox.finished_at).is_(None), col(Outbox.lease).is_not(None))
        return session.scalars(leaving.limit(1)).first() is None
    named = sa.update(Outbox).where(col(Outbox.id) == row.id)
    session.connection().execute(named.values(platform_id=told.message))
    if told.failed:
        lost = outbox.lost if outbox.read(row).purpose == Purpose.ALERT else outbox.untold
        lost(session, row.id or 0, f"notice {told.failed}", now)
    return True
