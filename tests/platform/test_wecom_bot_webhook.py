"""The AI bot's webhook: the address check, what a stream shows when, and the one later answer."""

import asyncio
import json
import random
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from bot.channels import pressed
from bot.channels.base import SendFailed, Uncertain
from bot.channels.sealed import Seal
from bot.channels.wecom_bot import mailbox
from bot.channels.wecom_bot.channel import WecomBot
from bot.channels.wecom_bot.letters import NAME
from bot.channels.wecom_bot.response import allowed
from bot.channels.wecom_bot.webhook import message_of, stream_id
from bot.ingest import Ingest
from bot.platform.push import Push
from bot.sender import Sender
from models.database import Database
from models.message import Button, Card
from models.outbox import DEAD, SENT, UNCERTAIN
from tests.platform.harness import TestPlatform, platform
from tests.platform.wecom_bot import handled, heard, hooked, put, row

OURS = "https://qyapi.weixin.qq.com/cgi-bin/aibot/response"
CARD = Card(title="LS00007 照明", words="灯坏了", buttons=(Button(text="接单", action="accept:7"),))


@dataclass
class Scene:
    """One bot, its platform and its database."""

    p: TestPlatform
    bot: WecomBot
    db: Database

    def keys(self, said: Any, count: int = 1) -> list[str]:
        """The keys that a decision on a message gives its answers."""
        return [f"{NAME}:{said.chat}:{said.id}>{number}" for number in range(count)]

    def answer(self, said: Any, *texts: str, **more: Any) -> list[str]:
        """As if the worker had decided this."""
        keys = self.keys(said, len(texts))
        for key, text in zip(keys, texts, strict=True):
            put(self.db, self.p, said.chat, text, key, trigger=said.id, **more)
        handled(self.db, self.p)
        return keys

    def sender(self) -> Sender:
        return Sender(self.db, {NAME: self.bot}, self.p.clock)

    def shown(self, who: str) -> list[str]:
        return [bubble.text for bubble in self.p.seen(who) if bubble.text]


@pytest.fixture
async def scene(sqlite_db: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(pressed, "SECONDS", 0.6)
    async with platform() as p, hooked(p, sqlite_db) as bot:
        bot._replying._polled, bot._replying._look = 0.15, 0.02
        yield Scene(p, bot, sqlite_db)


def figure(why: str) -> float:
    return REGISTRY.get_sample_value("linsheng_callbacks_refused_total", {"channel": NAME, "why": why}) or 0.0


# --- the stream ---------------------------------------------------------------------------------------------------


async def test_a_message_is_answered_by_its_stream(scene: Scene) -> None:
    p = scene.p
    group = p.group("g", "a")
    said = await p.say(group, "a", "@邻声 3幢灯坏了")
    assert [(message.text, message.chat) for message in heard(scene.db)] == [("3幢灯坏了", group)]
    assert [bubble.finished for bubble in p.seen(group)] == [False]
    assert await p.bot.poll() == 1  # nobody has handled it yet
    scene.answer(said, "已登记 LS00001")
    assert await p.bot.poll() == 0
    assert [(bubble.text, bubble.finished, bubble.kind) for bubble in p.seen(group)] == [
        ("已登记 LS00001", True, "stream")
    ]
    assert await scene.sender().step() == 1  # it has left already
    sent = row(scene.db, scene.keys(said)[0])
    assert (sent.outcome, sent.platform_id[:7]) == (SENT, "stream:")
    assert (len(p.seen(group)), p.complaints) == (1, [])


async def test_several_answers_are_one_text_and_a_lost_poll_is_answered_again(scene: Scene) -> None:
    p = scene.p
    said = await p.say(None, "a", "灯坏了 还有垃圾")
    scene.answer(said, "第一件", "第二件")
    content = scene.db.tx(lambda session: mailbox.poll(session, "a", said.id))
    again = scene.db.tx(lambda session: mailbox.poll(session, "a", said.id))
    assert content == again
    await p.bot.poll()
    assert scene.shown("a") == ["第一件\n\n第二件"]


async def test_a_message_that_needs_no_answer_ends_with_a_word(scene: Scene) -> None:
    await scene.p.say(None, "a", "今天天气真好")
    handled(scene.db, scene.p, "silent")
    assert await scene.p.bot.poll() == 0
    assert scene.shown("a") == ["收到。"]


async def test_a_stream_brings_what_waited_before_it(scene: Scene) -> None:
    p = scene.p
    put(scene.db, p, "a", "LS00001 网格员已接单", "news")
    assert await scene.sender().step() == 1  # nobody has spoken: it waits
    assert row(scene.db, "news").visible_at > p.clock()
    said = await p.say(None, "a", "修得怎么样了")
    assert row(scene.db, "news").visible_at <= p.clock()
    scene.answer(said, "LS00001 正在处理")
    await p.bot.poll()
    assert scene.shown("a") == ["LS00001 网格员已接单\n\nLS00001 正在处理"]
    sender = scene.sender()
    while await sender.step():
        pass
    assert [row(scene.db, key).outcome for key in ("news", *scene.keys(said))] == [SENT, SENT]
    assert len(p.seen("a")) == 1


async def test_the_same_message_again_has_the_same_stream(scene: Scene) -> None:
    await scene.p.say(None, "a", "灯坏了")
    again = await scene.p.again(scene.p.pushes[-1])
    assert again.status == 200
    assert len(heard(scene.db)) == 1
    first, second = scene.p.pushes[-2:] if len(scene.p.pushes) > 2 else (scene.p.pushes[-1], again)
    assert set(json.loads(first.body)) == set(json.loads(second.body))


async def test_a_stream_of_nobody_is_refused(scene: Scene) -> None:
    for name in ("somebody-elses", "m-***", "m-\u4e2d"):
        push = await scene.p.bot.push(scene.p.bot.head("a", "a", "stream") | {"stream": {"id": name}}, user="a")
        assert push is not None
        assert push.status == 403
    unknown = scene.p.bot.head("a", "a", "stream") | {"stream": {"id": stream_id("never")}}
    push = await scene.p.bot.push(unknown, user="a")
    assert push is not None
    assert push.status == 200


def test_a_stream_is_named_by_its_message() -> None:
    for message in ("CAIQ16HMjQYY/NGagIOAgAMgq4KM0AI=", "a", "中文"):
        assert message_of(stream_id(message)) == message


async def test_any_process_serves_the_polls_and_sends(db: Database) -> None:
    async with platform() as p, hooked(p, db):
        said = await p.say(None, "a", "灯坏了")
        async with hooked(p, db) as second:  # the balancer sends the polls elsewhere
            second._replying._polled = 0.1
            put(db, p, "a", "已登记", "k1", trigger=said.id)
            put(db, p, "w", "请您处理", "k2", card=CARD, ticket=7)
            handled(db, p)
            assert await p.bot.poll() == 0
            assert [bubble.text for bubble in p.seen("a")] == ["已登记"]
            assert await Sender(db, {NAME: second}, p.clock).step() == 2
            assert [row(db, key).outcome for key in ("k1", "k2")] == [SENT, ""]
            assert (len(p.seen("a")), p.complaints) == (1, [])


async def test_of_two_ways_one_takes_a_row(db: Database) -> None:
    async with platform() as p, hooked(p, db):
        said = await p.say(None, "a", "灯坏了")
        handled(db, p)
        for number in range(12):
            put(db, p, "a", f"{number}", f"k{number}")

        by_url = [db.run(partial(mailbox.take, key=f"k{number}", mark="url:x")) for number in reversed(range(12))]
        polled = asyncio.ensure_future(db.run(lambda session: mailbox.poll(session, "a", said.id)))
        marks, content = await asyncio.gather(*by_url), await polled
        assert marks.count("url:x") + len(content.messages) == 12


# --- the one later answer -----------------------------------------------------------------------------------------


async def test_without_polls_it_goes_by_the_response_url(scene: Scene) -> None:
    p = scene.p
    group = p.group("g", "a")
    said = await p.say(group, "a", "@邻声 3幢灯坏了")
    (key,) = scene.answer(said, "已登记 LS00001")
    assert await scene.sender().step() == 1
    markdown = p.seen(group)[-1]
    assert (markdown.kind, markdown.text, markdown.quote) == ("markdown", "已登记 LS00001", "@邻声 3幢灯坏了")
    assert row(scene.db, key).platform_id.startswith("url:")
    await p.bot.poll()  # comes late: what has left is not said twice
    assert scene.shown(group) == ["收到。", "已登记 LS00001"]


async def test_an_address_is_used_once(scene: Scene) -> None:
    p = scene.p
    said = await p.say(None, "a", "灯坏了")
    scene.answer(said, "一")
    sender = scene.sender()
    await sender.step()
    put(scene.db, p, "a", "二", "k2")
    await sender.step()
    assert scene.shown("a") == ["一"]
    assert row(scene.db, "k2").outcome == ""


async def test_an_hour_later_there_is_no_way(scene: Scene) -> None:
    await scene.p.say(None, "a", "灯坏了")
    handled(scene.db, scene.p)
    scene.p.clock.forward(minutes=60)
    with pytest.raises(SendFailed) as failed:
        await scene.bot.send(put(scene.db, scene.p, "a", "二"), "k1")
    assert failed.value.after == 600
    assert scene.shown("a") == []


async def test_a_card_goes_by_the_response_url_with_its_buttons(scene: Scene) -> None:
    p = scene.p
    await p.say(None, "w", "在的")
    handled(scene.db, p)
    put(scene.db, p, "w", "请您处理", card=CARD, ticket=7)
    await p.bot.poll()
    assert scene.shown("w") == ["收到。"]
    await scene.sender().step()
    (card,) = [bubble for bubble in p.seen("w") if bubble.card]
    assert card.card is not None
    assert card.card["button_list"][0]["key"] == "accept:7"


async def test_a_spent_address_gives_way_to_the_next(scene: Scene) -> None:
    p = scene.p
    for _ in range(2):
        await p.say(None, "a", "灯坏了")
    handled(scene.db, p)
    p.bot.webhook._responses.pop(next(reversed(p.bot.webhook._responses)))  # the platform has forgotten the newest
    assert (await scene.bot.send(put(scene.db, p, "a", "已登记"), "k1")).startswith("url:")
    assert [bubble.text for bubble in p.seen("a") if bubble.kind == "markdown"] == ["已登记"]


@pytest.mark.parametrize(("fault", "error"), [({"cut": True}, Uncertain), ({"status": 500}, Uncertain)])
async def test_an_answer_that_may_have_arrived_is_uncertain(
    scene: Scene, fault: dict[str, Any], error: type[Exception]
) -> None:
    await scene.p.say(None, "a", "灯坏了")
    handled(scene.db, scene.p)
    scene.p.faults.fail("/cgi-bin/aibot/response", **fault)
    with pytest.raises(error) as failed:
        await scene.bot.send(put(scene.db, scene.p, "a", "已登记"), "k1")
    assert "response_code" not in str(failed.value)


async def test_a_reply_is_not_repeated_when_nobody_knows(scene: Scene) -> None:
    said = await scene.p.say(None, "a", "灯坏了")
    (key,) = scene.answer(said, "已登记")
    scene.p.faults.fail("/cgi-bin/aibot/response", cut=True, taken=True)
    await scene.sender().step()
    assert (row(scene.db, key).outcome, scene.shown("a")) == (UNCERTAIN, ["已登记"])


@pytest.mark.parametrize(
    "url",
    [
        "http://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=x",
        "https://qyapi.weixin.qq.com.bad.example/cgi-bin/aibot/response?response_code=x",
        "https://bad.example/cgi-bin/aibot/response?response_code=x",
        "https://qyapi.weixin.qq.com@bad.example/cgi-bin/aibot/response?response_code=x",
        "https://user:x@qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=x",
        "https://qyapi.weixin.qq.com:8443/cgi-bin/aibot/response?response_code=x",
        "https://qyapi.weixin.qq.com/cgi-bin/message/send?response_code=x",
        "https://qyapi.weixin.qq.com/cgi-bin/aibot/response/../../x?response_code=x",
        "https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=x&response_code=y",
        "https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=x#y",
        "https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=x\r\nHost:bad",
        "https://qyapi.weixin.qq.com/cgi-bin/aibot/response",
        "https://[::1/x",
        "",
    ],
)
def test_only_the_platforms_address_is_posted_to(url: str) -> None:
    assert not allowed(url, OURS)


def test_the_platforms_address() -> None:
    assert allowed(f"{OURS}?response_code=a_B-1", OURS)


async def test_a_response_url_that_points_elsewhere_costs_no_message(scene: Scene) -> None:
    before = figure("response_url")
    body = scene.p.bot.head("a", "a", "text") | {"text": {"content": "灯坏了"}}
    seal = Seal(scene.p.bot.token, scene.p.bot.aes_key, "")
    with capture_logs() as logs:
        status = await post(scene.p, seal, body | {"response_url": "http://169.254.169.254/x?response_code=s3cret"})
    assert (status, figure("response_url")) == (200, before + 1)
    (kept,) = heard(scene.db)
    assert (kept.text, kept.platform) == ("灯坏了", {})
    assert "s3cret" not in str(logs)
    handled(scene.db, scene.p)
    with pytest.raises(SendFailed):
        await scene.bot.send(put(scene.db, scene.p, "a", "已登记"), "k1")


# --- cards --------------------------------------------------------------------------------------------------------


async def test_a_press_that_nobody_decides_about_is_answered_in_time(scene: Scene) -> None:
    p = scene.p
    await p.say(None, "w", "在的")
    handled(scene.db, p)
    await scene.bot.send(put(scene.db, p, "w", "", card=CARD, ticket=7), "k1")
    card = next(bubble for bubble in p.seen("w") if bubble.card)
    push = await p.click(card, "w", "accept:7")
    assert push is not None
    assert (push.status, heard(scene.db)[-1].action) == (200, "accept:7")


# --- foes ---------------------------------------------------------------------------------------------------------


async def post(
    p: TestPlatform, seal: Seal, body: object, *, nonce: str = "", at: int = 0, signature: str = "", raw: bytes = b""
) -> int:
    """A callback as the platform would make it, or nearly so. at: seconds beside the right time."""
    stamp, nonce = str(int(p.clock().timestamp()) + at), nonce or secrets.token_hex(8)
    encrypted, right = seal.seal(json.dumps(body), stamp, nonce)
    query = {"msg_signature": signature or right, "timestamp": stamp, "nonce": nonce}
    data = raw or json.dumps({"encrypt": encrypted}).encode()
    async with aiohttp.ClientSession() as session, session.post(p.bot.callback, params=query, data=data) as answer:
        return answer.status


async def test_callbacks_of_strangers_are_refused(scene: Scene) -> None:
    p = scene.p
    right = Seal(p.bot.token, p.bot.aes_key, "")
    body = p.bot.head("a", "a", "text") | {"text": {"content": "灯坏了"}}
    assert await post(p, Seal("another-token", p.bot.aes_key, ""), body) == 403
    assert await post(p, Seal(p.bot.token, p.bot.aes_key, "ww1234567890"), body) == 403  # of an app of the same corp
    assert await post(p, right, body, signature="0" * 40) == 403
    assert await post(p, right, body, at=-301) == 403
    assert await post(p, right, body, at=301) == 403
    assert await post(p, right, body | {"aibotid": "another"}) == 403
    assert await post(p, right, body, raw=json.dumps(body).encode()) == 403
    assert await post(p, right, body, raw=b"{" * 40_000) == 403
    assert await post(p, right, body, raw=b"x" * 70_000) == 403
    assert heard(scene.db) == []
    assert await post(p, right, body, nonce="once") == 200
    assert await post(p, right, body, nonce="once") == 200  # the platform again
    assert await post(p, right, body | {"msgid": "another"}, nonce="once") == 403
    assert len(heard(scene.db)) == 1


async def test_no_body_whatever_breaks_it(scene: Scene) -> None:
    chance = random.Random(4)
    p = scene.p
    right, wrong = Seal(p.bot.token, p.bot.aes_key, ""), Seal("another", p.bot.aes_key, "")
    whole = p.bot.head("a", "a", "mixed") | {"mixed": {"msg_item": []}, "quote": {"msgtype": "image", "image": {}}}
    kinds = ("text", "image", "mixed", "voice", "file", "video", "event", "stream", "nothing")
    junk: list[Any] = [None, 1, "", [], {}, "x" * 3_000, -1.5, True, [[]], {"msg_item": 5}, {"content": {}}, "\x00"]
    statuses = set()
    for number in range(500):
        body: dict[str, Any] = whole | {"msgid": f"r{number}", "msgtype": chance.choice(kinds)}
        for _ in range(chance.randint(1, 4)):
            body[chance.choice([*body, *kinds])] = chance.choice(junk)
        statuses.add(await post(p, right, body))
        assert await post(p, wrong, body) == 403
    assert statuses == {200, 403}
    for message in heard(scene.db):
        assert message.id


async def test_a_closed_door_asks_the_platform_to_come_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise sa.exc.OperationalError("INSERT", {}, Exception("灯坏了"))

    monkeypatch.setattr(Ingest, "accept", away)
    with capture_logs() as logs:
        await scene.p.say(None, "a", "灯坏了")
    push: Push = scene.p.pushes[-1]
    assert (push.status, scene.p.seen("a")) == (503, [])
    assert "灯坏了" not in str(logs)


async def test_an_opinion_is_counted_and_its_words_are_heard(scene: Scene) -> None:
    before = REGISTRY.get_sample_value("linsheng_bot_feedback_total", {"kind": "inaccurate"}) or 0.0
    said = await scene.p.say(None, "a", "灯坏了")
    scene.answer(said, "已登记")
    await scene.p.bot.poll()
    await scene.p.bot.feedback(scene.p.seen("a")[0], "a", 2, "还没人来修")
    await scene.p.bot.feedback(scene.p.seen("a")[0], "a", 2)
    assert REGISTRY.get_sample_value("linsheng_bot_feedback_total", {"kind": "inaccurate"}) == before + 2
    assert [message.text for message in heard(scene.db)] == ["灯坏了", "还没人来修"]


async def test_what_cannot_be_read_in_the_outbox_holds_nothing_up(scene: Scene) -> None:
    said = await scene.p.say(None, "a", "灯坏了")
    put(scene.db, scene.p, "a", "x", "bad")
    broken = sa.text("UPDATE outbox SET payload = '{' WHERE dedup_key = 'bad'")
    scene.db.tx(lambda session: session.connection().execute(broken))
    scene.answer(said, "已登记")
    await scene.p.bot.poll()
    assert scene.shown("a") == ["已登记"]
    sender = scene.sender()
    while await sender.step():
        pass
    assert row(scene.db, "bad").outcome == DEAD
