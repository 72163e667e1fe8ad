"""Nicknames: which words are proposed, and what confirming does to all who read the town."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from bot.towns import bring_in
from config.settings import DEMO_TOWN
from handlers.aliases import confirm, guesses, propose, refuse
from handlers.desk import Desk
from handlers.town import Town, load
from handlers.workdays import WorkCalendar
from models import mark
from models.alias import AliasProposal, AliasState, waiting, with_learned
from models.correction import Correction, CorrectionKind
from models.database import Database
from models.grid import Place
from tests.conftest import HandClock

CALENDAR = WorkCalendar(ZoneInfo("Asia/Shanghai"))


def desk(session: Session, clock: HandClock) -> Desk:
    return Desk(session, load(session), clock(), CALENDAR, "test")


def propose_it(session: Session, clock: HandClock, text: str, right: str, wrong: str | None = None) -> list[str]:
    correction = Correction(at=clock(), by="C01", kind=CorrectionKind.PLACE)
    session.add(correction)
    session.flush()
    return propose(desk(session, clock), correction, [text], wrong=wrong, right=right)


@pytest.mark.parametrize(
    ("text", "wrong", "found"),
    [
        ("老槐树旁边的路灯不亮", None, ["老槐树"]),
        ("我们那的铁皮棚那里积水了", None, ["铁皮棚"]),
        ("就在红房子门口 有人堆垃圾", None, ["红房子"]),
        ("老槐树旁边 老槐树那边", None, ["老槐树"]),
        ("南门旁边的路灯不亮", None, []),  # the gazetteer knows it
        ("3幢门口的路灯不亮", None, []),  # a building by its number
        ("我家门口的路灯不亮", None, []),
        ("2单元门口 301门口", None, []),
        ("电梯门口有水", None, []),  # stands everywhere
        ("路灯不亮了", None, []),
        ("圆盘的灯不亮", "P-LA-SQ", ["圆盘"]),  # a nickname that named the wrong place
        ("柳岸花园圆盘广场的灯不亮", "P-LA-SQ", []),  # its own name: said wrongly, and no nickname
    ],
)
def test_what_may_be_a_name(
    shared_town: Town, clock: HandClock, text: str, wrong: str | None, found: list[str]
) -> None:
    reader = Desk(Session(), shared_town, clock(), CALENDAR, "test")
    assert list(dict.fromkeys(guesses(reader, text, wrong, "P-LA-B03"))) == found


@pytest.mark.parametrize(
    ("text", "places", "found"),
    [
        ("铁皮仓库积水了", ["铁皮仓库"], ["铁皮仓库"]),
        ("在老供销社拐角 灯不亮", ["老供销社拐角"], ["老供销社拐角"]),
        ("铁皮仓库门口积水", ["铁皮仓库门口"], ["铁皮仓库"]),
        ("路灯不亮", ["铁皮仓库"], []),  # not of this message
        ("车棚积水", ["车棚"], []),  # every estate has one
        ("二楼到三楼没灯", ["二楼到三楼"], []),
        ("圆盘广场积水", ["圆盘广场"], []),  # the gazetteer knows it
    ],
)
def test_what_looks_like_a_place_may_be_a_name(
    shared_town: Town, clock: HandClock, text: str, places: list[str], found: list[str]
) -> None:
    reader = Desk(Session(), shared_town, clock(), CALENDAR, "test")
    assert list(dict.fromkeys(guesses(reader, text, None, "P-LA-B03", places))) == found


def test_confirmed_names_are_read_by_everybody_and_kept_by_an_import(
    town_db: Database, clock: HandClock
) -> None:  # fmt: skip
    before = town_db.tx(lambda session: mark.value(session, mark.TOWN))
    assert town_db.tx(lambda session: propose_it(session, clock, "老槐树旁边的路灯不亮", "P-LA-SQ")) == ["老槐树"]
    clock.set(clock() + timedelta(hours=1))

    def say_yes(session: Session) -> None:
        (row,) = waiting(session)
        confirm(desk(session, clock), row, "C01")

    town_db.tx(say_yes)
    assert town_db.tx(lambda session: mark.value(session, mark.TOWN)) == before + 1
    (span,) = town_db.tx(load).names.find("老槐树旁边的路灯不亮")
    assert span.codes == ("P-LA-SQ",)
    row = town_db.tx(lambda session: session.scalars(sa.select(AliasProposal)).one())
    assert (row.state, row.by, row.decided_at) == (AliasState.CONFIRMED, "C01", clock())
    # It names something now, and is not proposed again.
    assert town_db.tx(lambda session: propose_it(session, clock, "老槐树旁边的路灯不亮", "P-LA-SQ")) == []

    summary = bring_in(town_db, DEMO_TOWN)
    assert summary.tables["place"].changed == 0
    aliases = town_db.tx(lambda s: s.scalars(sa.select(Place.aliases).where(Place.code == "P-LA-SQ")).one())  # type: ignore[call-overload]
    assert aliases == "圆盘|小广场|大圆盘|老槐树"


def test_refused_stays_refused(town_db: Database, clock: HandClock) -> None:
    for _ in range(2):
        town_db.tx(lambda session: propose_it(session, clock, "老槐树旁边的路灯不亮", "P-LA-SQ"))
    (row,) = town_db.tx(lambda session: list(waiting(session)))
    assert (row.seen, len(row.corrections)) == (2, 2)
    town_db.tx(lambda session: refuse(desk(session, clock), session.get_one(AliasProposal, row.id), "C01"))
    town_db.tx(lambda session: propose_it(session, clock, "老槐树旁边的路灯不亮", "P-LA-SQ"))
    assert town_db.tx(lambda session: list(waiting(session))) == []
    assert town_db.tx(load).names.find("老槐树") == []


def test_an_alias_is_added_once() -> None:
    assert with_learned("", ["老槐树"]) == "老槐树"
    assert with_learned("圆盘|小广场", ["小广场", "老槐树"]) == "圆盘|小广场|老槐树"
