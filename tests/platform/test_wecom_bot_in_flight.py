"""A user has at most three messages in flight with one bot: the platform takes no fourth, and ours come to an end."""

import pytest

from bot.platform.aibot import IN_FLIGHT
from bot.platform.aibot_people import TooMany
from models.database import Database
from tests.platform.harness import platform
from tests.platform.wecom_bot import handled, heard, hooked, put


async def test_three_in_flight_and_every_one_comes_to_its_end(db: Database) -> None:
    """All chats together, one user; an answer, no answer and a message that nobody handled in time end alike."""
    async with platform() as p, hooked(p, db):
        group = p.group("g", "a", "b")
        first = await p.say(group, "a", "@邻声 3幢灯坏了")
        for text in ("今天天气真好", "早"):
            await p.say(None, "a", text)
        assert p.bot.in_flight("a") == IN_FLIGHT
        for chat in (group, None):
            with pytest.raises(TooMany):
                await p.say(chat, "a", "@邻声 在吗")
        await p.say(group, "a", "这句不是对机器人说的")
        await p.say(group, "b", "@邻声 我也是")
        assert len(heard(db)) == 4
        put(db, p, group, "已登记 LS00001", "k1", trigger=first.id)
        handled(db, p)
        await p.bot.poll()
        assert (p.bot.in_flight("a"), p.bot.in_flight("b")) == (0, 0)
        for number in range(IN_FLIGHT):
            await p.say(None, "a", f"第{number}句")
        p.clock.forward(minutes=6)
        assert p.bot.in_flight("a") == 0
        assert p.complaints == []
