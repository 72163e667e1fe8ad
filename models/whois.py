"""Who writes under which user ids: one person on several channels. Asked for every batch of messages, so that a link or
its undoing counts for the very next one."""

import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col

from models import mark
from models.chat import Chat, ChatKind
from models.person import Duty, Identity, Link, NoSuchPerson, Origin, Person, get
from models.privacy import Linkage, Notice
from models.ticket import OPEN, Supporter, Ticket

Address = tuple[str, str]  # channel, user id
_MOST = 16  # people merged one into the other


class BadLink(Exception):
    """Two cannot be made one person, or one two, like this; the message says why."""


@dataclass(frozen=True, slots=True)
class Who:
    """A sender. person: None when nobody knows her. addresses: all her user ids, the one she writes under first."""

    person: Person | None
    addresses: tuple[Address, ...]


def hers(
    channel: Mapped[str], user: Mapped[str], addresses: Collection[Address] | None = None
) -> ColumnElement[bool]:  # fmt: skip
    """A condition: these two columns are one of the user ids. By lists, because for pairs SQLite walks the whole table;
    then exactly, because a user id of one channel may be somebody else's on another.

    addresses: None for a statement that is built once and gets the values of `named`.
    """
    if addresses is not None:
        told = named(addresses)
        channels, users, keys = told["channels"], told["users"], told["keys"]
        return sa.and_(channel.in_(channels), user.in_(users), (channel + ":" + user).in_(keys))
    return sa.and_(
        channel.in_(sa.bindparam("channels", expanding=True)),
        user.in_(sa.bindparam("users", expanding=True)),
        (channel + ":" + user).in_(sa.bindparam("keys", expanding=True)),
    )


def named(addresses: Collection[Address]) -> dict[str, list[str]]:
    """User ids as the parameters of `hers`. A channel's name holds no colon."""
    return {
        "channels": sorted({channel for channel, _ in addresses}),
        "users": sorted({user for _, user in addresses}),
        "keys": [f"{channel}:{user}" for channel, user in addresses],
    }


# Built once: putting a statement together costs more than running it. In two steps, because joined to itself the table
# is walked as a whole, too.
_KNOWN = sa.select(col(Identity.channel), col(Identity.user), col(Identity.person)).where(
    hers(col(Identity.channel), col(Identity.user))
)
_THEIRS = (
    sa.select(col(Identity.person), col(Identity.channel), col(Identity.user))
    .where(col(Identity.person).in_(sa.bindparam("people", expanding=True)))
    .order_by(col(Identity.id))
)


def who_are(
    session: Session, senders: Collection[Address], register: Mapping[str, Person] | None = None
) -> dict[Address, Who]:  # fmt: skip
    """Everybody of `senders`, known or not. register: people that are in memory already, by code."""
    owners = {(channel, user): person for channel, user, person in session.execute(_KNOWN, named(senders))}
    theirs: dict[str, list[Address]] = {}
    people: dict[str, Person] = {}
    if codes := sorted(set(owners.values())):
        for code, channel, user in session.execute(_THEIRS, {"people": codes}):
            theirs.setdefault(code, []).append((channel, user))
        people = {code: register[code] for code in codes if code in register} if register else {}
        if missing := [code for code in codes if code not in people]:
            rows = session.scalars(sa.select(Person).where(col(Person.code).in_(missing)))
            people |= {person.code: person for person in rows}
    found: dict[Address, Who] = {}
    for one in senders:
        code = owners.get(one, "")
        others = (other for other in theirs.get(code, ()) if other != one)
        found[one] = Who(people.get(code), (one, *others))
    return found


def addresses(session: Session, person: str) -> list[Address]:
    """Where a person can be written to, in the order in which that was learned."""
    rows = sa.select(col(Identity.channel), col(Identity.user)).where(col(Identity.person) == person)
    return [(channel, user) for channel, user in session.execute(rows.order_by(col(Identity.id)))]


def owner(session: Session, channel: str, user: str) -> Identity | None:
    """Whose user id that is; None: nobody's that we know."""
    mine = sa.select(Identity).where(col(Identity.channel) == channel, col(Identity.user) == user)
    return session.scalars(mine).first()


def enrol(session: Session, now: datetime, *, home: str | None = None, grid: str | None = None) -> Person:
    """Somebody whom the register does not know makes herself known. She has no name and no duty."""
    person = Person(code=f"R-{secrets.token_hex(8)}", name="", origin=Origin.SELF, home=home, grid=grid)
    session.add(person)
    session.flush()
    _record(session, now, Link.SCENE if home or grid else Link.CODE, "enrolled", person.code)
    return person


def link(session: Session, person: str, address: Address, how: Link, by: str, now: datetime) -> None:
    """A user id is this person's. Raises NoSuchPerson; BadLink when it is somebody else's."""
    found = current(session, person)
    known = owner(session, *address)
    if known is not None and known.person == found.code:
        return
    if known is not None:
        raise BadLink(f"this user id on {address[0]} is {known.person}'s: merge the two, or split it off first.")
    session.add(Identity(person=found.code, channel=address[0], user=address[1], how=how, since=now))
    session.flush()
    _settle(session, [address], found.code)
    _record(session, now, by, "linked", found.code, channel=address[0])
    told(session, [found])


def current(session: Session, code: str) -> Person:
    """The person of this code, or who she was merged into. Raises NoSuchPerson, also for one whose data are erased."""
    person = get(session, code)
    for _ in range(_MOST):
        if person.merged_into is None:
            break
        person = get(session, person.merged_into)
    if person.erased_at is not None:
        raise NoSuchPerson(f'"{code}" had her data deleted.')
    return person


def merge(session: Session, gone: str, kept: str, how: Link, by: str, now: datetime) -> Person:
    """Two are one person: `kept` takes over user ids, tickets, ratings, home, duties and chats. Returns her.

    The row of `gone` stays with its name and home, so that a wrong merge can be undone. Raises NoSuchPerson, BadLink.
    """
    one, two = current(session, gone), current(session, kept)
    if one.code == two.code:
        raise BadLink(f"{gone} and {kept} are one person already.")
    moved = addresses(session, one.code)
    run = session.connection().execute
    run(sa.update(Identity).where(col(Identity.person) == one.code).values(person=two.code, how=how, since=now))
    _settle(session, moved, two.code)
    run(sa.update(Ticket).where(col(Ticket.worker) == one.code, col(Ticket.status).in_(OPEN)).values(
        worker=two.code, version=col(Ticket.version) + 1))  # fmt: skip
    run(sa.update(Chat).where(col(Chat.person) == one.code).values(person=two.code))
    run(sa.update(Person).where(col(Person.deputy) == one.code).values(deputy=two.code))
    for duty in session.scalars(sa.select(Duty).where(col(Duty.person) == one.code)).all():
        same = sa.select(col(Duty.id)).where(
            col(Duty.person) == two.code, col(Duty.role) == duty.role, col(Duty.grid) == duty.grid,
            col(Duty.department) == duty.department,
        )  # fmt: skip
        if session.scalars(same).first() is None:
            duty.person = two.code
            session.add(duty)
        else:
            session.delete(duty)
    two.home, two.grid = two.home or one.home, two.grid or one.grid
    two.name = two.name or one.name
    if two.deputy == two.code:
        two.deputy = None
    if one.origin == Origin.REGISTER:
        two.origin = Origin.REGISTER
    one.merged_into = two.code
    session.add_all([one, two])
    session.flush()
    _record(session, now, by, "merged", two.code, other=one.code)
    told(session, [one, two])
    return two


def split(session: Session, code: str, taken: Iterable[Address], by: str, now: datetime, to: str | None = None) -> str:
    """These user ids are not this person's: they are those of `to`, or of somebody unknown. Returns her code, or "".

    What was told under them goes with them: everything a ticket keeps of somebody stands under her user id. to: a code;
    one that was merged into this person is a person of her own again. Raises NoSuchPerson, BadLink.
    """
    person = current(session, code)
    taken = list(taken)
    mine = addresses(session, person.code)
    if strange := [channel for channel, user in taken if (channel, user) not in mine]:
        raise BadLink(f"{person.code} has no such user id on {', '.join(strange)}.")
    other = None
    if to is not None:
        other = get(session, to)
        if other.merged_into == person.code:
            other.merged_into = None
        elif current(session, to).code == person.code:
            raise BadLink(f"{to} is {person.code}.")
        session.add(other)
    for channel, user in taken:
        row = owner(session, channel, user)
        if row is not None and other is not None:
            row.person, row.how, row.since = other.code, Link.STAFF, now
            session.add(row)
        elif row is not None:
            session.delete(row)
        private = sa.and_(
            col(Chat.channel) == channel, col(Chat.kind) == ChatKind.DIRECT, col(Chat.code).in_([user, f"d-{user}"])
        )
        session.connection().execute(sa.update(Chat).where(private).values(person=other.code if other else None))
    session.flush()
    _settle(session, taken, other.code if other else None)
    for channel, _ in taken:
        _record(session, now, by, "split", person.code, other=other.code if other else "", channel=channel)
    told(session, [person])
    return other.code if other else ""


def _settle(session: Session, taken: Collection[Address], person: str | None) -> None:
    """What names the person beside her user id follows."""
    for table, user in ((Supporter, col(Supporter.sender)), (Notice, col(Notice.user))):
        mine = hers(col(table.channel), user, taken)
        session.connection().execute(sa.update(table).where(mine).values(person=person))


def _record(
    session: Session, now: datetime, by: str, what: str, person: str, *, other: str = "", channel: str = ""
) -> None:
    session.add(Linkage(at=now, by=by, what=what, person=person, other=other, channel=channel))


def told(session: Session, people: Iterable[Person]) -> None:
    """Workers keep the register in memory: they read it anew when it changes. Who came by herself is not in it."""
    if any(person.origin == Origin.REGISTER for person in people):
        mark.bump(session, mark.TOWN)
