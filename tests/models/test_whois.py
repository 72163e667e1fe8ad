"""One person with several user ids: links, merges that carry everything over, and their undoing."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from handlers.town import Town, load
from models import whois
from models.chat import Chat
from models.database import Database
from models.mark import TOWN, value
from models.person import Duty, Identity, Link, NoSuchPerson, Origin, Person, Role, get
from models.privacy import Linkage
from models.ticket import Status, Supporter
from models.townimport import import_pack
from models.townpack import Pack
from models.whois import BadLink
from tests.conftest import HandClock
from tests.models.letters import open_ticket

WECHAT = ("wechat_mp", "o-1")


def of(db: Database, code: str) -> list[tuple[str, str]]:
    return db.tx(lambda session: whois.addresses(session, code))


def one(db: Database, code: str) -> Person:
    return db.tx(lambda session: get(session, code))


def test_senders_are_found_with_all_their_user_ids(town_db: Database, clock: HandClock) -> None:
    def work(session: Session) -> dict[whois.Address, whois.Who]:
        whois.link(session, "U05", WECHAT, Link.STAFF, "C01", clock())
        return whois.who_are(session, [WECHAT, ("web", "u05"), ("web", "nobody"), ("wechat_mp", "u05")])

    found = town_db.tx(work)
    assert found[WECHAT].addresses == (WECHAT, ("web", "u05"))
    assert found["web", "u05"].addresses == (("web", "u05"), WECHAT)
    assert [who.person.code if who.person else None for who in found.values()] == ["U05", "U05", None, None]
    assert found["web", "nobody"].addresses == (("web", "nobody"),)


def test_a_link_is_recorded_told_and_never_taken_from_another(town_db: Database, clock: HandClock) -> None:
    before = town_db.tx(lambda session: value(session, TOWN))
    town_db.tx(lambda session: whois.link(session, "U05", WECHAT, Link.STAFF, "C01", clock()))
    assert town_db.tx(lambda session: value(session, TOWN)) == before + 1
    town_db.tx(lambda session: whois.link(session, "U05", WECHAT, Link.STAFF, "C01", clock()))
    with pytest.raises(BadLink, match="U05's"):
        town_db.tx(lambda session: whois.link(session, "U01", WECHAT, Link.STAFF, "C01", clock()))
    (row,) = town_db.tx(lambda session: list(session.scalars(sa.select(Linkage))))
    assert (row.by, row.what, row.person, row.channel) == ("C01", "linked", "U05", "wechat_mp")


def test_a_merge_carries_everything_over(town_db: Database, clock: HandClock) -> None:
    def work(session: Session) -> None:
        mine = open_ticket(session, clock(), reporter="u01", status=Status.ACCEPTED, worker="W02", rating=4)
        session.add(Supporter(ticket=mine.id or 0, channel="web", chat="g1", sender="u01", person="U01", since=clock()))
        session.flush()
        whois.merge(session, "U01", "U05", Link.STAFF, "C01", clock())
        whois.merge(session, "W02", "W01", Link.STAFF, "C01", clock())

    duties = town_db.tx(lambda s: {d.grid for d in s.scalars(sa.select(Duty)) if d.person in ("W01", "W02")})
    town_db.tx(work)
    assert of(town_db, "U05") == [("web", "u01"), ("web", "u05")]
    assert of(town_db, "U01") == []
    kept = town_db.tx(lambda s: s.scalars(sa.select(Supporter)).one())
    assert (kept.person, kept.sender) == ("U05", "u01"), "who told it under which user id stays known"
    assert town_db.tx(lambda s: s.scalars(sa.select(Chat).where(Chat.code == "d-u01")).one()).person == "U05"  # type: ignore[arg-type]
    assert one(town_db, "U05").home == "P-LA-B06", "a home that she has is not replaced"
    town = town_db.tx(load)
    assert {duty.grid for duty in town.duties["W01"]} == duties
    assert town.roles("W02") == town.roles("W01"), "histories name her by her old code"
    assert town.people["U01"].code == "U05"


def test_a_home_comes_with_her_where_there_is_none(town_db: Database, clock: HandClock) -> None:
    def work(session: Session) -> None:
        someone = whois.enrol(session, clock())
        whois.link(session, someone.code, WECHAT, Link.CODE, Link.CODE, clock())
        whois.merge(session, "U05", someone.code, Link.STAFF, "C01", clock())

    town_db.tx(work)
    (kept,) = town_db.tx(lambda s: [p for p in s.scalars(sa.select(Person)) if p.code.startswith("R-")])
    assert (kept.name, kept.home, kept.origin) == ("春芽", "P-LA-B06", Origin.REGISTER)
    assert town_db.tx(load).person(*WECHAT) is not None


def test_a_wrong_merge_is_undone(town_db: Database, clock: HandClock) -> None:
    town_db.tx(lambda session: whois.merge(session, "U01", "U05", Link.STAFF, "C01", clock()))
    clock.forward(days=1)
    town_db.tx(lambda session: whois.split(session, "U05", [("web", "u01")], "C01", clock(), "U01"))
    assert (of(town_db, "U01"), of(town_db, "U05")) == ([("web", "u01")], [("web", "u05")])
    assert (one(town_db, "U01").merged_into, one(town_db, "U01").name) == (None, "小满要早睡")
    town = town_db.tx(load)
    assert town.people["U01"].home == "P-LA-B03"


def test_a_split_takes_along_what_was_told_under_that_user_id(town_db: Database, clock: HandClock) -> None:
    def work(session: Session) -> None:
        whois.link(session, "U05", WECHAT, Link.CODE, Link.CODE, clock())
        mine = open_ticket(session, clock(), channel="wechat_mp", reporter="o-1")
        for channel, user in (WECHAT, ("web", "u05")):
            session.add(Supporter(ticket=mine.id or 0, channel=channel, chat=user, sender=user, person="U05",
                                  since=clock()))  # fmt: skip
        session.flush()
        whois.split(session, "U05", [WECHAT], "C01", clock())

    town_db.tx(work)
    rows = town_db.tx(lambda s: {row.sender: row.person for row in s.scalars(sa.select(Supporter))})
    assert rows == {"o-1": None, "u05": "U05"}
    assert of(town_db, "U05") == [("web", "u05")]


@pytest.mark.parametrize(
    ("gone", "kept", "said"),
    [("U01", "U01", "one person already"), ("U01", "U0l", "no person"), ("X9", "U01", "no person")],
)
def test_what_cannot_be_merged(town_db: Database, clock: HandClock, gone: str, kept: str, said: str) -> None:
    with pytest.raises((BadLink, NoSuchPerson), match=said):
        town_db.tx(lambda session: whois.merge(session, gone, kept, Link.STAFF, "C01", clock()))


def test_anothers_user_id_is_not_split_off(town_db: Database, clock: HandClock) -> None:
    with pytest.raises(BadLink, match="no such user id"):
        town_db.tx(lambda session: whois.split(session, "U05", [("web", "u01")], "C01", clock()))


def test_an_import_keeps_what_staff_said(town_db: Database, clock: HandClock, demo_pack: Pack) -> None:
    def work(session: Session) -> None:
        whois.merge(session, "W02", "W01", Link.STAFF, "C01", clock())
        whois.split(session, "U05", [("web", "u05")], "C01", clock(), "U01")

    town_db.tx(work)
    before = town_db.tx(lambda s: len(s.scalars(sa.select(Identity)).all()))
    town_db.tx(lambda session: import_pack(session, demo_pack))
    town: Town = town_db.tx(load)
    assert town.identities["web", "w02"] == "W01"
    assert town.identities["web", "u05"] == "U01"
    assert not [duty for duty in town_db.tx(lambda s: list(s.scalars(sa.select(Duty)))) if duty.person == "W02"]
    assert Role.GRIDWORKER in town.roles("W01")
    assert town_db.tx(lambda s: len(s.scalars(sa.select(Identity)).all())) == before


def test_who_comes_by_herself_is_not_read_into_memory(town_db: Database, clock: HandClock) -> None:
    def work(session: Session) -> str:
        someone = whois.enrol(session, clock(), home="P-LA-B06")
        whois.link(session, someone.code, WECHAT, Link.SCENE, Link.SCENE, clock() + timedelta(minutes=1))
        return someone.code

    before = town_db.tx(lambda session: value(session, TOWN))
    code = town_db.tx(work)
    town = town_db.tx(load)
    assert code not in town.people
    assert WECHAT not in town.identities
    assert town_db.tx(lambda session: value(session, TOWN)) == before, "nobody has to read the town anew for her"
