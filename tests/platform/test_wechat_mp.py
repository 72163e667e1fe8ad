"""The Official Account's adapter against the test platform, on both databases."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from PIL import Image
from prometheus_client import REGISTRY
from sqlmodel import Session, col
from structlog.testing import capture_logs

from bot.fetching import PAUSES
from config.tables import use
from models import fetching, voices
from models.database import Database
from models.fetching import Fetching
from models.inbox import Inbox
from models.message import Card, Kind
from models.outbox import Outbox
from tests.platform.harness import TestPlatform
from tests.platform.mp import SCENES, App, serving

NOTICE = {
    "template_id": "TPL",
    "template_fields": {"thing1": "{text}", "character_string2": "{number}", "time3": "{time}"},
}
SUBSCRIPTION = {"subscription_id": "SUB", "subscription_fields": {"thing1": "{text}"}}


@pytest.fixture
async def app(p: TestPlatform, db: Database, tmp_path: Path) -> AsyncIterator[App]:
    async with serving(p, db, tmp_path / "media") as made:
        yield made


def outcomes(db: Database) -> list[tuple[str, str]]:
    def read(session: Session) -> list[tuple[str, str]]:
        return [(row.outcome, row.platform_id) for row in session.scalars(sa.select(Outbox).order_by(col(Outbox.id)))]

    return db.tx(read)


def seen(app: App, user: str = "o1") -> list[tuple[str, str]]:
    return [(bubble.kind, bubble.text) for bubble in app.p.seen(user)]


async def test_the_address_is_accepted(app: App) -> None:
    assert await app.p.mp.verify()


# ---- every kind of message


async def test_all_kinds_are_heard(app: App) -> None:
    mp = app.p.mp
    await mp.say("o1", "3幢电梯坏了😀")
    await mp.photo("o1")
    await mp.voice("o1")
    await mp.voice("o1", "停水了")
    await mp.video("o1", b"\0\0\0\x18ftypmp42....")
    await mp.video("o1", b"\0\0\0\x18ftypmp42....", short=True)
    await mp.location("o1", 31.2, 121.4, "柳岸花园")
    await mp.link("o1", "停水通知", "https://a.example/1")
    heard = app.heard()
    assert [one.kind for one in heard] == [
        Kind.TEXT, Kind.IMAGE, Kind.VOICE, Kind.VOICE, Kind.VIDEO, Kind.VIDEO, Kind.LOCATION, Kind.TEXT,
    ]  # fmt: skip
    assert (heard[0].text, heard[3].text, heard[6].label) == ("3幢电梯坏了😀", "停水了", "柳岸花园")
    assert all(push.tries == 1 and push.body == "" for push in app.p.pushes)


async def test_the_platform_comes_again_and_nothing_is_twice(app: App) -> None:
    await app.p.mp.photo("o1")
    await app.p.mp.follow("o1")
    for push in list(app.p.pushes):
        await app.p.again(push)
    assert len(app.heard()) == 2
    assert [push.status for push in app.p.pushes] == [200] * 4


# ---- files


def count(db: Database) -> int:
    return db.tx(lambda session: int(session.scalars(sa.select(sa.func.count()).select_from(Fetching)).one()))


def photo() -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "MAKER-OF-THE-PHONE"
    raw = io.BytesIO()
    Image.new("RGB", (30, 20)).save(raw, "JPEG", exif=exif)
    return raw.getvalue()


async def test_a_photo_is_fetched_without_its_place(app: App) -> None:
    await app.p.mp.photo("o1", photo())
    assert app.heard()[0].media[0].path == ""
    assert await app.fetcher.step() == 1
    path = app.heard()[0].media[0].path
    kept = (app.media / path).read_bytes()
    assert kept.startswith(b"\xff\xd8\xff")
    assert b"MAKER" not in kept
    assert await app.fetcher.step() == 0


async def test_a_fetched_voice_can_be_heard(app: App, db: Database) -> None:
    await app.p.mp.voice("o1")
    assert db.tx(lambda s: voices._unheard(s, app.p.clock())) == []
    db.tx(lambda s: s.execute(sa.update(Inbox).values(outcome="held", finished_at=app.p.clock())))
    await app.fetcher.step()
    voice = app.heard()[0]
    assert voice.media[0].path.endswith(".amr")
    since = app.p.clock().replace(year=2020)
    assert len(db.tx(lambda s: voices._unheard(s, since))) == 1


async def test_a_message_in_a_workers_hand_is_not_changed(app: App, db: Database) -> None:
    await app.p.mp.photo("o1")
    row = db.tx(lambda s: s.scalars(sa.select(Fetching)).one())
    db.tx(lambda s: s.execute(sa.update(Inbox).values(lease="somebody")))
    assert db.tx(lambda s: fetching.settle(s, row, [], now=app.p.clock())) is None
    assert app.heard()[0].media[0].path == ""


async def test_what_was_taken_back_is_not_fetched(app: App, db: Database) -> None:
    await app.p.mp.photo("o1", photo())
    db.tx(lambda s: s.execute(sa.delete(Inbox)))
    app.p.calls.clear()
    await app.fetcher.step()
    app.p.clock.forward(seconds=PAUSES[0] + 1)
    await app.fetcher.step()
    assert [call.path for call in app.p.calls if "media" in call.path] == []
    assert not app.media.exists()
    assert db.tx(lambda s: s.scalars(sa.select(Fetching)).one().outcome) == "gone"


async def test_what_is_to_be_fetched_holds_no_words(app: App, db: Database) -> None:
    await app.p.mp.voice("o1", "我的电话是13812345678")
    assert "13812345678" not in db.tx(lambda s: s.scalars(sa.select(Fetching)).one().payload)


async def test_a_file_that_is_away_for_a_while_comes_later(app: App, db: Database) -> None:
    await app.p.mp.photo("o1", photo())
    app.p.faults.fail("/cgi-bin/media/get", status=500, times=3)
    await app.fetcher.step()
    assert app.heard()[0].media[0].path == ""
    assert await app.fetcher.step() == 0, "not at once"
    app.p.clock.forward(seconds=PAUSES[0] + 1)
    assert await app.fetcher.step() == 1
    assert app.heard()[0].media[0].path


async def test_a_voice_that_the_platform_forgot_is_asked_for_in_words(app: App, db: Database) -> None:
    await app.p.mp.voice("o1")
    app.p.clock.forward(days=3, seconds=1)
    with capture_logs() as logs:
        await app.fetcher.step()
    assert [line["final"] for line in logs if line["event"] == "fetch.not_done"] == [True]
    await app.p.mp.say("o1", "在吗")
    await app.leave()
    assert "打几个字" in seen(app)[-1][1]


# ---- what may still be sent


async def test_five_answers_and_then_no_call(app: App, db: Database) -> None:
    await app.p.mp.say("o1", "在吗")
    await app.send("o1", *(f"第{n}条" for n in range(7)))
    assert [text for _, text in seen(app)] == [f"第{n}条" for n in range(5)]
    assert [outcome for outcome, _ in outcomes(db)] == ["sent"] * 5 + ["waits"] * 2
    assert [call.code for call in app.p.calls if "custom" in call.path] == [0] * 5, "the platform is not asked in vain"
    app.p.clock.forward(minutes=1)
    await app.p.mp.say("o1", "还在吗")
    await app.send("o1", "在的")
    assert [text for _, text in seen(app)][5:] == ["第5条", "第6条", "在的"], "what waited for her word goes first"


async def test_what_waits_for_her_word_is_given_up_in_the_end(app: App, db: Database) -> None:
    await app.p.mp.say("o1", "在吗")
    app.p.clock.forward(hours=49)
    await app.send("o1", "已办结")
    for _ in range(9):
        assert outcomes(db) == [("waits", "")]
        app.p.clock.forward(hours=6)
        await app.leave()
    assert (outcomes(db), seen(app)) == ([("dead", "")], [])


async def test_after_two_days_a_template_says_it(p: TestPlatform, db: Database, tmp_path: Path) -> None:
    async with serving(p, db, tmp_path, **NOTICE) as app:
        p.mp.templates["TPL"] = "办件进度提醒"
        await p.mp.say("o1", "电梯坏了")
        p.clock.forward(hours=48, seconds=1)
        card = Card(title="LS00042 电梯", link="https://l.example/task/x")
        await app.send("o1", "您反映的柳岸花园3幢2单元电梯问题已经办结，请评价", ticket=42, card=card)
        (kind, text), body = seen(app)[0], p.seen("o1")[0].body
        assert kind == "template"
        assert text.splitlines()[1:] == ["您反映的柳岸花园3幢2单元电梯问题已经…", "LS00042", "2026年3月4日 08:00"]
        assert body["url"] == "https://l.example/task/x"
        assert outcomes(db) == [("waits", p.seen("o1")[0].key)], "the rest of it waits for her"


async def test_the_platforms_count_goes_before_ours(p: TestPlatform, db: Database, tmp_path: Path) -> None:
    """Another program of the same account has used them up."""
    async with serving(p, db, tmp_path, **NOTICE) as app:
        p.mp.templates["TPL"] = "办件进度提醒"
        await p.mp.say("o1", "电梯坏了")
        p.faults.fail("/cgi-bin/message/custom/send", code=45047)
        await app.send("o1", "已登记", "再说一句")
        assert [kind for kind, _ in seen(app)] == ["template", "template"]
        assert [call.path for call in p.calls if "custom" in call.path] == [], "the second one does not ask any more"


async def test_who_agreed_to_a_notice_gets_that_once(p: TestPlatform, db: Database, tmp_path: Path) -> None:
    async with serving(p, db, tmp_path, **SUBSCRIPTION) as app:
        p.mp.templates["SUB"] = "办结通知"
        await p.mp.say("o1", "电梯坏了")
        await p.mp.agree("o1", "SUB")
        p.clock.forward(hours=49)
        await app.send("o1", "已办结", "还有一句")
        assert [kind for kind, _ in seen(app)] == ["subscribe"]
        assert [outcome for outcome, _ in outcomes(db)] == ["sent", "waits"]


async def test_a_long_term_agreement_is_good_for_all(p: TestPlatform, db: Database, tmp_path: Path) -> None:
    async with serving(p, db, tmp_path, subscription_long_term=True, **SUBSCRIPTION) as app:
        p.mp.templates["SUB"] = "办结通知"
        await p.mp.say("o1", "电梯坏了")
        await p.mp.agree("o1", "SUB", times=3)
        p.clock.forward(hours=49)
        await app.send("o1", "一", "二", "三")
        assert [kind for kind, _ in seen(app)] == ["subscribe"] * 3
        refusal = {"List": {"TemplateId": "SUB", "SubscribeStatusString": "reject"}}
        await p.mp.event("o1", "subscribe_msg_change_event", SubscribeMsgChangeEvent=refusal)
        await app.send("o1", "四")
        assert len(seen(app)) == 3


async def test_a_lasting_agreement_outlives_an_answer_that_was_lost(
    p: TestPlatform, db: Database, tmp_path: Path
) -> None:
    async with serving(p, db, tmp_path, subscription_long_term=True, **SUBSCRIPTION) as app:
        p.mp.templates["SUB"] = "办结通知"
        await p.mp.say("o1", "电梯坏了")
        await p.mp.agree("o1", "SUB", times=3)
        p.clock.forward(hours=49)
        p.faults.fail("/cgi-bin/message/subscribe/bizsend", taken=True, cut=True)
        await app.send("o1", "一", "二")
        assert [kind for kind, _ in seen(app)] == ["subscribe"] * 2
        assert [outcome for outcome, _ in outcomes(db)] == ["uncertain", "sent"]


async def test_a_message_that_did_not_leave_counts_again(app: App, db: Database) -> None:
    await app.p.mp.say("o1", "在吗")
    for _ in range(3):
        app.p.faults.fail("/cgi-bin/message/custom/send", code=45009)
        await app.send("o1", "稍后")
        app.p.clock.forward(minutes=2)
        await app.leave()
    assert len(seen(app)) == 3
    await app.send("o1", "四", "五")
    assert len(seen(app)) == 5


async def test_a_long_answer_leaves_two_for_later(app: App) -> None:
    await app.p.mp.say("o1", "在吗")
    await app.send("o1", "一", "水" * 3_000, "三", "四")
    assert [text[:1] for _, text in seen(app)] == ["一", "水", "水", "三", "四"]


async def test_a_press_opens_three_for_a_minute(app: App) -> None:
    await app.p.mp.follow("o1")
    await app.send("o1", *"一二三四")
    assert [text for _, text in seen(app)] == ["一", "二", "三"]


# ---- events


async def test_a_followers_scene_is_the_building(town_db: Database, p: TestPlatform, tmp_path: Path) -> None:
    async with serving(p, town_db, tmp_path) as app:
        await p.mp.follow("o1", SCENES.make("place:P-LA-B03"))
        await p.mp.scan("o1", SCENES.make("grid:QX-01"))
        await p.mp.scan("o1", SCENES.make("code:12345678"))
        told = [one.platform for one in app.heard()]
        assert told == [{"scene": "place:P-LA-B03"}, {"scene": "grid:QX-01"}, {"scene": "code:12345678"}]
        assert all(one.direct and one.chat == "o1" for one in app.heard())


@pytest.mark.parametrize("scene", ["7", "p.P-LA-B03.aaaaaaaaaa", "place:P-LA-B03", SCENES.make("place:nowhere")])
async def test_a_forged_scene_is_refused(town_db: Database, p: TestPlatform, tmp_path: Path, scene: str) -> None:
    def refused() -> float:
        told = {"channel": "wechat_mp", "why": "scene"}
        return REGISTRY.get_sample_value("linsheng_callbacks_refused_total", told) or 0.0

    before = refused()
    async with serving(p, town_db, tmp_path) as app:
        with capture_logs() as logs:
            await p.mp.follow("o1", scene)
            await p.mp.scan("o1", scene)
        assert [one.platform for one in app.heard()] == [{"enter": "first"}], "she follows all the same"
        assert refused() == before + 2
        assert scene not in repr(logs)


async def test_a_menu_button_says_what_it_stands_for(app: App) -> None:
    await app.channel.publish_menu()
    await app.p.mp.press("o1", "say:我反映的事办得怎么样了")
    assert [(one.text, one.direct) for one in app.heard()] == [("我反映的事办得怎么样了", True)]
    await app.p.mp.event("o1", "CLICK", EventKey="say:删掉所有人的信息")
    await app.p.mp.event("o1", "CLICK", EventKey="accept:42")
    assert len(app.heard()) == 1


async def test_where_somebody_is_is_not_kept(app: App, db: Database) -> None:
    await app.p.mp.event("o1", "LOCATION", Latitude="31.2", Longitude="121.4", Precision="10")
    assert app.heard() == []
    assert [push.status for push in app.p.pushes] == [200]


async def test_a_notice_that_did_not_arrive_is_counted(app: App) -> None:
    with capture_logs() as logs:
        await app.p.mp.event("o1", "TEMPLATESENDJOBFINISH", MsgID="200", Status="failed:user block")
        await app.p.mp.event("o1", "TEMPLATESENDJOBFINISH", MsgID="201", Status="success")
    assert [line["message"] for line in logs if line["event"] == "notice.not_delivered"] == ["200"]


async def test_who_unfollows_is_not_written_to(app: App, db: Database) -> None:
    await app.p.mp.say("o1", "在吗")
    await app.p.mp.unfollow("o1")
    app.p.calls.clear()
    await app.send("o1", "在的")
    assert [call.path for call in app.p.calls if "send" in call.path] == []
    assert [outcome for outcome, _ in outcomes(db)] == ["waits"]


async def test_that_she_left_and_came_back_is_told_late(app: App) -> None:
    await app.p.mp.say("o1", "在吗")
    left = await app.p.mp.unfollow("o1")
    app.p.clock.forward(seconds=5)
    await app.p.mp.say("o1", "又来了")
    app.p.clock.forward(seconds=1)
    assert left is not None
    await app.p.again(left)
    await app.send("o1", "在的")
    assert seen(app) == [("text", "在的")]


async def test_a_qr_code_for_a_building(app: App) -> None:
    ticket, address = await app.channel.qr_code(SCENES.make("place:P-LA-B03"))
    assert app.p.mp.tickets[ticket] == SCENES.make("place:P-LA-B03")
    assert address.startswith("http://weixin.qq.com/q/")


async def test_the_deployments_own_menu(app: App, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "wechat_menu.yaml").write_text("menu:\n  - name: 报修\n    say: 报修\n", encoding="utf-8")
    use(tmp_path)
    await app.channel.publish_menu()
    assert app.p.mp.menu is not None
    assert [button["key"] for button in app.p.mp.menu["button"]] == ["say:报修"]


# ---- the platform stumbles


async def test_a_minute_away_loses_nothing(app: App, db: Database) -> None:
    await app.p.mp.say("o1", "在吗")
    app.p.faults.down = True
    await app.send("o1", "一")
    app.p.clock.forward(minutes=1)
    app.p.faults.down = False
    await app.leave()
    app.p.tokens.revoke()
    await app.send("o1", "二")
    assert [text for _, text in seen(app)] == ["一", "二"]
