"""The task page of those who may correct a ticket: what it offers, what a press does, and to whom it offers nothing."""

import asyncio
import re
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from bot.worker import Worker, drain
from models.correction import Correction
from models.database import Database
from models.inbox import Inbox
from models.suggestion import Suggestion
from models.ticket import Status, Supporter, Ticket, TicketMessage
from tests.bot.task_page import NOW, OWN, RESIDENT, STRANGER, Phone, count, lamp, link, look, press, state

STAFF, PART_TIME = "C01", "P01"


@pytest.fixture
def db(town_db: Database) -> Database:
    """The demo town with the lamp of 柳岸花园3幢, and a second ticket that is perhaps the same."""

    def write(session: Session) -> None:
        lamp(session)
        twin = Ticket(
            status=Status.ASSIGNED, category="facility.lighting", tier=1, grid="QX-01-01-01", place="P-LA-B03",
            summary="三幢的灯", channel="web", chat="g-QX-01-01-01", reporter="u04", worker=OWN, opened_at=NOW,
            last_message_at=NOW,
        )  # fmt: skip
        session.add(twin)
        session.flush()
        number = twin.id or 0
        session.add(TicketMessage(
            ticket=number, channel="web", chat="g-QX-01-01-01", message="m3", sender="u04", kind="text", role="report",
            text="三幢的灯", sent_at=NOW,
        ))  # fmt: skip
        session.add(Supporter(ticket=number, channel="web", chat="g-QX-01-01-01", sender="u04", since=NOW))
        session.add(Suggestion(ticket=number, other=1, points=2.0, at=NOW))

    town_db.tx(write)
    return town_db


async def shown(phone: Phone, person: str, ticket: int = 1) -> str:
    """The page as somebody sees it."""
    answer = await phone.get(link(person, ticket))
    assert answer.status == 200
    return await answer.text()


def buttons(text: str) -> set[str]:
    """What the page lets one correct."""
    return set(re.findall(r'data-testid="correct-([a-z]+)"', text))


async def correct(phone: Phone, worker: Worker, person: str, action: str, value: str, **more: Any) -> dict[str, Any]:
    """Press, let the worker work, and see what came of it."""
    path = link(person)
    assert await press(phone, path, action, value=value, **more) == 200
    drain(worker)
    found: dict[str, Any] = (await state(phone, path, more.get("client_id", "press-0001")))["press"]
    return found


async def test_staff_are_offered_all_of_it(phone: Phone) -> None:
    text = await shown(phone, STAFF)
    assert buttons(text) == {"category", "place", "urgent", "sensitive", "same", "apart", "split"}
    assert '<option value="facility.lighting" selected>照明</option>' in text
    assert text.count('<optgroup label="公共设施">') == 2
    assert re.findall(r'name="tick" value="(\d+)"', text) == ["1", "2"]
    assert "<b>LS00002</b> 柳岸花园3幢 照明" in text
    assert "三幢的灯" not in text  # the other's words stand on its own page
    assert re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", text) is None
    for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', text):
        assert (await phone.get(path)).status == 200, path
    assert (await phone.get("/static/task/correct.js")).status == 200


async def test_the_gridworker_neither_joins_nor_divides(phone: Phone) -> None:
    text = await shown(phone, OWN)
    assert buttons(text) == {"category", "place", "urgent", "sensitive"}
    assert 'name="tick"' not in text


async def test_who_was_only_handed_it_corrects_nothing(phone: Phone, db: Database, worker: Worker) -> None:
    db.tx(lambda session: session.connection().execute(sa.update(Ticket).values(worker=PART_TIME)).rowcount)
    text = await shown(phone, PART_TIME)
    assert buttons(text) == set()
    assert '<section class="box" id="correct" hidden>' in text
    assert (await phone.get(f"{link(PART_TIME)}/places", params={"q": "3幢"})).status == 403
    found = await correct(phone, worker, PART_TIME, "category", "facility.elevator")
    assert (found["outcome"], look(db).category) == ("refused", "facility.lighting")
    assert count(db, Correction) == 0


@pytest.mark.parametrize("person", [STRANGER, RESIDENT])
@pytest.mark.parametrize(
    ("action", "value"), [("category", "facility.elevator"), ("urgent", "off"), ("same", "1"), ("split", "2::")]
)
async def test_a_strangers_or_residents_link_corrects_nothing(
    phone: Phone, db: Database, person: str, action: str, value: str
) -> None:  # fmt: skip
    assert await press(phone, link(person), action, value=value) == 403
    assert (await phone.get(f"{link(person)}/places", params={"q": "3幢"})).status == 403
    assert await press(phone, "/task/forged", action, value=value) == 403
    assert count(db, Inbox) == count(db, Correction) == 0


async def test_another_category(phone: Phone, db: Database, worker: Worker) -> None:
    found = await correct(phone, worker, STAFF, "category", "facility.elevator")
    assert (found["outcome"], look(db).category) == ("work", "facility.elevator")
    assert found["answer"].startswith("LS00001 的类别已改为电梯，")
    text = await shown(phone, STAFF)
    assert "<b>更正类别</b>：公共设施/照明 → 公共设施/电梯" in text
    assert "柳岸社区余书记" in text


async def test_another_place_by_its_name(phone: Phone, db: Database, worker: Worker) -> None:
    answer = await phone.get(f"{link(STAFF)}/places", params={"q": "机械厂 新村2"})
    assert (await answer.json())["places"] == [{"code": "P-JX-B02", "name": "机械厂新村2幢"}]
    found = await correct(phone, worker, STAFF, "place", "P-JX-B02")
    assert (found["outcome"], look(db).worker) == ("work", "W02")
    assert "<b>更正地点</b>：机械厂新村2幢" in await shown(phone, STAFF)


@pytest.mark.parametrize(
    ("words", "some"),
    [
        ("3幢", {"P-LA-B03", "P-JX-B03", "P-LZ-B03"}),
        ("3栋", {"P-LA-B03"}),  # a nickname
        ("圆盘", {"P-LA-SQ"}),
        ("桂雨", set()),  # of another community
        ("", set()),
        ("%", set()),
    ],
)
async def test_places_are_looked_for_in_the_community(phone: Phone, words: str, some: set[str]) -> None:
    answer = await phone.get(f"{link(STAFF)}/places", params={"q": words})
    codes = {row["code"] for row in (await answer.json())["places"]}
    assert some <= codes
    assert bool(some) == bool(codes)
    assert len(codes) <= 20


async def test_urgent_sensitive_and_no_report(phone: Phone, db: Database, worker: Worker) -> None:
    assert (await correct(phone, worker, STAFF, "urgent", "off"))["answer"].startswith("LS00001 不再标为紧急")
    assert 'data-correct="urgent" data-value="on"' in await shown(phone, STAFF)
    await correct(phone, worker, STAFF, "sensitive", "on", client_id="press-0002")
    assert (look(db).urgent, look(db).sensitive) == (False, True)
    await press(phone, link(STAFF), "dismiss", "press-0003")
    drain(worker)
    assert look(db).status == Status.DISMISSED
    kept = db.tx(lambda session: session.scalars(sa.select(Correction).order_by(sa.text("id"))).all())
    assert [row.kind.value for row in kept] == ["urgent", "sensitive", "dismissed"]


async def test_a_suggestion_accepted_twice_merges_once(phone: Phone, db: Database, worker: Worker) -> None:
    path = link(STAFF)
    both = await asyncio.gather(*(press(phone, path, "same", value="1") for _ in range(2)))
    assert list(both) == [200, 200]
    drain(worker)
    assert (look(db, 2).status, look(db, 2).merged_into) == (Status.MERGED, 1)
    again = await correct(phone, worker, STAFF, "same", "1", client_id="press-0002")
    assert (again["outcome"], again["answer"]) == ("refused", "LS00002 已并入 LS00001，请更正 LS00001。")
    assert count(db, Correction) == 1
    assert "correct-same" not in await shown(phone, STAFF)
    gone = await shown(phone, STAFF, 2)
    assert buttons(gone) == set()
    assert "<b>并入</b>：LS00001" in gone


async def test_a_suggestion_refused(phone: Phone, db: Database, worker: Worker) -> None:
    found = await correct(phone, worker, STAFF, "apart", "1")
    assert (found["outcome"], found["answer"]) == ("work", "好的，LS00002 和 LS00001 按两件事办理。")
    assert "perhaps" not in await shown(phone, STAFF)
    assert look(db, 2).status == Status.ASSIGNED


async def test_ticked_messages_become_a_ticket(phone: Phone, db: Database, worker: Worker) -> None:
    found = await correct(phone, worker, STAFF, "split", "2:facility.access:P-LA-B01")
    assert found["answer"] == "已从 LS00001 拆出 LS00003：门禁道闸 柳岸花园1幢。"
    assert (look(db, 3).category, look(db, 3).place) == ("facility.access", "P-LA-B01")
    text = await shown(phone, STAFF)
    assert "我家那层也是" not in text
    assert "split" not in buttons(text)  # one message is left
    refused = await correct(phone, worker, STAFF, "split", "1::", client_id="press-0002")
    assert (refused["outcome"], refused["answer"]) == ("refused", "不能全部拆出，至少给 LS00001 留一条。")


@pytest.mark.parametrize(
    "body",
    [
        {"action": "category", "client_id": "press-0001"},
        {"action": "category", "client_id": "press-0001", "value": "\0 "},
        {"action": "done", "client_id": "press-0001", "value": "x"},
        {"action": "split", "client_id": "press-0001", "value": "1," * 800},
        {"action": "merge", "client_id": "press-0001", "value": "2"},
    ],
)
async def test_a_correction_that_is_none(phone: Phone, db: Database, body: dict[str, Any]) -> None:
    assert (await phone.post(f"{link(STAFF)}/act", json=body)).status == 400
    assert count(db, Inbox) == 0
