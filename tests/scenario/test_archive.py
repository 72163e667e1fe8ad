"""Whole matters in a group that is only read: the records come in files, the answers go to the group's leader."""

import json
from pathlib import Path
from typing import Any

import pytest

from bot.channels import wecom_app
from bot.channels.archive import NAME, Archive
from config.side_channels import ArchiveSettings
from models.chat import Chat, ChatKind
from models.database import Database
from models.ticket import Status
from nlu.types import Engine
from tests.platform.harness import TestPlatform, platform
from tests.scenario.chat import ZONE, Scene
from tests.scenario.deployed import accepted, deployed, done, refused, the_card, writes_by
from tests.scenario.elsewhere import move, sent, work
from tests.scenario.matters import events, photo, photos, place, status
from tests.scenario.wecom_app import staff_to_the_app, tickets

ROOM, FILE = "wrAQ01", "2026-03-02.jsonl"
NEIGHBOUR, LEADER = "wm-chunya", "XiuYing"


class Story:
    """The scene, the folder that somebody else's SDK fills, and the channel that watches it."""

    def __init__(self, chat: Scene, folder: Path, **settings: object) -> None:
        self.chat = chat
        self.folder = folder
        told = {"folder": folder, "carrier": "web"} | settings
        self.channel = Archive(ArchiveSettings.model_validate(told), chat.db, chat.clock, zone=ZONE)
        self._said = 0

    async def say(self, sender: str, kind: str, **body: Any) -> str:
        """One more record; it is read, handled, and what was decided has left for the carrier."""
        self._said += 1
        record = {
            "msgid": f"m{self._said}_external", "action": "send", "from": sender, "tolist": ["x"], "roomid": ROOM,
            "msgtime": int(self.chat.clock().timestamp() * 1000), "msgtype": kind, kind: body,
        }  # fmt: skip
        if kind == "revoke":
            record["action"] = "recall"
        with (self.folder / FILE).open("a", encoding="utf-8") as opened:
            opened.write(json.dumps(record, ensure_ascii=False) + "\n")
        await self.channel.look(self.folder)
        await work(self.chat, self.channel)
        self.chat.clock.forward(seconds=20)
        return str(record["msgid"])

    def passed_on(self) -> list[str]:
        """What the leader was asked to say in the group."""
        head = "请帮忙转到“柳岸花园南区邻里群”：\n"
        mine = [out.text for out in sent(self.chat.db, "web") if out.chat == "d-l01"]
        return [text.removeprefix(head) for text in mine if text.startswith(head)]


@pytest.fixture
def story(chat: Scene, tmp_path: Path) -> Story:
    chat.at("2026-03-02 08:30")
    move(chat, NAME, people={"春芽": NEIGHBOUR}, groups={"柳岸花园南区": ROOM})
    return Story(chat, tmp_path)


async def test_a_whole_matter(town_db: Database, db_url: str, tmp_path: Path, engine: Engine) -> None:
    """The group is only read, so what the bot would say there, its question too, goes to the leader's app."""
    staff_to_the_app(town_db)
    writes_by(town_db, "U05", archive=NEIGHBOUR)
    writes_by(town_db, "L01", wecom_app=LEADER)
    group = Chat(channel=NAME, code=ROOM, kind=ChatKind.GROUP, grid="QX-01-01-01", name="柳岸花园南区邻里群")
    town_db.tx(lambda session: session.add(group))
    records = tmp_path / "records"
    records.mkdir()
    async with platform() as p:
        p.notices.group("柳岸花园南区邻里群", "guyi", LEADER, NEIGHBOUR, chat=ROOM)
        p.archive.folder = records
        reads = {"folder": records, "carrier": wecom_app.NAME, "poll_seconds": 0.05}
        async with deployed(p, db_url, tmp_path / "home", engine, archive=reads):
            await the_matter(p, town_db, tmp_path / "home")
        assert p.complaints == []
        assert p.seen(ROOM) == []


async def the_matter(p: TestPlatform, db: Database, home: Path) -> None:
    def says(who: str, words: str) -> None:
        p.clock.forward(seconds=20)
        p.archive.say(ROOM, who, words)

    def passed_on() -> str:
        return p.seen(LEADER)[-1].text.removeprefix("请帮忙转到“柳岸花园南区邻里群”：\n") if p.seen(LEADER) else ""

    p.archive.photo(ROOM, NEIGHBOUR, photo())
    says(NEIGHBOUR, "楼道灯不亮了 黑漆漆的")
    await p.until(lambda: "请问具体在哪里" in passed_on())
    await p.until(lambda: photos(db))
    assert (home / "media" / photos(db)[0]).is_file()
    says(LEADER, passed_on())  # she posts it: nobody reports anything by that
    says(NEIGHBOUR, "6幢")
    await p.until(lambda: "地点已记为" in passed_on())  # the register has guessed as much, which proves nothing
    assert place(db) == "P-LA-B06"

    card = await the_card(p)
    await refused(p, db, card)
    await accepted(p, db, card)
    await p.until(lambda: passed_on() == "LS00001 网格员已接单，正在处理。")
    await done(p, db, card)
    await p.until(lambda: "请评价" in passed_on())
    says(NEIGHBOUR, "满意")
    await p.until(lambda: passed_on() == "谢谢您的评价，LS00001 已结案。")
    assert (status(db), len(tickets(db)), events(db).count("opened")) == (Status.CLOSED, 1, 1)


async def test_read_again_nothing_happens_again(story: Story) -> None:
    await story.say(NEIGHBOUR, "text", content="6幢楼道灯不亮了")
    said = story.passed_on()
    copy = story.folder / "again.jsonl"
    copy.write_bytes((story.folder / FILE).read_bytes())
    again = ArchiveSettings.model_validate({"folder": story.folder})
    anew = Archive(again, story.chat.db, story.chat.clock, zone=ZONE)
    await anew.look(story.folder)
    await work(story.chat, anew)
    assert len(story.chat.tickets()) == 1
    assert story.passed_on() == said


async def test_what_is_taken_back_is_forgotten(story: Story) -> None:
    said = await story.say(NEIGHBOUR, "text", content="6幢楼道灯不亮了")
    await story.say(NEIGHBOUR, "revoke", pre_msgid=said)
    assert story.chat.ticket().status == "withdrawn"


async def test_a_group_notice_task(chat: Scene, tmp_path: Path) -> None:
    chat.at("2026-03-02 08:30")
    move(chat, NAME, people={"春芽": NEIGHBOUR}, groups={"柳岸花园南区": ROOM})
    async with platform() as p:
        p.notices.group("柳岸花园南区邻里群", "XiaoLin", chat=ROOM)
        told = {
            "answers": "notice", "corp_id": p.app.corp_id, "secret": p.notices.secret, "api_base": p.base,
            "owners": {ROOM: "XiaoLin"},
        }  # fmt: skip
        story = Story(chat, tmp_path, **told)
        await story.channel.start()
        await story.say(NEIGHBOUR, "text", content="6幢楼道灯不亮了")
        chat.presses("网格员小顾", "accept")
        await work(chat, story.channel)
        assert story.passed_on() == []
        chat.at("2026-03-02 18:00")
        await work(chat, story.channel)
        (asked,) = p.talk("XiaoLin")
        await p.click(asked, "XiaoLin", "confirm")
        (posted,) = p.talk(ROOM)
        assert posted.text.startswith("邻里事务今日进展：\n· 收到，已登记 LS00001")
        assert posted.text.endswith("· LS00001 网格员已接单，正在处理。")
        # The archive shows what the owner posted: nobody reports anything by that.
        await story.say("XiaoLin", "text", content=posted.text)
        await story.channel.stop()
    assert len(chat.tickets()) == 1
