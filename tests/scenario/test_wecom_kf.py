"""A whole matter by way of 微信客服: the platform opposite, the real process on either database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from aiohttp.test_utils import TestServer
from sqlmodel import col

from bot.app import PROCESS, build
from bot.channels.wecom_kf import NAME, PATH, WecomKf, codes
from bot.links import secret_of
from bot.platform.world import Bubble
from bot.scenes import Scenes
from config.settings import Settings
from handlers.texts import say
from models.database import Database
from models.ticket import Status, Ticket
from nlu.types import Engine
from tests.platform.harness import TestPlatform, platform
from tests.scenario.matters import events, everybody_to, photo, photos, place, status, ticket, told

RESIDENT, LEADER = "wm-new", "l01"  # nobody the town knows, 秀英姐
WORKER, STRANGER = "w01", "w07"  # 网格员小顾, 网格员大山


def settings_for(p: TestPlatform, db_url: str, home: Path) -> Settings:
    """A deployment whose only platform is `p`."""
    told = {
        "token": p.kf.token, "aes_key": p.kf.aes_key, "corp_id": p.kf.corp_id, "secret": p.kf.secret,
        "accounts": [p.kf.open_kfid], "api_base": p.base, "poll_seconds": 0.1, "human": "servicer",
        "servicers": ["zhangsan"],
    }  # fmt: skip
    return Settings.model_validate(
        {"home": home, "database_url": db_url, "secret_key": "of-the-tests", "wecom_kf": told}
    )


@asynccontextmanager
async def deployment(p: TestPlatform, settings: Settings, engine: Engine) -> AsyncIterator[WecomKf]:
    """The whole application on loopback, and its channel."""
    app = build(settings, clock=p.clock, engine=engine)
    async with TestServer(app) as server:
        p.kf.callback = str(server.make_url(PATH))
        assert await p.kf.verify()
        channel = app[PROCESS].channels[NAME]
        assert isinstance(channel, WecomKf)
        yield channel


def menus(p: TestPlatform, who: str, item: str) -> list[Bubble]:
    """Menus of hers that offer something which begins like this."""
    return [bubble for bubble in p.seen(who) if any(one.startswith(item) for one, _ in items(bubble))]


def items(menu: Bubble) -> list[tuple[str, str]]:
    listed = menu.body.get("msgmenu", {}).get("list", [])
    return [(one["click"]["id"], one["click"]["content"]) for one in listed if one["type"] == "click"]


async def test_from_a_code_in_the_stairway_to_a_rating(
    town_db: Database, db_url: str, tmp_path: Path, engine: Engine
) -> None:
    everybody_to(town_db, NAME)
    async with platform() as p:
        settings = settings_for(p, db_url, tmp_path)
        async with deployment(p, settings, engine) as channel:
            await the_matter(p, town_db, tmp_path, channel, Scenes(secret_of(settings) or ""))
        assert p.complaints == []
        assert all(push.tries == 1 for push in p.pushes)


async def the_matter(p: TestPlatform, db: Database, home: Path, channel: WecomKf, scenes: Scenes) -> None:
    kf = p.kf
    await staff_writes(p)

    # She scans the code that hangs in 3幢, and is greeted before she has said a word.
    link = await codes.link(channel._api, kf.open_kfid, scenes.make("place:P-LA-B03"))
    await kf.enter(RESIDENT, link)
    await p.until(lambda: "3幢" in told(p, RESIDENT))
    assert "隐私告知" in told(p, RESIDENT)
    assert [call.code for call in p.calls if call.path.endswith("send_msg_on_event")] == [0]

    # Where it is need not be asked; the picture goes with it.
    await kf.say(RESIDENT, "楼道灯坏了好几天，晚上看不见，没人修")
    await p.until(lambda: "LS00001" in told(p, RESIDENT))
    assert place(db) == "P-LA-B03"
    p.clock.forward(seconds=20)
    await kf.photo(RESIDENT, photo())
    await p.until(lambda: photos(db))
    assert (home / "media" / photos(db)[0]).is_file()

    await dealt_with(p, db)
    # Staff who never wrote cannot be reached here; everything else arrived, and nothing twice.
    assert {call.code for call in p.calls} <= {0, 95002}


async def staff_writes(p: TestPlatform) -> None:
    """Who never writes cannot be written to."""
    for worker in (WORKER, STRANGER):
        await p.kf.say(worker, "我手上有什么")
        await p.until(partial(told, p, worker))


async def dealt_with(p: TestPlatform, db: Database) -> None:
    """From the alert to the rating."""
    kf = p.kf
    # The alert is a menu; another one's press on the same key changes nothing.
    await p.until(lambda: menus(p, WORKER, "accept:1"))
    (card,) = menus(p, WORKER, "accept:1")
    assert [content for _, content in items(card)] == ["接单", "转派", "办结"]
    await kf.say(STRANGER, "接单", menu="accept:1")
    await p.until(lambda: "不在您的职责范围内" in told(p, STRANGER))
    assert (status(db), "refused" in events(db)) == (Status.ASSIGNED, True)

    p.clock.forward(minutes=5)
    await kf.choose(card, WORKER, "accept:1")
    await p.until(lambda: status(db) == Status.ACCEPTED)
    await p.until(lambda: "网格员已接单" in told(p, RESIDENT))
    p.clock.forward(minutes=30)
    await kf.choose(card, WORKER, "done:1")
    await p.until(lambda: "已办结" in told(p, RESIDENT))

    # 满意 is a press too, and it names the matter.
    menu = p.seen(RESIDENT)[-1]
    assert [content for _, content in items(menu)] == ["满意", "不满意"]
    await kf.choose(menu, RESIDENT, items(menu)[0][0])
    await p.until(lambda: status(db) == Status.CLOSED)
    await p.until(lambda: "谢谢您的评价" in told(p, RESIDENT))
    assert (events(db).count("accepted"), ticket(db).rating) == (1, 5)  # type: ignore[union-attr]


async def test_where_it_is_is_asked(town_db: Database, db_url: str, tmp_path: Path, engine: Engine) -> None:
    """By an address that somebody has made up: she is greeted, and lives nowhere that we know."""
    everybody_to(town_db, NAME)
    async with platform() as p, deployment(p, settings_for(p, db_url, tmp_path), engine) as channel:
        link = await codes.link(channel._api, p.kf.open_kfid, Scenes("of-a-stranger").make("place:P-LA-B03"))
        await p.kf.enter(RESIDENT, link)
        await p.until(lambda: "邻声" in told(p, RESIDENT))
        assert "3幢" not in told(p, RESIDENT)
        await staff_writes(p)
        await p.kf.say(RESIDENT, "楼道灯坏了好几天，晚上看不见，没人修")
        await p.until(lambda: "请问" in told(p, RESIDENT))
        p.clock.forward(seconds=20)
        await p.kf.photo(RESIDENT, photo())
        await p.until(lambda: photos(town_db))
        p.clock.forward(seconds=20)
        await p.kf.say(RESIDENT, "柳岸花园3幢")
        await p.until(lambda: "地点已记为" in told(p, RESIDENT))
        assert place(town_db) == "P-LA-B03"
        await dealt_with(p, town_db)


async def test_a_leader_forwards_what_her_group_said(
    town_db: Database, db_url: str, tmp_path: Path, engine: Engine
) -> None:
    everybody_to(town_db, NAME)
    async with platform() as p, deployment(p, settings_for(p, db_url, tmp_path), engine):
        await p.kf.say(WORKER, "我手上有什么")
        await p.until(partial(told, p, WORKER))
        lines = [("王阿姨", "6幢楼道灯不亮了 晚上摸黑"), ("李叔", "是啊 好几天了")]
        await p.kf.forward(LEADER, "群聊的聊天记录", lines)
        await p.until(lambda: "LS00001" in told(p, LEADER))
        await p.until(lambda: menus(p, WORKER, "accept:1"))
        found = ticket(town_db)
        assert found is not None
        assert (found.category, found.place) == ("facility.lighting", "P-LA-B06")
        assert "6幢楼道灯不亮了 晚上摸黑\n是啊 好几天了" in told(p, WORKER)
        assert "王阿姨" not in told(p, WORKER)


async def test_a_human_and_back(town_db: Database, db_url: str, tmp_path: Path, engine: Engine) -> None:
    everybody_to(town_db, NAME)
    async with platform() as p, deployment(p, settings_for(p, db_url, tmp_path), engine):
        await p.kf.say(RESIDENT, "转人工")
        await p.until(lambda: p.kf.states.get(RESIDENT) == (3, "zhangsan"))
        assert "已转给社区工作人员" in told(p, RESIDENT)
        p.clock.forward(seconds=30)
        await p.kf.say(RESIDENT, "转机器人")
        await p.until(lambda: "已转回邻声" in told(p, RESIDENT))
        assert p.kf.states[RESIDENT][0] == 1
        p.clock.forward(seconds=30)
        await p.kf.say(RESIDENT, "柳岸花园3幢楼道灯坏了好几天，晚上看不见，没人修")
        await p.until(lambda: "LS00001" in told(p, RESIDENT))


async def test_a_rating_is_for_the_matter_it_was_asked_about(
    town_db: Database, db_url: str, tmp_path: Path, engine: Engine
) -> None:
    """Two are settled; she presses 满意 below the one that was settled first."""
    everybody_to(town_db, NAME)
    async with platform() as p, deployment(p, settings_for(p, db_url, tmp_path), engine):
        await p.kf.say(WORKER, "我手上有什么")
        await p.until(partial(told, p, WORKER))
        for number, words in (
            (1, "柳岸花园3幢楼道灯坏了好几天，晚上看不见，没人修"),
            (2, "柳岸花园5幢门口垃圾桶满了没人收，臭死了"),
        ):
            p.clock.forward(hours=1)
            await p.kf.say(RESIDENT, words)
            await p.until(partial(lambda n: f"LS0000{n}" in told(p, RESIDENT), number))
            await p.until(partial(menus, p, WORKER, f"done:{number}"))
            before = len(p.seen(WORKER))
            await p.kf.say(WORKER, "我手上有什么")  # five messages after each of hers
            await p.until(partial(lambda n: len(p.seen(WORKER)) > n, before))
        for number in (1, 2):
            p.clock.forward(hours=1)
            await p.kf.choose(menus(p, WORKER, f"done:{number}")[0], WORKER, f"done:{number}")
            await p.until(partial(lambda n: len(menus(p, RESIDENT, "LS")) == n, number))
        menu = menus(p, RESIDENT, "LS")[0]
        p.clock.forward(minutes=1)
        await p.kf.choose(menu, RESIDENT, next(one for one, words in items(menu) if words == "满意"))
        await p.until(lambda: "谢谢您的评价" in told(p, RESIDENT))
        states = town_db.tx(lambda s: list(s.scalars(sa.select(col(Ticket.status)).order_by(col(Ticket.id)))))
        assert states == [Status.CLOSED, Status.RESOLVED]


async def test_what_the_bot_cannot_read_is_asked_for_in_words(
    town_db: Database, db_url: str, tmp_path: Path, engine: Engine
) -> None:
    everybody_to(town_db, NAME)
    async with platform() as p, deployment(p, settings_for(p, db_url, tmp_path), engine):
        await p.kf._write(RESIDENT, "business_card", {"userid": "x"}, "[名片]")
        await p.until(lambda: say("unread") in told(p, RESIDENT))
        assert ticket(town_db) is None


async def test_a_matter_told_while_a_human_has_her(
    town_db: Database, db_url: str, tmp_path: Path, engine: Engine
) -> None:
    """It is registered and its worker alerted at once; she hears its number when she is with the bot again."""
    everybody_to(town_db, NAME)
    async with platform() as p, deployment(p, settings_for(p, db_url, tmp_path), engine):
        await p.kf.say(WORKER, "我手上有什么")
        await p.until(partial(told, p, WORKER))
        await p.kf.say(RESIDENT, "转人工")
        await p.until(lambda: p.kf.states.get(RESIDENT) == (3, "zhangsan"))
        p.clock.forward(seconds=30)
        await p.kf.say(RESIDENT, "柳岸花园3幢楼道灯坏了好几天，晚上看不见，没人修")
        await p.until(lambda: "【新任务】" in told(p, WORKER))
        assert "LS00001" not in told(p, RESIDENT)
        p.clock.forward(minutes=5)
        await p.kf.say(RESIDENT, "转机器人")
        await p.until(lambda: "LS00001" in told(p, RESIDENT))
