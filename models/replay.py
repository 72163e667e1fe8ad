"""Which callback nonce carried which message: what a replay is known by, in all processes of a deployment."""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, Session, SQLModel, col


class Replay(SQLModel, table=True):
    """`pair`: hash of channel, timestamp and nonce. `message`: hash of the message that came under it."""

    pair: str = Field(primary_key=True, max_length=32)
    message: str = Field(max_length=32)
    at: datetime = Field(index=True)


def remember(session: Session, pairs: Mapping[str, str], since: datetime, now: datetime) -> dict[str, str]:
    """Keep pairs that are new. Returns those kept already after `since`, with the message that each belongs to."""
    build = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    # Sorted, so that two processes with the same pairs wait for each other in one order.
    rows = [{"pair": pair, "message": pairs[pair], "at": now} for pair in sorted(pairs)]
    statement = build(Replay).on_conflict_do_nothing(index_elements=["pair"]).returning(col(Replay.pair))
    new = set(session.connection().execute(statement, rows).scalars())
    old = [pair for pair in pairs if pair not in new]
    if not old:
        return {}
    found = sa.select(col(Replay.pair), col(Replay.message)).where(col(Replay.pair).in_(old), col(Replay.at) >= since)
    return {row.pair: row.message for row in session.connection().execute(found)}


def forget(session: Session, before: datetime, limit: int) -> int:
    """Remove what was kept before that moment; returns how many."""
    old = session.scalars(sa.select(col(Replay.pair)).where(col(Replay.at) < before).limit(limit)).all()
    session.connection().execute(sa.delete(Replay).where(col(Replay.pair).in_(old)))
    return len(old)
