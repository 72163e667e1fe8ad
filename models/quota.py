"""How many messages a platform still takes: rate buckets, and ledgers of what a user's own message entitles to.

Both are rows of one table, so that any number of processes keep to one limit. Keys are plain strings, such as
`wechat_mp:openid:o-1` or `group_robot:duty`. A row is locked while it is changed.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, Session, SQLModel, col

from models.insert import insert_new

SLOTS = 12  # of a bucket's span: what is counted too much is a twelfth of it, so no window ever holds more than allowed
MESSAGE = "message"  # the grant of a user's own message


class Quota(SQLModel, table=True):
    """One bucket or ledger. `state`: slot number → count, or kind of grant → [left, until, granted at] (unix seconds).
    `until`: from then on the row says nothing any more."""

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True, max_length=200)
    state: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)
    until: datetime = Field(index=True)


def take(session: Session, key: str, *, limit: int, per: timedelta, now: datetime) -> bool:
    """One of `limit` in any span of length `per`; False when they are used up, and nothing is counted then."""
    return take_all(session, {key: (limit, per)}, now)


def take_all(session: Session, buckets: Mapping[str, tuple[int, timedelta]], now: datetime) -> bool:
    """The same of several buckets (key: limit, span): one of each, or none of any."""
    # Locked in one order, so that no two wait for each other.
    rows = [(_locked(session, key, now + per), limit, per) for key, (limit, per) in sorted(buckets.items())]
    counted = [(row, per, *_slots(row, per, now)) for row, _, per in rows]
    if any(sum(slots.values()) >= limit for (_, limit, _), (*_, slots) in zip(rows, counted, strict=True)):
        return False
    for row, per, slot, slots in counted:
        row.state = slots | {str(slot): slots.get(str(slot), 0) + 1}
        row.until = now + 2 * per
        session.add(row)
    session.flush()
    return True


def free_at(session: Session, key: str, *, limit: int, per: timedelta, now: datetime) -> datetime:
    """When `take` can succeed again, if nobody else takes meanwhile; `now` when it can at once."""
    row = _find(session, key)
    if row is None:
        return now
    _, slots = _slots(row, per, now)
    over = sum(slots.values()) - limit + 1
    for number in sorted(map(int, slots)):
        if over <= 0:
            break
        over -= slots[str(number)]
        opens = datetime.fromtimestamp((number + SLOTS + 1) * _width(per), UTC)
        if over <= 0:
            return max(now, opens)
    return now


def grant(
    session: Session, key: str, *, count: int, per: timedelta, at: datetime, kind: str = MESSAGE, add: bool = False
) -> None:
    """What happened at `at` entitles to `count` messages until `at + per`.

    Said again for the same `at` or an earlier one it changes nothing, so it may be repeated. A later one of the same
    kind takes the place of what was left; with `add` it comes on top (agreements to a subscription notice).
    """
    row = _locked(session, key, at + per)
    left, until, before = row.state.get(kind, (0, 0.0, float("-inf")))
    if at.timestamp() <= before:
        return
    total = count + left if add and until > at.timestamp() else count
    row.state = row.state | {kind: [total, (at + per).timestamp(), at.timestamp()]}
    row.until = max(row.until, at + per)
    session.add(row)
    session.flush()


def spend(session: Session, key: str, now: datetime) -> str:
    """Use one up: of the grant that ends first. Returns its kind, for `refund`; "" when nothing is left."""
    row = _find(session, key, lock=True)
    if row is None:
        return ""
    ends = sorted((until, kind) for kind, (left, until, _) in row.state.items() if left > 0 and until > now.timestamp())
    if not ends:
        return ""
    _change(session, row, ends[0][1], -1)
    return ends[0][1]


def refund(session: Session, key: str, kind: str) -> None:
    """The message certainly did not leave: it counts again."""
    row = _find(session, key, lock=True)
    if row is not None and kind in row.state:
        _change(session, row, kind, +1)


def exhaust(session: Session, key: str, before: datetime) -> None:
    """The platform says that nothing is left, whatever we counted. before: when that was so. What she has done since
    entitles to messages that the platform has not spoken of."""
    row = _find(session, key, lock=True)
    if row is not None:
        then = before.timestamp()
        row.state = {kind: [left if at > then else 0, until, at] for kind, (left, until, at) in row.state.items()}
        session.add(row)
        session.flush()


def left(session: Session, key: str, now: datetime) -> int:
    """How many messages may still leave."""
    row = _find(session, key)
    grants = row.state.values() if row is not None else ()
    return sum(left for left, until, _ in grants if until > now.timestamp())


def granted(session: Session, keys: Collection[str], now: datetime, kind: str = MESSAGE) -> list[tuple[str, int]]:
    """Of these keys the ones that were granted something of this kind, the latest first, each with what is left."""
    rows = session.scalars(sa.select(Quota).where(col(Quota.key).in_(keys))).all()
    found = [(row.key, *row.state[kind]) for row in rows if kind in row.state]
    found.sort(key=lambda one: one[3], reverse=True)
    return [(key, left if until > now.timestamp() else 0) for key, left, until, _ in found]


def known(session: Session, key: str) -> bool:
    """Whether anything was ever granted or taken under this key."""
    return _find(session, key) is not None


def forget(session: Session, before: datetime, limit: int) -> int:
    """Remove rows that say nothing any more since `before`; returns how many. For the retention."""
    ids = session.scalars(sa.select(col(Quota.id)).where(col(Quota.until) < before).limit(limit)).all()
    session.connection().execute(sa.delete(Quota).where(col(Quota.id).in_(ids)))
    return len(ids)


def _find(session: Session, key: str, *, lock: bool = False) -> Quota | None:
    one = sa.select(Quota).where(col(Quota.key) == key).execution_options(populate_existing=True)
    return session.scalars(one.with_for_update() if lock else one).first()


def _locked(session: Session, key: str, until: datetime) -> Quota:
    """The row, made if need be; nobody else changes it before this transaction ends."""
    insert_new(session, Quota, [{"key": key, "state": {}, "until": until}], ["key"])
    row = _find(session, key, lock=True)
    if row is None:
        raise LookupError("a quota was removed in the moment it was made")
    return row


def _change(session: Session, row: Quota, kind: str, by: int) -> None:
    left, until, at = row.state[kind]
    row.state = row.state | {kind: [max(0, left + by), until, at]}
    session.add(row)
    session.flush()


def _width(per: timedelta) -> float:
    return per.total_seconds() / SLOTS


def _slots(row: Quota, per: timedelta, now: datetime) -> tuple[int, dict[str, int]]:
    """The slot of `now`, and the slots that a window ending now touches."""
    slot = int(now.timestamp() // _width(per))
    return slot, {number: count for number, count in row.state.items() if int(number) >= slot - SLOTS}
