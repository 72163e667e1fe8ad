"""Group notice tasks: news one text a day, asked of the group's owner, and what does not fit passed on."""

import itertools
from collections.abc import AsyncIterator
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest
import sqlalchemy as sa
from sqlmodel import Session, col

from bot.channels.archive import NAME, Archive
from bot.channels.archive.notice import BYTES, PATH
from bot.sender import Sender
from config.side_channels import ArchiveSettings
from models import outbox
from models.chat import Chat, ChatKind
from models.database import Database
from models.mark import TOWN, bump
from models.message import Outgoing, Purpose
from models.outbox import SENT, Outbox
from models.ticket import Ticket
from tests.conftest import START
from tests.models.letters import open_ticket
from tests.platform.harness import TestPlatform

ZONE = ZoneInfo("Asia/Shanghai")
HEAD = "请帮忙转到“南区邻里群”：\n"


class Here:
    """A deployment that reads a group: its town, and the platform that may ask the group's owner."""

    def __init__(self, db: Database, p: TestPlatform) -> None:
        self.db, self.p, self.clock = db, p, p.clock
        self.room, self.owner = p.notices.chat, p.notices.owner
        told = {
            "on": True, "answers": "notice", "corp_id": p.app.corp_id, "secret": p.notices.secret, "api_base": p.base,
            "owners": {self.room: self.owner},
        }  # fmt: skip
        self.settings = ArchiveSettings.model_validate(told)
        self.channel = Archive(self.settings, db, p.clock, zone=ZONE)
        self.ticket = db.tx(self._settle)
        self._numbers = itertools.count()

    def _settle(self, session: Session) -> int:
        grid = "QX-01-01-01"
        session.add(Chat(channel=NAME, code=self.room, kind=ChatKind.GROUP, grid=grid, name="南区邻里群"))
        bump(session, TOWN)
        return open_ticket(session, START, grid=grid).id or 0

    async def say(self, text: str, **more: Any) -> None:
        """The bot wants to say this in the group."""
        told: dict[str, Any] = {"channel": NAME, "chat": self.room, "text": text, "ticket": self.ticket}
        out = Outgoing.model_validate(told | more)
        self.db.tx(lambda session: outbox.put(session, [(f"k{next(self._numbers)}", out)], self.clock()))
        await self.send()

    async def send(self) -> None:
        """What is due leaves."""
        sender = Sender(self.db, {NAME: self.channel}, self.clock)
        while await sender.step():
            pass

    async def evening(self) -> None:
        """Time passes, to the next six in the evening."""
        local = self.clock().astimezone(ZONE)
        self.clock.forward(hours=(18 - local.hour) % 24 or 24)
        await self.send()

    @property
    def tasks(self) -> list[dict[str, Any]]:
        """What the platform took."""
        return [call.body for call in self.p.calls if call.path == PATH and call.code == 0]

    def passed_on(self) -> list[str]:
        """What the leader was asked to say there."""
        rows = self.db.tx(lambda session: session.scalars(sa.select(Outbox).order_by(col(Outbox.id))).all())
        return [out.text.removeprefix(HEAD) for out in map(outbox.read, rows) if out.chat == "d-l01"]

    def open(self) -> int:
        """Rows of ours that are not done."""
        mine = sa.select(Outbox).where(col(Outbox.channel) == NAME, col(Outbox.outcome) != SENT)
        return len(self.db.tx(lambda session: session.scalars(mine).all()))


@pytest.fixture
async def here(town_db: Database, p: TestPlatform) -> AsyncIterator[Here]:
    made = Here(town_db, p)
    await made.channel.start()
    yield made
    await made.channel.stop()


async def test_a_days_news_is_one_task_that_the_owner_confirms(here: Here) -> None:
    await here.say("LS00001 网格员已接单，电话 13800001111。")
    await here.say("LS00001 已办结，请评价。")
    assert (here.tasks, here.passed_on(), here.open()) == ([], [], 2)
    await here.evening()
    (task,) = here.tasks
    assert (task["chat_type"], task["sender"], task["chat_id_list"]) == ("group", here.owner, [here.room])
    text = task["text"]["content"]
    assert text == "邻里事务今日进展：\n· LS00001 网格员已接单，电话 138****1111。\n· LS00001 已办结，请评价。"
    assert (here.open(), here.passed_on()) == (0, [])
    assert here.p.talk(here.room) == []  # nobody has confirmed it yet
    (asked,) = here.p.talk(here.owner)
    with pytest.raises(ValueError, match="卡片"):
        await here.p.click(asked, "somebody", "confirm")
    await here.p.click(asked, here.owner, "confirm")
    assert [(one.by, one.text) for one in here.p.talk(here.room)] == [(here.owner, text)]
    with pytest.raises(ValueError, match="卡片"):
        await here.p.click(asked, here.owner, "confirm")


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("LS00001 在哪一幢？", {}),
        ("办事时间是九点到五点。", {"ticket": None}),
        ("LS00001 请注意。", {"purpose": Purpose.ALERT}),
    ],
)
async def test_what_cannot_wait_goes_to_the_leader_at_once(here: Here, text: str, more: dict[str, Any]) -> None:
    await here.say(text, **more)
    assert here.passed_on() == [text]
    await here.evening()
    assert here.tasks == []


async def test_an_urgent_matter_does_not_wait(here: Here) -> None:
    here.ticket = here.db.tx(lambda session: open_ticket(session, START, urgent=True).id or 0)
    await here.say("LS00002 已派人。")
    assert here.passed_on() == ["LS00002 已派人。"]


@pytest.mark.parametrize("first", [True, False])
async def test_a_matter_that_has_become_sensitive_stands_in_no_notice(here: Here, first: bool) -> None:
    other = here.db.tx(lambda session: open_ticket(session, START).id)
    numbers = [here.ticket, other] if first else [other, here.ticket]
    for number in numbers:
        await here.say(f"LS{number:05} 已接单。", ticket=number)

    def hide(session: Session) -> None:
        session.get_one(Ticket, here.ticket).sensitive = True

    here.db.tx(hide)
    await here.evening()
    assert [task["text"]["content"].splitlines()[1:] for task in here.tasks] == [[f"· LS{other:05} 已接单。"]]
    assert (here.passed_on(), here.open()) == ([f"LS{here.ticket:05} 已接单。"], 0)


async def test_what_does_not_fit_goes_to_the_leader(here: Here) -> None:
    long = [f"LS00001 {number}" + "水" * 600 for number in range(3)]
    for text in long:
        await here.say(text)
    await here.evening()
    (task,) = here.tasks
    assert len(task["text"]["content"].encode()) <= BYTES
    assert long[1] in task["text"]["content"]
    assert here.passed_on() == [long[2]]
    assert here.open() == 0


async def test_one_a_day_and_again_on_the_next(here: Here) -> None:
    await here.say("LS00001 已接单。")
    await here.evening()
    await here.say("LS00001 已到现场。")  # for tomorrow
    await here.evening()
    assert [task["text"]["content"][-3:] for task in here.tasks] == ["接单。", "现场。"]
    assert here.passed_on() == []


async def test_a_group_that_the_platform_leaves_out(here: Here) -> None:
    here.p.notices.a_day = 0  # somebody else has used up the day's
    await here.say("LS00001 已接单。")
    await here.evening()
    assert (here.passed_on(), here.p.talk(here.owner)) == (["LS00001 已接单。"], [])


async def test_a_refusal_goes_to_the_leader(here: Here) -> None:
    here.p.faults.fail(PATH, code=40058)
    await here.say("LS00001 已接单。")
    await here.say("LS00001 已办结。")
    await here.evening()
    assert here.passed_on() == ["LS00001 已接单。", "LS00001 已办结。"]
    assert here.open() == 0


@pytest.mark.parametrize("change", [{"answers": "leader"}, {"secret": None}, {"owners": {}}])
async def test_what_waits_outlives_a_change_of_the_settings(here: Here, change: dict[str, Any]) -> None:
    await here.say("LS00001 已接单。")
    await here.channel.stop()
    here.channel = Archive(here.settings.model_copy(update=change), here.db, here.clock, zone=ZONE)
    await here.channel.start()
    await here.evening()
    assert (here.passed_on(), here.tasks, here.open()) == (["LS00001 已接单。"], [], 0)


async def test_no_answer_is_not_asked_again(here: Here) -> None:
    await here.say("LS00001 已接单。")
    here.p.faults.fail(PATH, status=504)  # a gateway that waited in vain
    await here.evening()
    assert (here.passed_on(), here.tasks) == (["LS00001 已接单。"], [])


async def test_a_platform_that_is_busy_is_asked_later(here: Here) -> None:
    await here.say("LS00001 已接单。")
    here.p.faults.fail(PATH, code=45009)
    await here.evening()
    assert (here.tasks, here.passed_on(), here.open()) == ([], [], 1)
    here.clock.forward(minutes=5)
    await here.send()
    assert (len(here.tasks), here.passed_on(), here.open()) == (1, [], 0)


@pytest.mark.parametrize(
    "fault",
    [
        {"path": "/cgi-bin/gettoken", "code": 40001},  # a wrong or expired secret
        {"path": PATH, "code": 60020},  # our address is not on the account's list
        {"path": PATH, "status": 403},
    ],
)
async def test_what_fails_for_long_goes_to_the_leader(here: Here, fault: dict[str, Any]) -> None:
    await here.say("LS00001 已接单。")
    await here.say("LS00001 已办结。")
    here.p.faults.fail(**fault, times=1_000)
    await here.evening()
    assert (here.passed_on(), here.open()) == ([], 2)
    here.clock.forward(minutes=5)
    await here.send()
    assert (here.tasks, here.passed_on(), here.open()) == ([], ["LS00001 已接单。", "LS00001 已办结。"], 0)


async def test_a_crash_after_the_call_asks_nobody_twice(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    await here.say("LS00001 已接单。")
    called = here.channel._api
    assert called is not None
    real = called.call

    async def dies(*words: Any, **more: Any) -> dict[str, Any]:
        await real(*words, **more)
        raise KeyError("the process ends here")

    monkeypatch.setattr(called, "call", dies)
    await here.evening()
    monkeypatch.setattr(called, "call", real)
    here.clock.forward(minutes=10)
    await here.send()
    assert len(here.tasks) == 1
    assert here.passed_on() == ["LS00001 已接单。"]


async def test_the_platform_keeps_to_its_limits(p: TestPlatform) -> None:
    async with aiohttp.ClientSession() as session:
        asking = {"corpid": p.app.corp_id, "corpsecret": p.notices.secret}

        async def add(**body: Any) -> tuple[int, list[str]]:
            async with session.get(f"{p.base}/cgi-bin/gettoken", params=asking) as response:
                token = (await response.json())["access_token"]
            told = {"chat_type": "group", "sender": "guyi", "chat_id_list": [p.notices.chat], "text": {"content": "好"}}
            address = f"{p.base}{PATH}?access_token={token}"
            async with session.post(address, json=told | body) as response:
                answer = await response.json()
                return answer["errcode"], answer.get("fail_list", [])

        other = p.notices.group("别人的群", "wangwu", "o1")
        assert (await add(chat_type="single"))[0] == 40058
        assert (await add(sender=""))[0] == 40058
        assert (await add(chat_id_list=[]))[0] == 40058
        assert (await add(text={"content": ""}))[0] == 44004
        assert (await add(text={"content": "水" * 1334}))[0] == 45002
        assert (await add(text={"content": "水" * 1333}, attachments=[{}] * 10))[0] == 40058
        assert await add(chat_id_list=[p.notices.chat, other, "wrNobody"]) == (0, [other, "wrNobody"])
        assert await add() == (0, [p.notices.chat])
        p.clock.forward(hours=24)
        assert await add() == (0, [])
