"""微信客服, what goes out: against the test platform, on both databases."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import col
from structlog.testing import capture_logs

from bot.channels.menus import msgid
from bot.channels.wecom_kf import ledger
from bot.channels.wecom_kf.pushing import CLOSED
from handlers.texts import say
from models import quota
from models.database import Database
from models.inbox import Inbox
from models.message import Button, Card, Purpose
from models.outbox import DEAD, SENT, WAITS, Outbox
from models.ticket import Status, Ticket
from tests.models.letters import TASK, open_ticket
from tests.platform.harness import TestPlatform
from tests.platform.kf import App, serving
from tests.scenario.matters import everybody_to

USER = "wm-lihua"


@pytest.fixture
async def app(p: TestPlatform, db: Database, tmp_path: Path) -> AsyncIterator[App]:
    async with serving(p, db, tmp_path / "media", human="servicer", servicers=("zhangsan",)) as made:
        yield made


async def wrote(app: App, text: str = "灯坏了") -> str:
    """She writes, a second after the last time, and it is kept; returns the message's id."""
    app.p.clock.forward(seconds=1)
    said = await app.p.kf.say(USER, text)
    await app.look()
    return said.id


def left(app: App) -> int:
    key = ledger.key(app.p.kf.open_kfid, USER)
    return app.db.tx(lambda session: quota.left(session, key, app.p.clock()))


# ---- once


@pytest.mark.parametrize("fault", [{"cut": True}, {"status": 504}])
async def test_an_answer_that_was_lost_is_not_sent_twice(app: App, fault: dict[str, object]) -> None:
    await wrote(app)
    app.p.faults.fail("/cgi-bin/kf/send_msg", taken=True, **fault)  # type: ignore[arg-type]
    await app.send(USER, "已登记")
    assert [row.outcome for row in app.rows()] == [""]
    app.p.clock.forward(minutes=5)
    await app.leave()
    assert (app.texts(USER), [row.outcome for row in app.rows()]) == (["已登记"], [SENT])
    assert left(app) == 4, "it is counted once"


@pytest.mark.parametrize("known", [False, True])
async def test_a_refused_repeat_counts_as_sent_only_where_its_code_is_known(
    p: TestPlatform, db: Database, tmp_path: Path, known: bool
) -> None:
    """No page says how the platform refuses a msgid that it has seen, and another refusal must not pass for it."""
    p.kf_api.repeat_code = 95999
    async with serving(p, db, tmp_path / "media", **({"repeat_codes": [95999]} if known else {})) as app:
        await wrote(app)
        app.p.faults.fail("/cgi-bin/kf/send_msg", taken=True, cut=True)
        await app.send(USER, "已登记")
        app.p.clock.forward(minutes=5)
        await app.leave()
        assert [row.outcome for row in app.rows()] == ([SENT] if known else [""])
        assert app.texts(USER) == ["已登记"]


@pytest.mark.parametrize("another", [False, True])
async def test_a_long_answer_goes_on_with_its_second_part(app: App, tmp_path: Path, another: bool) -> None:
    """another: process makes the second try."""
    await wrote(app)
    api, calls = app.channel._api, []

    async def call(path: str, body: dict[str, object], **more: object) -> object:
        calls.append(body.get("msgid"))
        if len(calls) == 2:
            app.p.faults.fail("/cgi-bin/kf/send_msg", status=502, times=3)
        return await type(api).call(api, path, body, **more)  # type: ignore[arg-type]

    api.call = call  # type: ignore[method-assign,assignment]
    await app.send(USER, "一。" * 300 + "二。" * 300)
    assert len(app.texts(USER)) == 1
    app.p.clock.forward(minutes=5)
    if another:
        async with serving(app.p, app.db, tmp_path) as other:
            await other.leave()
    await app.leave()
    shown = app.texts(USER)
    assert (len(shown), "".join(shown)) == (2, "一。" * 300 + "二。" * 300)
    assert calls[2:] == ([] if another else calls[1:2]), "under the same id"
    assert all(len(str(name)) <= 32 for name in calls)
    assert left(app) == 3


async def test_the_platform_is_down_for_a_minute(app: App) -> None:
    await wrote(app)
    await app.p.down()
    await app.send(USER, "已登记", "网格员已接单")
    for _ in range(6):  # more tries than there are messages left
        app.p.clock.forward(minutes=5)
        await app.leave()
    assert [row.outcome for row in app.rows()] == ["", ""]
    app.p.clock.forward(minutes=10)
    app.p.up()
    await app.leave()
    assert (app.texts(USER), left(app)) == (["已登记", "网格员已接单"], 3)


async def test_no_secret_is_told(app: App) -> None:
    with capture_logs() as logs:
        await app.p.kf.enter(USER)
        await app.look()
        (entered,) = app.heard()
        for path in ("send_msg_on_event", "send_msg", "sync_msg"):
            app.p.faults.fail(f"/cgi-bin/kf/{path}", code=40058)
        await app.send(USER, "您好", trigger=entered.id)
        await wrote(app)
    (row,) = app.rows()
    assert row.error, "it failed, and says why"
    told = f"{logs} {row.error}"
    secrets = (app.p.kf.secret, app.p.kf.token, app.p.kf.aes_key, entered.platform["welcome_code"], USER)
    assert not [secret for secret in (*secrets, app.channel._api.tokens.value or "") if secret in told]


# ---- five in 48 hours


async def test_what_is_too_much_waits_for_her_next_word(app: App) -> None:
    await wrote(app)
    await app.send(USER, *"123456")
    await app.send(USER, "急", purpose=Purpose.ALERT)
    assert app.texts(USER) == ["1", "2", "3", "4", "5"]
    assert [(row.outcome, "used up" in row.error) for row in app.rows()[5:]] == [(WAITS, True), (WAITS, True)]
    await wrote(app, "修得怎么样了")
    await app.leave()
    assert app.texts(USER)[5:] == ["6", "急"]
    assert set(app.sent("send_msg")) == {0}, "the platform never had to refuse"


async def test_an_alert_waits_only_where_nobody_else_can_be_told(p: TestPlatform, town_db: Database) -> None:
    everybody_to(town_db, "wecom_kf")
    told = {"status": Status.ASSIGNED, "grid": "QX-01-01-01", "worker": "W01"}
    ticket = town_db.tx(lambda session: open_ticket(session, p.clock(), **told).id)
    async with serving(p, town_db, Path()) as app:
        await app.send("w01", "急", purpose=Purpose.ALERT, card=TASK, ticket=ticket, to_person="W01")
        rows = app.rows()
        assert (rows[0].outcome, "95002" in rows[0].error) == (DEAD, True)
        waiting = next(row for row in rows if row.outcome == WAITS)  # nobody of them has ever written
        user = waiting.conversation.partition(":")[2]
        await p.kf.say(user, "在")
        await app.look()
        await app.leave()
        assert [row.outcome for row in app.rows() if row.id == waiting.id] == [SENT]
        assert app.texts(user)


async def test_the_platform_counts_otherwise(app: App) -> None:
    await wrote(app)
    app.p.kf.window.heard(USER, app.p.clock(), 0)
    await app.send(USER, "已登记", "再说一句")
    assert (app.texts(USER), app.sent("send_msg")) == ([], [95001])
    assert left(app) == 0
    await wrote(app, "在吗")
    await app.leave()
    assert app.texts(USER) == ["已登记", "再说一句"]


@pytest.mark.parametrize("code", sorted(CLOSED))
async def test_what_the_platform_does_not_take_now_waits_for_her_next_word(app: App, code: int) -> None:
    answered = await wrote(app)
    app.p.faults.fail("/cgi-bin/kf/send_msg", code=code)
    await app.send(USER, "已登记", trigger=answered)
    (row,) = app.rows()
    assert (row.outcome in (SENT, DEAD), (row.visible_at - app.p.clock()).total_seconds() > 3600) == (False, True)
    await wrote(app, "在吗")
    await app.leave()
    assert (app.texts(USER), left(app)) == (["已登记"], 4)


async def test_a_message_that_did_not_reach_her(app: App) -> None:
    await wrote(app)
    await app.send(USER, "已登记")
    (row,) = app.rows()
    await app.p.kf.fail(USER, f"{row.platform_id}_0", 10)
    await app.look()
    await app.leave()
    (row,) = app.rows()
    assert (row.outcome, row.error) == (DEAD, "msg_send_fail 10")


async def test_an_alert_that_did_not_reach_her_goes_on_once(p: TestPlatform, town_db: Database) -> None:
    everybody_to(town_db, "wecom_kf")
    told = {"status": Status.ASSIGNED, "grid": "QX-01-01-01", "worker": "W01"}
    ticket = town_db.tx(lambda session: open_ticket(session, p.clock(), **told).id)
    async with serving(p, town_db, Path()) as app:
        for user in ("w01", "c01", "c02"):
            await p.kf.say(user, "在")
        await app.look()
        await app.send("w01", "急", purpose=Purpose.ALERT, card=TASK, ticket=ticket, to_person="W01")
        assert [row.outcome for row in app.rows()] == [SENT]
        for _ in range(2):  # the platform tells it twice
            await p.kf.fail("w01", f"{app.rows()[0].platform_id}_0", 10)
            await app.look()
            await app.leave()
        assert app.rows()[0].outcome == DEAD
        assert town_db.tx(lambda session: session.get_one(Ticket, ticket).worker) == "C01"
        assert [len(app.texts(user)) for user in ("c01", "c02")] == [1, 1]


async def test_what_did_not_arrive_while_its_answer_is_awaited(app: App) -> None:
    """The answer to the request was lost, and it is to be tried again, when the platform says that it is in vain."""
    await wrote(app)
    app.p.faults.fail("/cgi-bin/kf/send_msg", taken=True, cut=True)
    await app.send(USER, "已登记")
    await app.p.kf.fail(USER, f"{msgid('test:0')}_0", 10)
    await app.look()
    await app.leave()
    assert [(row.outcome, row.error) for row in app.rows()] == [(DEAD, "msg_send_fail 10")]


# ---- the greeting


async def test_the_greeting_needs_no_message_of_hers(app: App) -> None:
    await app.p.kf.enter(USER)
    await app.look()
    (entered,) = app.heard()
    app.p.faults.fail("/cgi-bin/kf/send_msg_on_event", taken=True, cut=True)
    await app.send(USER, "您好，我是邻声。", trigger=entered.id)
    app.p.clock.forward(seconds=5)
    await app.leave()
    assert (app.texts(USER), app.rows()[0].outcome) == (["您好，我是邻声。"], SENT)
    assert app.sent("send_msg") == []


async def test_a_greeting_that_is_late_waits_for_her(app: App) -> None:
    await app.p.kf.enter(USER)
    await app.look()
    (entered,) = app.heard()
    app.p.clock.forward(seconds=21)
    await app.send(USER, "您好，我是邻声。", trigger=entered.id)
    assert (app.texts(USER), app.rows()[0].outcome) == ([], WAITS)
    await wrote(app)
    await app.leave()
    assert app.texts(USER) == ["您好，我是邻声。"]


# ---- menus


async def test_a_cards_buttons_are_a_menu(app: App) -> None:
    await wrote(app, "我手上有什么")
    buttons = (Button(text="接单", action="accept:7"), Button(text="办结", action="done:7"))
    card = Card(title="LS00007 路灯", facts=(("地点", "3幢"),), words="灯坏了" * 400, buttons=buttons,
                link="https://app.example/task/1")  # fmt: skip
    await app.send(USER, "【新任务】", card=card, purpose=Purpose.ALERT)
    (menu,) = app.p.seen(USER)
    assert len(menu.body["msgmenu"]["head_content"].encode()) <= 1024
    assert [item["type"] for item in menu.body["msgmenu"]["list"]] == ["click", "click", "view"]
    await app.p.kf.choose(menu, USER, "accept:7")
    await app.p.kf.say(USER, "满意", menu="somebody-elses-menu")
    await app.look()
    assert [(one.action, one.text, one.quote) for one in app.heard()[1:]] == [
        ("accept:7", "", None), (None, "满意", None)
    ]  # fmt: skip


# ---- a human


def decided(app: App, message: str, outcome: str) -> None:
    """What the handlers made of a message."""
    one = sa.update(Inbox).where(col(Inbox.message) == message)
    app.db.tx(lambda s: s.execute(one.values(outcome=outcome, finished_at=app.p.clock())))


async def test_to_a_human_and_back(app: App) -> None:
    asked = await wrote(app, "转人工")
    decided(app, asked, "human")
    app.p.faults.fail("/cgi-bin/kf/service_state/trans", status=502, times=3)
    await app.send(USER, "已转给社区工作人员，会尽快回复您。", trigger=asked)
    assert app.p.kf.states[USER] == (1, "")
    app.p.clock.forward(minutes=5)
    await app.leave()
    assert app.p.kf.states[USER] == (3, "zhangsan")
    assert len(app.texts(USER)) == 1, "said once, although it took two tries"

    # While the human has her, answers are dropped and news wait; what she says is heard.
    said = await wrote(app, "3幢路灯坏了")
    await app.send(USER, "收到，已登记", trigger=said)
    await app.send(USER, "LS00001 网格员已接单")
    assert [row.outcome for row in app.rows()] == [SENT, DEAD, WAITS]
    assert left(app) == 5, "nothing of it is counted"

    await wrote(app, "转机器人")
    assert [one.text for one in app.heard()] == ["转人工", "3幢路灯坏了"]
    await app.leave()
    assert app.p.kf.states[USER] == (1, "")
    assert app.texts(USER)[1:] == ["LS00001 网格员已接单", say("kf_back")]


async def test_a_number_that_she_was_given_meanwhile_waits_for_the_bots_return(app: App) -> None:
    said = await wrote(app, "3幢路灯坏了")
    app.p.kf.states[USER] = (3, "zhangsan")
    await app.send(USER, "收到，已登记 LS00001", trigger=said, ticket=1)
    assert [row.outcome for row in app.rows()] == [WAITS]
    await wrote(app, "转机器人")
    await app.leave()
    assert app.texts(USER) == ["收到，已登记 LS00001", say("kf_back")]


@pytest.mark.parametrize("words", ["结束人工", "结束人工服务。", "转机器人！", "返回邻声"])
async def test_words_that_lead_back_to_the_bot(app: App, words: str) -> None:
    await wrote(app, words)
    assert (app.heard(), len(app.rows())) == ([], 1)


@pytest.mark.parametrize("words", ["结束人工收费吧，停车场排队太长", "找机器人修一下门禁"])
async def test_words_that_only_begin_like_that_are_a_matter(app: App, words: str) -> None:
    await wrote(app, words)
    assert ([one.text for one in app.heard()], app.rows()) == ([words], [])


async def test_nobody_there_means_the_queue(app: App) -> None:
    asked = await wrote(app, "转人工")
    decided(app, asked, "human")
    app.p.faults.fail("/cgi-bin/kf/service_state/trans", code=95014)
    await app.send(USER, "已转给社区工作人员，会尽快回复您。", trigger=asked)
    assert app.p.kf.states[USER] == (2, "")
    assert [row.outcome for row in app.rows()] == [SENT]


async def test_the_human_ends_it(app: App) -> None:
    await wrote(app)
    app.p.kf.states[USER] = (3, "zhangsan")
    await app.send(USER, "LS00001 网格员已接单")
    waits = app.rows()[0].visible_at - app.p.clock()
    assert waits.total_seconds() > 3600
    app.p.kf.states[USER] = (0, "")
    event = {"event_type": "session_status_change", "open_kfid": app.p.kf.open_kfid, "external_userid": USER,
             "change_type": 3}  # fmt: skip
    await app.p.kf._add({"origin": 4, "msgtype": "event", "event": event}, USER, system=True)
    await app.look()
    await app.leave()
    assert app.texts(USER) == ["LS00001 网格员已接单"]


async def test_without_servicers_the_words_are_a_message(p: TestPlatform, db: Database, tmp_path: Path) -> None:
    async with serving(p, db, tmp_path / "media") as app:
        asked = await wrote(app, "转人工")
        decided(app, asked, "human")
        await app.send(USER, "已转给社区工作人员，会尽快回复您。", trigger=asked)
        assert p.kf.states[USER] == (1, "")
        await wrote(app, "转机器人")
        assert [one.text for one in app.heard()] == ["转人工", "转机器人"]
        count = db.tx(lambda s: s.scalar(sa.select(sa.func.count()).select_from(Outbox)))
        assert count == 1
