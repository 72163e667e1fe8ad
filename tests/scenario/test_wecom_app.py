"""Whole matters whose workers have the self-built WeCom app: the platform opposite, the process on either database."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlmodel import Session, col

from bot.platform.world import Bubble
from handlers import dispatch
from handlers.desk import Desk
from handlers.town import load
from handlers.workdays import WorkCalendar
from models import outbox
from models.database import Database
from models.inbox import Inbox
from models.ticket import Status
from nlu.types import Engine
from tests.models.letters import open_ticket
from tests.platform.harness import TestPlatform, platform
from tests.scenario.deployed import writes_by
from tests.scenario.matters import photo, photos, place
from tests.scenario.wecom import GROUP, NEIGHBOUR, RESIDENT, cards, last, texts
from tests.scenario.wecom_app import (
    OTHER,
    STRANGER,
    WORKER,
    at_work,
    bounded,
    buttons,
    face,
    history,
    staff_to_the_app,
    stolen,
    tickets,
    with_app,
)


def link(ticket: int, person: str) -> str:
    return f"https://l.example/task/{ticket}-{person}"


def group_of(p: TestPlatform) -> str:
    return p.group("柳岸花园南区邻里群", RESIDENT, NEIGHBOUR, chat=GROUP)


async def the_card(p: TestPlatform, user: str) -> Bubble:
    await p.until(lambda: cards(p, user))
    return cards(p, user)[-1]


def outcomes(db: Database) -> list[tuple[str, str]]:
    """(sender, outcome) of all that was kept."""
    rows = sa.select(col(Inbox.sender), col(Inbox.outcome)).order_by(col(Inbox.id))
    return [(sender, outcome) for sender, outcome in db.tx(lambda session: session.execute(rows).all())]


def doubtful(db: Database, now: datetime, words: str = "灯好像有点暗") -> None:
    """A ticket of which the understanding is not sure that it is one."""

    def write(session: Session) -> None:
        ticket = open_ticket(session, now, grid="QX-01-01-01", place="P-LA-B06", quiet=True, summary=words)
        town = load(session)
        desk = Desk(session, town, now, WorkCalendar.configured(ZoneInfo("Asia/Shanghai")), "test", link)
        desk.schedule(ticket, now)
        session.flush()
        desk.assign(ticket, dispatch.responsible(town, ticket.grid, now))
        session.flush()
        outbox.put(session, desk.take(), now)

    db.tx(write)


async def test_a_whole_matter(town_db: Database, db_url: str, engine: Engine, tmp_path: Path) -> None:
    staff_to_the_app(town_db)
    writes_by(town_db, "W01", web="w01", wecom_app=WORKER)  # this deployment has no web chat
    async with platform() as p:
        group = group_of(p)
        async with at_work(p, with_app(p, db_url, tmp_path / "home"), engine):
            # Told with a picture, in a group at the bot; asked for the place.
            await p.photo(group, RESIDENT, photo(), "@邻声 楼道灯不亮了 黑漆漆的")
            await p.until(lambda: "请问具体在哪里" in last(p, group))
            await p.until(lambda: photos(town_db))
            assert (tmp_path / "home" / "media" / photos(town_db)[0]).is_file()
            await p.say(group, RESIDENT, "@邻声 6幢")
            await p.until(lambda: place(town_db) == "P-LA-B06")

            # The worker has a card in the app, which nobody else has.
            card = await the_card(p, WORKER)
            assert (buttons(card), face(card)["card_type"]) == (["接单", "转派", "办结"], "button_interaction")
            assert cards(p, OTHER) == cards(p, STRANGER) == []
            rows = [row["keyname"] for row in face(card)["horizontal_content_list"]]
            assert len(rows) > 1

            # A stranger who got hold of the keys: refused, on record, and her screen shows nothing new.
            await p.app.tell(STRANGER, stolen(p, card, STRANGER, "done:1"))
            await p.until(lambda: ("refused", "W07") in history(town_db))
            assert (tickets(town_db)[0].status, p.pushes[-1].body) == (Status.ASSIGNED, "")

            push = await p.click(card, WORKER, "accept:1")
            assert push is not None
            assert push.taken
            await p.until(lambda: buttons(card) == ["转派", "办结"])
            assert "已接单" in face(card)["main_title"]["title"]
            # The passive answer is XML, and has all the rows that the card had.
            assert [row["keyname"] for row in face(card)["horizontal_content_list"]] == rows
            await p.until(lambda: "网格员已接单" in "\n".join(texts(p, group)))
            assert tickets(town_db)[0].status == Status.ACCEPTED

            await p.click(card, WORKER, "done:1")
            await p.until(lambda: buttons(card) == ["已办结"] * 2)
            assert face(card)["disabled"]
            await p.until(lambda: "请评价" in last(p, group))

            # Rated where it was told, in another channel than the worker's.
            await p.say(group, RESIDENT, "@邻声 满意")
            await p.until(lambda: "已结案" in last(p, group))
            assert tickets(town_db)[0].status == Status.CLOSED
            assert [what for what, _ in history(town_db)].count("accepted") == 1
            assert p.complaints == []


async def test_an_urgent_matter_and_its_room(town_db: Database, db_url: str, engine: Engine, tmp_path: Path) -> None:
    """Worker and staff have a card each; who accepts first has it, and the others' cards say so."""
    staff_to_the_app(town_db)
    async with platform() as p:
        group = group_of(p)
        async with at_work(p, with_app(p, db_url, tmp_path / "home", rooms=True), engine):
            await p.say(group, RESIDENT, "@邻声 3幢楼道里一股煤气味，很浓")
            mine, theirs = await the_card(p, WORKER), await the_card(p, OTHER)
            await p.until(lambda: [room for room in p.world.groups.values() if room.channel == "wecom_app"])
            (room,) = [room for room in p.world.groups.values() if room.channel == "wecom_app"]
            assert room.members[0] == WORKER
            assert {OTHER, "c02"} < set(room.members)
            await p.until(lambda: texts(p, room.id))
            assert "【紧急】LS00001" in texts(p, room.id)[0]

            await p.click(mine, WORKER, "accept:1")
            await p.until(lambda: buttons(theirs) == ["已由其他同事办理"] * 3)
            await p.until(lambda: buttons(mine) == ["转派", "办结"])
            await p.until(lambda: texts(p, room.id)[-1] == "LS00001 已接单。")

            # By words, and not by a press: the code that her press brought is used for her card.
            await p.app.say(WORKER, "LS00001 修好了")
            await p.until(lambda: buttons(mine) == ["已办结"] * 2)
            await p.until(lambda: texts(p, room.id)[-1] == "LS00001 已办结。")
            said = "\n".join(texts(p, room.id))
            assert not any(name in said for name in ("煤气味", "春芽", "小顾", "余书记"))
            assert p.complaints == []


async def test_news_of_a_matter(town_db: Database, db_url: str, engine: Engine, tmp_path: Path) -> None:
    """What is only to be read has the facts, the link, and nothing to press; who may act has her buttons."""
    staff_to_the_app(town_db)
    async with platform() as p:
        group = group_of(p)
        async with at_work(p, with_app(p, db_url, tmp_path / "home"), engine):
            await p.say(group, RESIDENT, "@邻声 6幢楼道灯不亮了")
            task = await the_card(p, WORKER)
            p.clock.forward(hours=2)
            await p.say(group, RESIDENT, "@邻声 6幢楼道灯修得怎么样了")
            await p.until(lambda: len(cards(p, WORKER)) == 2)
            news = face(cards(p, WORKER)[-1])
            assert (news["card_type"], "button_list" in news) == ("text_notice", False)
            assert news["sub_title_text"] == "【催办】LS00001 居民在问进度：6幢楼道灯修得怎么样了"
            rows = {row["keyname"]: row["value"] for row in news["horizontal_content_list"]}
            assert rows["地点"] == "柳岸花园6幢"
            assert "/task/" in news["card_action"]["url"]

            p.clock.forward(days=8)
            await p.until(lambda: any("请督办" in face(one)["sub_title_text"] for one in cards(p, WORKER)))
            assert face(cards(p, WORKER)[-1])["card_type"] == "text_notice"
            assert buttons(await the_card(p, OTHER)) == ["接单", "转派", "办结"]

            # A notice says what was so then: nothing about it changes, and it is not taken back.
            notices = [one for one in cards(p, WORKER) if face(one)["card_type"] == "text_notice"]
            await p.click(task, WORKER, "done:1")
            await p.until(lambda: buttons(task) == ["已办结"] * 3)
            await p.until(lambda: buttons(cards(p, OTHER)[-1]) == ["已办结"] * 3)
            assert [one for one in cards(p, WORKER) if face(one)["card_type"] == "text_notice"] == notices
            assert p.complaints == []


async def test_whom_the_platform_does_not_know(town_db: Database, db_url: str, engine: Engine, tmp_path: Path) -> None:
    """She has left the corporation: the alert goes on to the community, and staff are told."""
    staff_to_the_app(town_db)
    async with platform() as p:
        p.app.strangers |= {WORKER}
        group = group_of(p)
        async with at_work(p, with_app(p, db_url, tmp_path / "home"), engine):
            await p.say(group, RESIDENT, "@邻声 6幢楼道灯不亮了")
            card = await the_card(p, OTHER)
            await p.until(lambda: any("通知没能送到" in bubble.text for bubble in p.seen("c02")))
            assert ("unreachable", "system") in history(town_db)
            assert (tickets(town_db)[0].worker, tickets(town_db)[0].status) == ("C01", Status.ASSIGNED)
            await p.click(card, OTHER, "accept:1")
            await p.until(lambda: tickets(town_db)[0].status == Status.ACCEPTED)


async def test_a_round(town_db: Database, db_url: str, engine: Engine, tmp_path: Path) -> None:
    """巡查打卡: where the app is opened, once a day and grid answered; nobody else's place is kept."""
    staff_to_the_app(town_db)
    bounded(town_db, "QX-01-01")
    async with platform() as p, at_work(p, with_app(p, db_url, tmp_path / "home", patrol=True), engine):
        await p.app.where(WORKER, 30.5, 120.05)  # at the office, and a moment later there
        await p.app.where(WORKER, 30.05, 120.05)
        await p.until(lambda: texts(p, WORKER))
        assert texts(p, WORKER) == ["08:00 已记录巡查：柳岸花园片区。"]
        await p.app.where(WORKER, 30.05, 120.05)  # the app tells it every few seconds
        p.clock.forward(minutes=20)
        await p.app.where(WORKER, 30.05, 120.05)
        await p.app.where("somebody", 30.05, 120.05)
        p.clock.forward(minutes=1)
        await p.app.say(WORKER, "我手上还有几件没办")
        await p.until(lambda: "没有待办" in texts(p, WORKER)[-1])
        assert len(texts(p, WORKER)) == 2
        assert outcomes(town_db) == [("w01", "patrol"), ("w01", "patrol"), ("w01", "work")]


async def test_a_doubtful_matter_is_a_choice(town_db: Database, db_url: str, engine: Engine, tmp_path: Path) -> None:
    staff_to_the_app(town_db)
    async with platform() as p, at_work(p, with_app(p, db_url, tmp_path / "home"), engine):
        doubtful(town_db, p.clock())
        card = await the_card(p, WORKER)
        # All that she judges by, and a vote has room for no more.
        assert face(card)["card_type"] == "vote_interaction"
        assert face(card)["main_title"] == {"title": "LS00001 照明 柳岸花园6幢", "desc": "灯好像有点暗"}
        assert face(card)["source"] == {"desc": "限3月5日 08:00"}
        await p.click(card, WORKER, "choose:1", chosen={"do": ["dismiss:1"]})
        await p.until(lambda: tickets(town_db)[0].status == Status.DISMISSED)
        await p.until(lambda: face(card).get("disabled"))
        assert cards(p, WORKER) == [card]


async def test_a_doubtful_matter_that_is_one(town_db: Database, db_url: str, engine: Engine, tmp_path: Path) -> None:
    """The choice turns grey, and a card with buttons brings the matter to its end."""
    staff_to_the_app(town_db)
    async with platform() as p, at_work(p, with_app(p, db_url, tmp_path / "home"), engine):
        doubtful(town_db, p.clock())
        vote = await the_card(p, WORKER)
        await p.click(vote, WORKER, "choose:1", chosen={"do": ["accept:1"]})
        await p.until(lambda: face(vote).get("disabled"))
        assert face(vote)["submit_button"]["text"] == "已接单"
        await p.until(lambda: len(cards(p, WORKER)) == 2)
        card = cards(p, WORKER)[-1]
        assert (face(card)["card_type"], buttons(card)) == ("button_interaction", ["转派", "办结"])
        assert face(card)["main_title"]["title"] == "LS00001 照明 · 已接单"
        assert face(card)["card_action"]["url"] == link(1, "W01")
        rows = {row["keyname"]: row["value"] for row in face(card)["horizontal_content_list"]}
        assert (rows["地点"], rows["时限"]) == ("柳岸花园6幢", "3月5日 08:00")

        await p.click(card, WORKER, "done:1")
        await p.until(lambda: buttons(card) == ["已办结"] * 2)
        assert tickets(town_db)[0].status == Status.RESOLVED
        await p.until(lambda: face(vote)["submit_button"]["text"] == "已办结")
        assert cards(p, WORKER) == [vote, card]
        assert p.complaints == []


async def test_what_a_choice_has_no_room_for(town_db: Database, db_url: str, engine: Engine, tmp_path: Path) -> None:
    """She is to judge by all of his words: so she has buttons."""
    staff_to_the_app(town_db)
    words = "灯好像有点暗，不知道是不是我眼睛的问题，也可能是天黑得早了，你们有空帮忙看一眼也行"
    async with platform() as p, at_work(p, with_app(p, db_url, tmp_path / "home"), engine):
        doubtful(town_db, p.clock(), words)
        card = await the_card(p, WORKER)
        assert buttons(card) == ["接单", "转派", "办结", "非诉求"]
        assert face(card)["quote_area"]["quote_text"] == words
