"""Write a town pack into the database: by code, all in the caller's transaction, one select and a few bulk
statements a table.

Routes and duties are the pack's alone: what it no longer names is removed, so that nobody is alerted for a grid she
left. Grids, places, people, identities and chats stay, because tickets and residents' registrations refer to them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from models.alias import confirmed, with_learned
from models.person import Link
from models.tables import metadata
from models.townpack import Pack, PersonRow

# In the order of writing: each after those it refers to.
TABLES = ("grid", "place", "person", "duty", "identity", "chat", "route")
Values = tuple[Any, ...]


@dataclass
class Count:
    """Rows of one table. kept: in the database, no longer in the pack, and left alone."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    kept: int = 0


@dataclass
class Summary:
    """What an import did, by table name."""

    tables: dict[str, Count] = field(default_factory=dict)


def rows_table(summary: Summary) -> list[tuple[str, int, int, int, int, int]]:
    """Lines to show: table, added, changed, unchanged, removed, kept."""
    return [
        (name, count.added, count.changed, count.unchanged, count.removed, count.kept)
        for name, count in summary.tables.items()
    ]


def import_pack(session: Session, pack: Pack) -> Summary:
    """Make the tables say what the pack says.

    A person's `away_until` and `deputy` belong to the running service and are not touched, and so do the nicknames that
    staff confirmed: a place has those of the pack and these. Who was merged into another person stays her: the pack's
    duties and user ids of the one are the other's. Who had her data deleted stays out, and what staff or a one-time
    code said of a user id stands. A pack without boundaries
    leaves those in the database as they are; one that has some decides about all of its grids.
    Raises sqlalchemy.exc.IntegrityError if the pack was not checked by `read_pack`.
    """
    session.flush()
    town = _Import(session)
    town.write("grid", ("code",), _grids(session, pack))
    town.write("place", ("code",), _places(session, pack))
    now, settled = _people_now(session), _settled(session)
    people = [row for row in pack.people if now.get(row.code, row.code) is not None]
    town.write("person", ("code",), [{"code": row.code, "name": row.name, "home": row.home} for row in people])
    town.write("duty", ("person", "role", "grid", "department"), _duties(people, now), remove=True)
    found = [row for row in _identities(people, now) if (row["channel"], row["user"]) not in settled]
    town.write("identity", ("channel", "user"), found)
    chats = [row for row in pack.chats if now.get(row.person or "", row.person) is not None or row.person is None]
    rows = [vars(row) | {"person": now.get(row.person or "", row.person)} for row in chats]
    town.write("chat", ("channel", "code"), rows)
    town.write("route", ("category", "grid"), [vars(row) for row in pack.routes], remove=True)
    session.expire_all()  # objects that the caller holds would not know
    return town.summary


def _grids(session: Session, pack: Pack) -> list[dict[str, Any]]:
    boundaries: Mapping[str, str] = pack.boundaries
    if not boundaries:
        grid = metadata.tables["grid"]
        boundaries = {row.code: row.boundary for row in session.execute(sa.select(grid.c.code, grid.c.boundary))}
    return [vars(row) | {"boundary": boundaries.get(row.code, "")} for row in pack.grids]


def _places(session: Session, pack: Pack) -> list[dict[str, Any]]:
    learned = confirmed(session)
    return [vars(row) | {"aliases": with_learned(row.aliases, learned.get(row.code, ()))} for row in pack.places]


def _people_now(session: Session) -> dict[str, str | None]:
    """Code to the code of who she turned out to be, or None for who had her data deleted; only those."""
    person = metadata.tables["person"]
    changed = sa.select(person.c.code, person.c.merged_into, person.c.erased_at).where(
        person.c.merged_into.is_not(None) | person.c.erased_at.is_not(None)
    )
    found = {code: (into, erased) for code, into, erased in session.execute(changed)}
    now: dict[str, str | None] = {}
    for first in found:
        code: str | None = first
        while code in found:
            into, erased = found[code]
            code = None if erased else into
        now[first] = code
    return now


def _settled(session: Session) -> set[tuple[str, str]]:
    """User ids of which somebody said whose they are."""
    identity = metadata.tables["identity"]
    said = sa.select(identity.c.channel, identity.c.user).where(identity.c.how != Link.PACK)
    return {(channel, user) for channel, user in session.execute(said)}


def _duties(people: Sequence[PersonRow], now: Mapping[str, str | None]) -> list[dict[str, Any]]:
    rows = {
        (now.get(person.code) or person.code, role, grid, department): None
        for person in people
        for role, grid, department in person.duties
    }
    return [dict(zip(("person", "role", "grid", "department"), row, strict=True)) for row in rows]


def _identities(people: Sequence[PersonRow], now: Mapping[str, str | None]) -> list[dict[str, Any]]:
    return [
        {"person": now.get(person.code) or person.code, "channel": channel, "user": user}
        for person in people
        for channel, user in person.identities
    ]


class _Import:
    """Compares and writes one table after the other."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.summary = Summary()

    def write(self, name: str, key: tuple[str, ...], rows: list[dict[str, Any]], *, remove: bool = False) -> None:
        """Insert, update and, with `remove`, delete until the table `name` holds `rows`.

        key: the columns that tell which row is which; all rows have the same columns, in any order.
        """
        table = metadata.tables[name]
        count = self.summary.tables.setdefault(name, Count())
        stale = self._there(table, key, rows)
        new, differing = [], []
        columns = tuple(rows[0]) if rows else ()
        for row in rows:
            there = stale.pop(tuple(row[column] for column in key), None)
            if there is None:
                new.append(row)
            elif there[1] != tuple(row[column] for column in columns):
                differing.append({c: row[c] for c in columns if c not in key} | {"row_id": there[0]})
            else:
                count.unchanged += 1
        count.added, count.changed = len(new), len(differing)
        if remove:
            count.removed = len(stale)
            self._run(sa.delete(table).where(table.c.id == sa.bindparam("row_id")), _ids(stale.values()))
        else:
            count.kept = len(stale)
        self._run(sa.insert(table), new)
        self._run(sa.update(table).where(table.c.id == sa.bindparam("row_id")), differing)

    def _there(
        self, table: sa.Table, key: tuple[str, ...], rows: list[dict[str, Any]]
    ) -> dict[Values, tuple[int, Values]]:
        """What the table holds: key values to id and the values of the rows' columns."""
        columns = tuple(rows[0]) if rows else key
        at = [columns.index(column) for column in key]
        found = self.session.execute(sa.select(table.c.id, *(table.c[column] for column in columns)))
        return {tuple(values[place] for place in at): (number, tuple(values)) for number, *values in found}

    def _run(self, statement: sa.Executable, rows: list[dict[str, Any]]) -> None:
        if rows:
            self.session.execute(statement, rows)


def _ids(rows: Iterable[tuple[int, Values]]) -> list[dict[str, Any]]:
    return [{"row_id": number} for number, _ in rows]
