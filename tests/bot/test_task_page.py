"""The page behind a task card's link: what a gridworker sees, presses, and is refused."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import FormData
from sqlmodel import Session

from bot.channels.web_photo import keep
from bot.worker import Worker, drain
from config.settings import DEMO_TOWN
from models import inbox, outbox
from models.database import Database
from models.inbox import Inbox
from models.outbox import Outbox
from models.person import Duty
from models.schema import upgrade
from models.ticket import Attachment, Status, TicketEvent
from models.townimport import import_pack
from models.townpack import read_pack
from tests.bot.task_page import (
    FORTNIGHT,
    LINKS,
    NOW,
    OWN,
    RESIDENT,
    STRANGER,
    Phone,
    count,
    lamp,
    link,
    look,
    press,
    state,
)
from tests.photos import is_bare_and_whole, photo

JPG = photo()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """The demo town with one open ticket."""
    database = Database(f"sqlite:///{tmp_path / 'task.db'}")
    upgrade(database)
    pack = read_pack(DEMO_TOWN)
    database.tx(lambda session: import_pack(session, pack))
    database.tx(lamp)
    yield database
    database.close()


def offered(text: str) -> set[str]:
    """Buttons of the page that are not hidden."""
    buttons = re.findall(r'<button[^>]*data-testid="act-(\w+)"([^>]*)>', text)
    return {name for name, rest in buttons if "hidden" not in rest}


async def test_the_page_tells_all_that_the_way_there_needs(phone: Phone) -> None:
    answer = await phone.get(link())
    text = await answer.text()
    assert answer.status == 200
    shown = (
        "LS00001", "紧急", "公共设施/照明", "柳岸花园3幢2单元楼梯口", "柳岸花园南区", "3月2日 24:00",
        "已派单，等待网格员接单", "我家那层也是", "07:40", "派单", "网格员小顾",
    )  # fmt: skip
    assert [words for words in shown if words not in text] == []
    assert offered(text) == {"accept", "arrive", "done", "transfer", "dismiss"}
    # 118.9098, 28.9553 on the Chinese maps.
    found = re.search(r"position=([\d.]+),([\d.]+)&amp;name=LS00001", text)
    assert found is not None
    assert float(found[1]) == pytest.approx(118.9144, abs=5e-4)
    assert float(found[2]) == pytest.approx(28.9525, abs=5e-4)


async def test_neither_phones_nor_names_of_residents_are_shown(phone: Phone) -> None:
    text = await (await phone.get(link())).text()
    assert "13812345678" not in text
    assert "打我[电话]" in text
    assert [name for name in ("小满要早睡", "老陈不钓鱼", "u01", "u02", "U01") if name in text] == []
    assert text.count('<p class="by">居民<time>') == 3  # two who told, and the one who began it


async def test_nothing_on_the_page_runs_but_our_own_files(phone: Phone) -> None:
    answer = await phone.get(link())
    text = await answer.text()
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "&lt;b&gt;" in text
    assert re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", text) is None
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', text):
        assert (await phone.get(path)).status == 200, path


async def test_accepting(phone: Phone, db: Database, worker: Worker, woken: list[str]) -> None:
    path = link()
    assert await press(phone, path, "accept") == 200
    assert woken == ["up"]
    waiting = await state(phone, path)
    assert waiting["status"] == "assigned"
    assert waiting["press"]["finished"] is False

    row = db.tx(lambda session: session.scalars(sa.select(Inbox)).one())
    message = inbox.read(row)
    assert (message.channel, message.chat, message.sender) == ("web", "d-w01", "w01")
    assert (message.id, message.kind, message.action, message.direct) == ("press-0001", "card", "accept:1", True)

    drain(worker)
    after = await state(phone, path)
    assert after["status"] == "accepted"
    assert after["press"] == {"finished": True, "outcome": "work", "answer": after["press"]["answer"]}
    assert "已接单：LS00001" in after["press"]["answer"]
    assert after["mark"] != waiting["mark"]
    assert set(after["actions"]) == {"arrive", "done", "transfer", "dismiss"}
    assert look(db).worker == OWN


async def test_arriving_is_offered_once(phone: Phone, db: Database, worker: Worker) -> None:
    path = link()
    await press(phone, path, "arrive")
    drain(worker)
    assert look(db).status == Status.ACCEPTED
    after = await state(phone, path)
    assert after["press"]["outcome"] == "work"
    assert "arrive" not in after["actions"]
    assert "到达现场" in await (await phone.get(path)).text()


async def test_done_with_a_note(phone: Phone, db: Database, worker: Worker) -> None:
    path = link()
    assert await press(phone, path, "done", note=" 换了灯泡: 两只\n电话13812345678 ") == 200
    drain(worker)
    assert look(db).status == Status.RESOLVED
    event = db.tx(lambda s: s.scalars(sa.select(TicketEvent).where(TicketEvent.what == "resolved")).one())  # type: ignore[arg-type]
    assert event.note == "换了灯泡: 两只\n电话13812345678"
    text = await (await phone.get(path)).text()
    assert "换了灯泡: 两只\n电话[电话]" in text
    assert offered(text) == set()


async def test_done_with_a_photo(phone: Phone, db: Database, worker: Worker, tmp_path: Path) -> None:
    form = FormData()
    for name, value in (("action", "done"), ("note", "修好了"), ("client_id", "press-0001")):
        form.add_field(name, value)
    form.add_field("photo", JPG, filename="lamp.jpg", content_type="image/jpeg")
    answer = await phone.post(f"{link()}/act", data=form)
    assert answer.status == 200
    message = inbox.read(db.tx(lambda session: session.scalars(sa.select(Inbox)).one()))
    assert message.action == "done:1:修好了"
    assert is_bare_and_whole((tmp_path / "media" / message.media[0].path).read_bytes())
    drain(worker)
    assert look(db).status == Status.RESOLVED
    told = db.tx(lambda session: [outbox.read(row) for row in session.scalars(sa.select(Outbox))])
    assert {(out.chat, out.picture) for out in told if out.picture} == {(look(db).chat, message.media[0].path)}


async def test_a_photo_is_shown_with_its_own_ticket_only(phone: Phone, db: Database, tmp_path: Path) -> None:
    mine, other = (keep(tmp_path / "media", taken).path for taken in (JPG, photo(size=(60, 30))))

    def attach(session: Session) -> None:
        session.add(Attachment(ticket=1, message="m2", kind="image", path=mine, added_at=NOW))

    db.tx(attach)
    path = link()
    assert f"{path}/media/{mine}" in await (await phone.get(path)).text()
    answer = await phone.get(f"{path}/media/{mine}")
    assert is_bare_and_whole(await answer.read())
    assert answer.content_type == "image/jpeg"
    assert (await phone.get(f"{path}/media/{other}")).status == 404
    assert (await phone.get(f"{path}/media/..%2Ftask.db")).status == 404
    assert (await phone.get(f"/task/forged/media/{mine}")).status == 403


TOKENS = ["forged", LINKS.dumps([1, OWN])[:-1] + "!", LINKS.dumps([99, OWN])]  # they hold the time: no names for tests


@pytest.mark.parametrize("token", TOKENS, ids=["forged", "tampered", "of no ticket"])
async def test_a_link_that_opens_nothing(phone: Phone, db: Database, token: str) -> None:
    answer = await phone.get(f"/task/{token}")
    text = await answer.text()
    assert answer.status == 403
    assert "链接已失效" in text
    assert "LS00001" not in text
    assert await press(phone, f"/task/{token}", "done") == 403
    assert (await phone.get(f"/task/{token}/state")).status == 403
    assert count(db, Inbox) == 0


async def test_a_link_expires(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    path = link()
    signed = int(datetime.now(UTC).timestamp())
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: signed + FORTNIGHT - 60)
    assert (await phone.get(path)).status == 200
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: signed + FORTNIGHT + 60)
    assert (await phone.get(path)).status == 403
    assert await press(phone, path, "accept") == 403


@pytest.mark.parametrize("person", [STRANGER, RESIDENT])
async def test_a_link_gives_nobody_a_duty(phone: Phone, db: Database, person: str) -> None:
    path = link(person)
    answer = await phone.get(path)
    assert answer.status == 403
    assert "LS00001" not in await answer.text()
    assert (await phone.get(f"{path}/state")).status == 403
    assert (await phone.get(f"{path}/media/{'0' * 32}.jpg")).status in (403, 404)
    assert await press(phone, path, "done") == 403
    assert count(db, Inbox) == 0


async def test_a_duty_that_ended_since_ends_the_link(phone: Phone, db: Database, worker: Worker) -> None:
    """The link was made, and the button pressed, while she was responsible."""
    path = link("C01")
    assert "done" in offered(await (await phone.get(path)).text())
    assert await press(phone, path, "done") == 200

    def leave(session: Session) -> None:
        session.connection().execute(sa.delete(Duty).where(Duty.person == "C01"))  # type: ignore[arg-type]
        session.connection().execute(sa.text("INSERT INTO mark (name, value) VALUES ('town', 9)"))

    db.tx(leave)
    assert (await phone.get(path)).status == 403
    assert await press(phone, path, "done", "press-0002") == 403
    drain(worker)
    assert look(db).status == Status.ASSIGNED
    assert count(db, Inbox, Inbox.outcome == "refused") == 1


async def test_a_double_press_acts_once(phone: Phone, db: Database, worker: Worker) -> None:
    path = link()
    both = await asyncio.gather(press(phone, path, "done"), press(phone, path, "done"))
    assert list(both) == [200, 200]
    drain(worker)
    assert await press(phone, path, "done") == 200
    drain(worker)
    assert count(db, Inbox) == 1
    assert count(db, TicketEvent, TicketEvent.what == "resolved") == 1
    assert (await state(phone, path))["press"]["outcome"] == "work"


async def test_an_id_is_not_used_for_another_action(phone: Phone, db: Database) -> None:
    path = link()
    assert await press(phone, path, "accept") == 200
    assert await press(phone, path, "done") == 409
    assert count(db, Inbox) == 1


async def test_pressing_what_the_workflow_does_not_allow_any_more(phone: Phone, db: Database, worker: Worker) -> None:
    path = link()
    await press(phone, path, "done")
    drain(worker)
    await press(phone, path, "accept", "press-0002")
    drain(worker)
    after = await state(phone, path, "press-0002")
    assert after["press"]["outcome"] == "refused"
    assert "不能这样操作" in after["press"]["answer"]
    assert look(db).status == Status.RESOLVED


async def test_transferring_to_a_department_named_in_the_note(phone: Phone, db: Database, worker: Worker) -> None:
    path = link()
    await press(phone, path, "transfer", note="请物业来换")
    drain(worker)
    assert look(db).worker == "P01"
    assert "柳岸物业" in (await state(phone, path))["press"]["answer"]
    assert "转派</b>：柳岸物业" in await (await phone.get(path)).text()


async def test_nobody_sees_what_came_of_anothers_press(phone: Phone, worker: Worker) -> None:
    await press(phone, link(), "accept")
    drain(worker)
    assert (await state(phone, link("C01")))["press"] is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"action": "rate", "client_id": "press-0001"}, 400),
        ({"action": "done"}, 400),
        ({"action": "done", "client_id": "x y z 1 2 3"}, 400),
        ({"action": "done", "client_id": "press-0001", "ticket": 2}, 400),
        ({"action": "done", "client_id": "press-0001", "note": "长" * 501}, 400),
        ({"action": "done", "client_id": "press-0001", "note": "长" * 9000}, 413),
    ],
)
async def test_a_press_that_is_none(phone: Phone, db: Database, body: dict[str, Any], status: int) -> None:
    assert (await phone.post(f"{link()}/act", json=body)).status == status
    assert count(db, Inbox) == 0


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a\0.jpg"\r\n\r\nGIF89a\r\n--x--\r\n'),
        ({"Content-Encoding": "gzip"}, b"--x\r\n"),
    ],
)
async def test_a_form_that_cannot_be_taken_apart(phone: Phone, headers: dict[str, str], body: bytes) -> None:
    told = {"Content-Type": "multipart/form-data; boundary=x"} | headers
    answer = await phone.post(f"{link()}/act", data=body, headers=told)
    assert answer.status == 400


async def test_only_pictures_are_kept(phone: Phone, db: Database, tmp_path: Path) -> None:
    form = FormData()
    form.add_field("action", "done")
    form.add_field("client_id", "press-0001")
    form.add_field("photo", b"<svg onload='x'/>", filename="lamp.jpg", content_type="image/jpeg")
    assert (await phone.post(f"{link()}/act", data=form)).status == 415
    assert (await phone.post(f"{link()}/act", data="done")).status == 415
    assert count(db, Inbox) == 0
    assert not (tmp_path / "media").exists()
