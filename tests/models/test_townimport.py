"""A pack goes into the database once; coming again it changes what differs, and only that."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

from models.base import metadata
from models.chat import Chat, ChatKind
from models.database import Database
from models.grid import Grid, Place, Route
from models.person import Duty, Identity, Person, Role
from models.townimport import TABLES, Summary, import_pack, rows_table
from models.townpack import ChatRow, GridRow, Pack, PersonRow, PlaceRow, RouteRow, read_pack

DEMO = Path(__file__).parents[2] / "config" / "demo"
SQUARE = '{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}'
PACK = Pack(
    grids=(GridRow("LJ", None, 1, "临江街道", "街道", 300), GridRow("LJ-01", "LJ", 2, "柳岸社区", "社区", 200)),
    places=(
        PlaceRow("P1", "花园", "", "estate", None, "LJ-01", None, None),
        PlaceRow("P2", "花园1幢", "1幢|一幢", "building", "P1", "LJ-01", 118.9, 28.9),
    ),
    people=(
        PersonRow("U1", "豆豆妈", "P2", ((Role.RESIDENT, "LJ-01", ""),), (("web", "u1"),)),
        PersonRow("W1", "小魏", None, ((Role.GRIDWORKER, "LJ-01", ""), (Role.LEADER, "LJ", "")), (("web", "w1"),)),
    ),
    chats=(
        ChatRow("web", "g1", ChatKind.GROUP, "LJ-01", "南区群", None),
        ChatRow("web", "d-u1", ChatKind.DIRECT, None, "豆豆妈", "U1"),
    ),
    routes=(RouteRow("facility", "LJ", "城建办"), RouteRow("city", "LJ", "城管")),
    boundaries={"LJ": SQUARE},
)


def put(db: Database, pack: Pack) -> dict[str, tuple[int, ...]]:
    summary: Summary = db.tx(lambda session: import_pack(session, pack))
    return {name: tuple(counts) for name, *counts in rows_table(summary)}


def one(db: Database, query: Any) -> Any:
    return db.tx(lambda session: session.exec(query).one())


def test_the_first_import_adds_all(db: Database) -> None:
    counts = put(db, PACK)
    assert tuple(counts) == TABLES == ("grid", "place", "person", "duty", "identity", "chat", "route")
    assert counts == dict.fromkeys(TABLES, (2, 0, 0, 0, 0)) | {"duty": (3, 0, 0, 0, 0)}
    grid, place = one(db, select(Grid).where(Grid.code == "LJ")), one(db, select(Place).where(Place.code == "P2"))
    assert (grid.boundary, grid.households, grid.parent) == (SQUARE, 300, None)
    assert (place.aliases, place.lon, place.lat, place.parent) == ("1幢|一幢", 118.9, 28.9, "P1")
    assert one(db, select(Duty).where(Duty.grid == "LJ")).role is Role.LEADER
    assert one(db, select(Chat).where(Chat.code == "d-u1")).person == "U1"


@pytest.mark.parametrize("pack", [PACK, read_pack(DEMO)], ids=["small", "demo"])
def test_the_second_import_finds_all_unchanged(db: Database, pack: Pack) -> None:
    first = put(db, pack)
    assert put(db, pack) == {name: (0, 0, counts[0], 0, 0) for name, counts in first.items()}


def test_what_differs_is_changed_in_its_row(db: Database) -> None:
    put(db, PACK)
    number = one(db, select(Place).where(Place.code == "P2")).id
    moved = replace(
        PACK,
        grids=(PACK.grids[0], replace(PACK.grids[1], name="新柳岸")),
        # The new estate is the parent of a building that was there before.
        places=(*PACK.places[:1], PlaceRow("P3", "新苑", "", "estate", None, "LJ", None, None),
                replace(PACK.places[1], parent="P3", lon=None, lat=None)),
        people=(replace(PACK.people[0], identities=()), replace(PACK.people[1], identities=(("web", "u1"),))),
        chats=(PACK.chats[0], replace(PACK.chats[1], person=None)),
        routes=(RouteRow("facility", "LJ", "物业"), PACK.routes[1]),
    )  # fmt: skip
    assert put(db, moved) == {
        "grid": (0, 1, 1, 0, 0), "place": (1, 1, 1, 0, 0), "person": (0, 0, 2, 0, 0), "duty": (0, 0, 3, 0, 0),
        "identity": (0, 1, 0, 0, 1), "chat": (0, 1, 1, 0, 0), "route": (0, 1, 1, 0, 0),
    }  # fmt: skip
    place = one(db, select(Place).where(Place.code == "P2"))
    assert (place.id, place.parent, place.lon) == (number, "P3", None)
    assert one(db, select(Identity).where(Identity.user == "u1")).person == "W1"
    assert one(db, select(Chat).where(Chat.code == "d-u1")).person is None
    assert one(db, select(Route).where(Route.category == "facility")).department == "物业"


def test_routes_and_duties_go_and_all_else_is_kept(db: Database) -> None:
    put(db, PACK)
    less = Pack(PACK.grids[:1], (), (replace(PACK.people[1], duties=PACK.people[1].duties[1:]),), (), PACK.routes[:1])
    assert put(db, less) == {
        "grid": (0, 0, 1, 0, 1), "place": (0, 0, 0, 0, 2), "person": (0, 0, 1, 0, 1), "duty": (0, 0, 1, 2, 0),
        "identity": (0, 0, 1, 0, 1), "chat": (0, 0, 0, 0, 2), "route": (0, 0, 1, 1, 0),
    }  # fmt: skip
    assert one(db, select(Duty)).role is Role.LEADER
    assert one(db, select(Route)).category == "facility"


def test_a_person_who_is_away_stays_away(db: Database) -> None:
    put(db, PACK)

    def leave(session: Session) -> None:
        session.exec(select(Person).where(Person.code == "W1")).one().deputy = "U1"

    db.tx(leave)
    assert put(db, replace(PACK, people=(PACK.people[0], replace(PACK.people[1], name="魏姐"))))["person"][1] == 1
    worker = one(db, select(Person).where(Person.code == "W1"))
    assert (worker.name, worker.deputy) == ("魏姐", "U1")


def test_boundaries_stay_when_the_pack_has_none_at_all(db: Database) -> None:
    put(db, PACK)
    assert put(db, replace(PACK, boundaries={}))["grid"] == (0, 0, 2, 0, 0)
    assert put(db, replace(PACK, boundaries={"LJ-01": SQUARE}))["grid"] == (0, 2, 0, 0, 0)
    assert one(db, select(Grid).where(Grid.code == "LJ")).boundary == ""


def test_objects_of_the_caller_see_the_import(db: Database) -> None:
    put(db, PACK)

    def rename(session: Session) -> str:
        grid = session.exec(select(Grid).where(Grid.code == "LJ")).one()
        import_pack(session, replace(PACK, grids=(replace(PACK.grids[0], name="江东"), PACK.grids[1])))
        return grid.name

    assert db.tx(rename) == "江东"


def test_an_import_that_fails_writes_nothing(db: Database) -> None:
    unknown = replace(PACK, routes=(RouteRow("city", "XX", "城管"),))
    with pytest.raises(IntegrityError):
        put(db, unknown)
    rows = db.tx(lambda session: [session.execute(sa.select(metadata.tables[name])).all() for name in TABLES])
    assert rows == [[]] * len(TABLES)


def test_a_whole_district_takes_seconds(db: Database) -> None:
    """9,500 grids, 20,000 places, 20,000 people; the limit is for a busy machine."""
    micro = [f"Q-{number // 100:02}-{number % 100:02}" for number in range(9_400)]
    grids = [GridRow("Q", None, 1, "区", "区", 0)]
    grids += [GridRow(f"Q-{number:02}", "Q", 2, "社区", "社区", 0) for number in range(94)]
    grids += [GridRow(code, code[:4], 3, "微网格", "楼宇", 60) for code in micro]
    district = Pack(
        tuple(grids),
        tuple(PlaceRow(f"P{n}", f"{n}幢", "", "building", None, micro[n % 9_400], 118.1, 28.2) for n in range(20_000)),
        tuple(
            PersonRow(f"U{n}", f"居民{n}", f"P{n}", ((Role.RESIDENT, micro[n % 9_400], ""),), (("web", f"u{n}"),))
            for n in range(20_000)
        ),
        (),
        (),
    )
    started = time.perf_counter()
    assert put(db, district)["duty"] == (20_000, 0, 0, 0, 0)
    assert put(db, district)["identity"] == (0, 0, 20_000, 0, 0)
    renamed = replace(district, people=tuple(replace(person, name="新名") for person in district.people))
    assert put(db, renamed)["person"] == (0, 20_000, 0, 0, 0)
    assert time.perf_counter() - started < 60
