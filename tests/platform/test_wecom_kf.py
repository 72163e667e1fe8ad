"""微信客服, what comes in: against the test platform, on both databases."""

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from PIL import Image
from prometheus_client import REGISTRY
from sqlmodel import Session
from structlog.testing import capture_logs

from bot.channels.sealed import Seal
from bot.channels.wecom_kf import codes, puller
from models import pull, quota
from models.database import Database
from models.message import Kind
from models.pull import Pull
from tests.platform.harness import TestPlatform
from tests.platform.kf import SCENES, App, serving

USER = "wm-lihua"


@pytest.fixture
async def app(p: TestPlatform, db: Database, tmp_path: Path) -> AsyncIterator[App]:
    async with serving(p, db, tmp_path / "media", human="servicer", servicers=("zhangsan",)) as made:
        yield made


def refused(why: str) -> float:
    return REGISTRY.get_sample_value("linsheng_callbacks_refused_total", {"channel": "wecom_kf", "why": why}) or 0.0


def photo() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (30, 20), "navy").save(made, "JPEG")
    return made.getvalue()


async def test_the_address_is_accepted(app: App) -> None:
    assert await app.p.kf.verify()


async def test_all_kinds_are_heard(app: App) -> None:
    kf = app.p.kf
    said = await kf.say(USER, "3幢电梯坏了😀")
    await kf.photo(USER, photo())
    await kf.voice(USER)
    await kf.location(USER, 31.2, 121.4, "柳岸花园", "柳岸路1号")
    await kf.forward(USER, "群聊的聊天记录", [("朵朵妈", "6幢停水了"), ("阿杰", "我们也停了")])
    await kf.recall(USER, said)
    kf.messages.append(kf.messages[0] | {"msgid": "of-a-servicer", "origin": 5})
    assert await app.look() == 6
    heard = app.heard()
    assert [one.kind for one in heard] == [
        Kind.TEXT, Kind.IMAGE, Kind.VOICE, Kind.LOCATION, Kind.TEXT, Kind.RECALL,
    ]  # fmt: skip
    assert (heard[0].text, heard[3].label, heard[5].recalls) == ("3幢电梯坏了😀", "柳岸花园 柳岸路1号", said.id)
    assert 121.39 < (heard[3].lon or 0) < 121.4  # the pin was GCJ-02
    assert heard[4].words == "6幢停水了\n我们也停了"
    assert all(one.direct and one.chat == one.sender == USER for one in heard)
    assert app.woken == 1
    assert await app.fetcher.step() == 2
    assert [one.media[0].path.rpartition(".")[2] for one in app.heard() if one.media] == ["jpg", "amr"]


async def test_pages_and_an_empty_page(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(puller, "PAGE", 2)
    for number in range(5):
        await app.p.kf.say(USER, str(number))
    app.p.kf_api.empty_pages = 3
    assert await app.look() == 5
    assert [one.text for one in app.heard()] == ["0", "1", "2", "3", "4"]
    assert app.pull().cursor == f"c{app.p.kf.run}-5"
    app.p.kf_api.empty_pages = 1  # also where a cursor stands already
    await app.p.kf.say(USER, "5")
    assert await app.look() == 1


async def test_a_platform_that_gives_nothing_is_left_alone(app: App) -> None:
    app.p.kf_api.empty_pages = 1000
    await app.p.kf.say(USER, "在吗")
    assert await app.look() == 0
    assert len(app.sent("sync_msg")) <= 12
    app.p.kf_api.empty_pages = 0
    app.p.clock.forward(seconds=6)
    assert await app.look() == 1


async def test_one_unreadable_message_does_not_hold_up_the_others(app: App) -> None:
    await app.p.kf.say(USER, "一")
    app.p.kf.messages[-1]["send_time"] = "yesterday"
    await app.p.kf.say(USER, "二")
    before = refused("malformed")
    assert await app.look() == 1
    assert refused("malformed") == before + 1


# ---- nothing twice, nothing lost


async def test_callbacks_come_again_late_and_backwards(app: App) -> None:
    app.p.pusher.holding = True
    for number in range(3):
        await app.p.kf.say(USER, str(number))
    await app.p.pusher.release(backwards=True)
    for push in list(app.p.pushes):
        await app.p.again(push)
    assert {push.status for push in app.p.pushes} == {200}
    assert await app.look() == 3
    assert await app.look() == 0
    assert [one.text for one in app.heard()] == ["0", "1", "2"]


async def test_a_replayed_nonce_and_a_strangers_letter(app: App) -> None:
    kf, pushes = app.p.kf, app.p.pushes
    await kf.say(USER, "一")
    first = pushes[-1]
    forged = dict(first.params) | {"msg_signature": "0" * 40}
    push = await app.p.pusher.post(first.url, forged, first.data, content_type="text/xml", tries=1)
    assert (push.status, push.body) == (403, "refused")
    # Under the nonce of the first another letter, rightly sealed.
    before, seal = refused("replay"), Seal(kf.token, kf.aes_key, kf.corp_id)
    letter = seal.opened(first.data.decode(), first.params, app.p.clock())
    assert "<Token>" in letter
    stamp, nonce = first.params["timestamp"], first.params["nonce"]
    sealed, signature = seal.seal(letter.replace("</Token>", "x</Token>").replace("]]>x", "x]]>"), stamp, nonce)
    replayed, data = dict(first.params) | {"msg_signature": signature}, f"<xml><Encrypt>{sealed}</Encrypt></xml>"
    push = await app.p.pusher.post(first.url, replayed, data.encode(), content_type="text/xml", tries=1)
    assert (push.status, push.body, refused("replay")) == (403, "refused", before + 1)
    assert (await app.p.again(first)).status == 200  # the platform itself, trying again
    assert app.pull().asked == 2
    app.p.clock.forward(minutes=6)
    assert (await app.p.again(first)).status == 403  # stale
    await app.look()
    assert app.pull().asked == 2


async def test_the_cursor_is_put_back(app: App) -> None:
    for number in range(3):
        await app.p.kf.say(USER, str(number))
    assert await app.look() == 3
    await app.send(USER, "已登记")
    app.db.tx(lambda session: session.execute(sa.update(Pull).values(cursor="", asked=Pull.asked + 1)))
    assert await app.look() == 0
    assert len(app.heard()) == 3
    await app.send(USER, "1", "2", "3", "4", "5")
    assert app.texts(USER) == ["已登记", "1", "2", "3", "4"]  # the grant did not begin anew
    assert 95001 not in app.sent("send_msg")


async def test_a_crash_while_a_page_is_kept(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    await app.p.kf.photo(USER, photo())
    keeping = app.channel.puller._keeping

    class Killed(BaseException):
        """The process ends."""

    def dies(session: Session, found: Any, now: Any) -> int:
        type(keeping).keep(keeping, session, found, now)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(keeping, "keep", dies)
        with pytest.raises(Killed):
            await app.look()
    assert (app.heard(), app.pull().cursor, app.pull().lease) == ([], "", "")
    assert await app.look() == 1
    assert [one.kind for one in app.heard()] == [Kind.IMAGE]


async def test_a_process_that_was_told_and_died(app: App, p: TestPlatform, db: Database, tmp_path: Path) -> None:
    await p.kf.say(USER, "灯坏了")
    assert p.pushes[-1].taken
    async with serving(p, db, tmp_path / "media") as other:  # another one, which got no callback
        assert await other.look() == 1
    assert await app.look() == 0


async def test_a_lost_callback_is_made_up_for(app: App) -> None:
    assert await app.look() == 0
    app.p.kf.callback = ""
    await app.p.kf.say(USER, "没人知道")
    assert await app.look() == 0
    app.p.clock.forward(minutes=11)
    assert await app.look() == 1
    asked = [call.body for call in app.p.calls if call.path.endswith("sync_msg")][-1]
    assert "token" not in asked


async def test_a_clock_that_goes_on_between_two_looks_at_it(app: App) -> None:
    """A clock that is moved by hand stood still where the real one had gone on, and nothing was ever pulled."""
    app.channel.puller._clock = lambda: app.p.clock.forward(microseconds=1)
    await app.p.kf.say(USER, "电梯停了")
    assert await app.look() == 1


async def test_what_was_said_while_no_process_was_there(
    app: App, p: TestPlatform, db: Database, tmp_path: Path
) -> None:  # fmt: skip
    """Read to its end a moment ago, then gone, and the callback given up: the next process asks within two minutes."""
    assert await app.look() == 0
    p.kf.callback = ""
    await p.kf.say(USER, "电梯停了")
    async with serving(p, db, tmp_path / "other") as other:
        assert await other.look() == 0
        p.clock.forward(seconds=61)
        assert await other.look() == 1
        p.clock.forward(seconds=119)
        assert await other.look() == 0
        calls = len(p.calls)
        p.clock.forward(seconds=119)  # by now as seldom as any other
        assert await other.look() == 0
        assert len(p.calls) == calls


async def test_a_process_that_begins_looks_at_once(app: App, p: TestPlatform, db: Database, tmp_path: Path) -> None:
    assert await app.look() == 0
    for _ in range(2):  # until it is no longer young
        p.clock.forward(seconds=61)
        await app.look()
    p.kf.callback = ""
    await p.kf.say(USER, "没人知道")
    p.clock.forward(seconds=61)
    assert await app.look() == 0
    async with serving(p, db, tmp_path / "media") as other:
        assert await other.look() == 1


async def test_callbacks_at_once_share_a_commit(app: App) -> None:
    token = "ENC-1"  # noqa: S105 - of no account
    await asyncio.gather(*(app.channel.puller.told(app.p.kf.open_kfid, token) for _ in range(200)))
    assert (app.pull().asked < 20, app.pull().hint) == (True, token)
    before = app.pull().asked
    await app.channel.puller.told(app.p.kf.open_kfid, token)
    assert app.pull().asked == before + 1


async def test_a_database_that_is_away_acknowledges_nothing(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise sa.exc.OperationalError("", None, Exception("away"))

    with monkeypatch.context() as patch:
        patch.setattr(pull, "ask", away)
        await app.p.kf.say(USER, "灯坏了")
        assert app.p.pushes[-1].statuses == [503] * 3
    assert (await app.p.again(app.p.pushes[0])).status == 200
    assert await app.look() == 1


async def test_one_puller_at_a_time(app: App, p: TestPlatform, db: Database, tmp_path: Path) -> None:
    for number in range(20):
        await p.kf.say(USER, str(number))
    others = [App(p, db, tmp_path / "media") for _ in range(3)]
    for other in others:
        await other.channel._api.start()
    counts = await asyncio.gather(*(one.look() for one in (app, *others)))
    for other in others:
        await other.channel.stop()
    assert sum(counts) == 20
    assert len(app.heard()) == 20
    assert len({one.id for one in app.heard()}) == 20


async def test_a_puller_that_was_away_too_long(app: App, db: Database) -> None:
    """It hung over a page; another one has its lease, and the cursor where it is."""
    await app.p.kf.say(USER, "一")
    name = puller.name_of(app.p.kf.open_kfid)
    page = app.channel.puller._page

    async def slow(row: Pull, account: str) -> dict[str, Any]:
        found = await page(row, account)
        later = app.p.clock() + timedelta(minutes=3)
        taken = db.tx(lambda s: pull.seize(s, name, now=later, lease=timedelta(minutes=2)))
        assert taken is not None
        return found

    app.channel.puller._page = slow  # type: ignore[method-assign]
    assert await app.look() == 0
    assert (app.heard(), app.pull().cursor) == ([], "")
    app.channel.puller._page = page  # type: ignore[method-assign]
    app.p.clock.forward(minutes=6)
    assert await app.look() == 1


# ---- the platform fails


async def test_the_platform_is_down_for_a_minute(app: App) -> None:
    await app.p.kf.say(USER, "灯坏了")
    await app.p.down()
    with capture_logs() as logs:
        assert await app.look() == 0
    assert [line["event"] for line in logs if line["log_level"] == "warning"][-1] == "kf.not_pulled"
    asked = len(app.p.calls)
    assert await app.look() == 0
    assert len(app.p.calls) == asked, "it is not asked again at once"
    app.p.clock.forward(minutes=1)
    app.p.up()
    assert await app.look() == 1
    await app.send(USER, "已登记")
    assert app.texts(USER) == ["已登记"]


async def test_a_token_revoked_meanwhile(app: App) -> None:
    await app.p.kf.say(USER, "一")
    await app.look()
    app.p.tokens.revoke()
    await app.p.kf.say(USER, "二")
    assert await app.look() == 1
    app.p.tokens.revoke()
    await app.send(USER, "已登记")
    assert app.texts(USER) == ["已登记"]


async def test_a_callbacks_token_that_is_too_old(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    await app.p.kf.say(USER, "一")
    app.p.clock.forward(minutes=9, seconds=59)
    app.p.kf.tokens.clear()  # by the platform's own clock
    assert await app.look() == 1
    assert app.sent("sync_msg") == [95007, 0]


async def test_the_rate_of_bare_calls_is_kept_to(app: App) -> None:
    for _ in range(5):
        app.p.kf_api._bare.take("", app.p.clock())
    app.p.kf.callback = ""
    await app.p.kf.say(USER, "一")
    assert await app.look() == 0
    assert app.sent("sync_msg") == [45009]
    app.p.clock.forward(seconds=30)
    assert await app.look() == 0
    assert app.sent("sync_msg") == [45009], "not within its minute"
    app.p.clock.forward(seconds=31)
    assert await app.look() == 1


# ---- she opens the chat


async def test_a_scene_of_ours_and_a_forged_one(app: App, town_db: Database) -> None:
    link = await codes.link(app.channel._api, app.p.kf.open_kfid, SCENES.make("place:P-LA-B03"))
    await app.p.kf.enter(USER, link)
    await app.p.kf.enter("wm-2", link.replace("B03", "B04"))
    await app.p.kf.enter("wm-3", link.partition("&")[0] + "&scene_param=" + SCENES.make("place:P-NOWHERE"))
    before = refused("scene")
    await app.look()
    assert refused("scene") == before + 2
    kept = [{name: one.platform.get(name) for name in ("scene", "enter")} for one in app.heard()]
    assert kept == [
        {"scene": "place:P-LA-B03", "enter": None}, {"scene": None, "enter": "first"}, {"scene": None, "enter": "first"}
    ]  # fmt: skip
    assert all(one.platform["welcome_code"] for one in app.heard())
    granted = app.db.tx(lambda s: quota.known(s, puller.name_of(app.p.kf.open_kfid)))
    assert not granted, "to open the chat entitles to nothing but the greeting"


async def test_to_enter_again_is_no_news(app: App) -> None:
    await app.p.kf.say(USER, "在吗")
    await app.p.kf.enter(USER)
    assert await app.look() == 1
