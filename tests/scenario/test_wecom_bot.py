"""A whole matter by way of the WeCom AI bot: the platform opposite, the real process on either database."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bot.channels.wecom_bot.letters import NAME
from bot.platform.world import Bubble
from handlers.texts import say
from models.database import Database
from models.ticket import Status, Ticket
from nlu.types import Engine
from tests.platform.harness import TestPlatform, platform
from tests.scenario.matters import events, everybody_to, photo, photos, place, status
from tests.scenario.wecom import (
    GROUP,
    LEADER,
    NEIGHBOUR,
    RESIDENT,
    STRANGER,
    WORKER,
    cards,
    deployment,
    last,
    settings_for,
    texts,
)  # fmt: skip


async def until(p: TestPlatform, condition: Callable[[], object], seconds: float = 15.0) -> None:
    """Real time; in the webhook mode the platform asks for its open streams meanwhile."""
    async with asyncio.timeout(seconds):
        while not condition():
            if p.bot.callback and not p.bot.connected:
                await p.bot.poll()
            await asyncio.sleep(0.02)


def face(card: Bubble, user: str) -> dict[str, Any]:
    return card.card_for(user) or {}


def buttons(card: Bubble, user: str) -> list[tuple[str, str]]:
    return [(button["text"], button["key"]) for button in face(card, user)["button_list"]]


def stolen(card: Bubble, key: str) -> dict[str, Any]:
    """What a client claims that got hold of a card's ids, which was never sent there."""
    return {"card_type": "button_interaction", "event_key": key, "task_id": (card.card or {})["task_id"]}


@pytest.mark.parametrize("mode", ["connection", "webhook"])
async def test_a_whole_matter(town_db: Database, db_url: str, engine: Engine, tmp_path: Path, mode: str) -> None:
    everybody_to(town_db, NAME, groups=True)
    async with platform() as p:
        group = p.group("柳岸花园南区邻里群", RESIDENT, NEIGHBOUR, WORKER, STRANGER, chat=GROUP)
        async with deployment(p, settings_for(p, db_url, tmp_path / "home", mode=mode), engine):
            await p.say(None, WORKER, "我手上还有几件没办")  # the bot may only speak to who has spoken to it
            await until(p, lambda: texts(p, WORKER) and p.seen(WORKER)[-1].finished)
            assert texts(p, WORKER)[-1] == "您手上没有待办的单子。"

            # A report with a picture, in a group; the bot asks where.
            await p.photo(group, RESIDENT, photo(), "@邻声 楼道灯不亮了 黑漆漆的")
            await until(p, lambda: "请问具体在哪里" in last(p, group))
            await until(p, lambda: photos(town_db))
            await p.say(group, RESIDENT, "@邻声 6幢")
            await until(p, lambda: "6幢" in last(p, group))
            assert place(town_db) == "P-LA-B06"

            # The alert is a card in the worker's direct chat; the group got none.
            if mode == "webhook":
                await p.say(None, WORKER, "在的")
            await until(p, lambda: cards(p, WORKER))
            assert cards(p, group) == []
            (card,) = cards(p, WORKER)
            assert [key for _, key in buttons(card, WORKER)] == ["accept:1", "transfer:1", "done:1"]

            # She takes it on: the card says so within the five seconds, and the group hears of it.
            await p.click(card, WORKER, "accept:1")
            await until(p, lambda: ("办结", "done:1") in buttons(card, WORKER) and len(buttons(card, WORKER)) == 2)
            assert "已接单" in face(card, WORKER)["main_title"]["title"]
            assert status(town_db) == Status.ACCEPTED

            # Somebody else's click, on a card that she got hold of: nothing changes, and it is on record. She is told
            # that it is not hers, and neither what is in it nor a card.
            before = face(card, WORKER)
            await p.bot.forge(STRANGER, stolen(card, "done:1"))
            await until(p, lambda: texts(p, STRANGER))
            assert texts(p, STRANGER) == [say("worker_refused")]
            assert (cards(p, STRANGER), face(card, WORKER), face(card, STRANGER)) == ([], before, before)
            assert (status(town_db), events(town_db).count("refused")) == (Status.ACCEPTED, 1)

            await p.click(card, WORKER, "done:1")
            await until(p, lambda: buttons(card, WORKER) == [("已办结", "noop")])
            assert status(town_db) == Status.RESOLVED

            # The group is asked, and she who told of it answers.
            await until(p, lambda: "请评价" in last(p, group))
            assert "网格员已接单" in "\n".join(texts(p, group))
            await p.say(group, RESIDENT, "@邻声 满意")
            await until(p, lambda: "已结案" in last(p, group))
            assert (status(town_db), events(town_db).count("accepted")) == (Status.CLOSED, 1)
        assert p.complaints == []
        # On the connection an answer to the stranger's press would have been refused: there is no card to change.
        updates = [frame["errcode"] for frame in p.bot.wire.frames if frame["cmd"] == "aibot_respond_update_msg"]
        assert updates == ([0, 0] if mode == "connection" else [])


async def test_what_is_quoted_is_meant(town_db: Database, db_url: str, engine: Engine, tmp_path: Path) -> None:
    """The platform gives the quoted words and no id: a neighbour's are passed on, the bot's own name their ticket."""
    everybody_to(town_db, NAME, groups=True)
    async with platform() as p:
        group = p.group("柳岸花园南区邻里群", RESIDENT, NEIGHBOUR, LEADER, chat=GROUP)
        async with deployment(p, settings_for(p, db_url, tmp_path / "home", mode="connection"), engine):
            unheard = await p.say(group, NEIGHBOUR, "3幢单元门口路灯不亮了")  # nobody mentioned the bot
            await p.say(group, LEADER, "@邻声 这个麻烦处理一下", quote=unheard)
            await until(p, lambda: "LS00001" in last(p, group))
            assert place(town_db) == "P-LA-B03"
            ours = p.seen(group)[-1]
            await p.say(group, LEADER, "@邻声 这个修得怎么样了", quote=ours)
            await until(p, lambda: len(texts(p, group)) == 2)
            assert "LS00001" in last(p, group)
            assert town_db.tx(lambda session: session.scalar(sa.select(sa.func.count()).select_from(Ticket))) == 1
