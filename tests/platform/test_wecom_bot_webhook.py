"""The AI bot's webhook: what a stream shows when, and who serves its polls."""

import asyncio
import json
from functools import partial

from bot.channels.wecom_bot import mailbox
from bot.channels.wecom_bot.letters import NAME
from bot.channels.wecom_bot.webhook import message_of, stream_id
from bot.sender import Sender
from models.database import Database
from models.message import Card, Purpose
from models.outbox import SENT, WAITS
from tests.platform.harness import platform
from tests.platform.wecom_bot import CARD, handled, heard, hooked, put, row
from tests.platform.wecom_bot_hook import Scene

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
    content = scene.db.tx(lambda session: mailbox.poll(session, "a", said.id, p.clock()))
    again = scene.db.tx(lambda session: mailbox.poll(session, "a", said.id, p.clock()))
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


async def test_a_stream_brings_news_with_its_facts(scene: Scene) -> None:
    """There is nothing to press on it, so it needs no card of its own."""
    p = scene.p
    card = Card(title="LS00001 照明", facts=(("地点", "6幢"),), link="https://l.example/task/x")
    said = await p.say(None, "a", "在吗")
    scene.answer(said, "【催办】LS00001 居民在问进度", card=card, purpose=Purpose.ALERT)
    await p.bot.poll()
    (shown,) = scene.shown("a")
    assert [part in shown for part in ("【催办】", "地点：6幢", "https://l.example/task/x")] == [True] * 3


async def test_everybody_in_a_group_reads_her_own_answer_under_her_own_words(db: Database) -> None:
    async with platform() as p, hooked(p, db):
        group = p.group("g", "a", "b")
        await p.say(group, "a", "@邻声 今天天气真好")
        second = await p.say(group, "b", "@邻声 3幢灯坏了")
        put(db, p, group, "LS00001 网格员已接单", "news")
        put(db, p, group, "已登记 LS00002", "answer", trigger=second.id)
        handled(db, p)
        await p.bot.poll()
        assert [bubble.text for bubble in p.seen(group)] == ["LS00001 网格员已接单", "已登记 LS00002"]
        assert p.complaints == []


async def test_a_stream_that_nobody_handles_ends_with_a_word_and_the_answer_comes_later(scene: Scene) -> None:
    p = scene.p
    said = await p.say(None, "a", "灯坏了")
    p.clock.forward(minutes=5, seconds=30)
    assert await p.bot.poll() == 1
    p.clock.forward(seconds=15)
    assert await p.bot.poll() == 0
    assert scene.shown("a") == ["收到。"]
    scene.answer(said, "已登记 LS00001")  # the worker is back
    assert await scene.sender().step() == 1
    assert scene.shown("a") == ["收到。", "已登记 LS00001"]


async def test_the_same_message_again_has_the_same_stream(scene: Scene) -> None:
    await scene.p.say(None, "a", "灯坏了")
    again = await scene.p.again(scene.p.pushes[-1])
    assert again.status == 200
    assert len(heard(scene.db)) == 1
    first, second = scene.p.pushes[-2:] if len(scene.p.pushes) > 2 else (scene.p.pushes[-1], again)
    assert set(json.loads(first.body)) == set(json.loads(second.body))


async def test_a_poll_after_the_end_changes_nothing(db: Database) -> None:
    """Such as one that somebody has recorded: it shows again what was shown, and what comes later has its own way."""
    async with platform() as p, hooked(p, db):
        for user, answer in (("a", "已登记"), ("b", "收到。")):
            said = await p.say(None, user, "灯坏了")
            if user == "a":
                put(db, p, user, answer, "k1", trigger=said.id)
            handled(db, p)
            await p.bot.poll()
            poll = p.pushes[-1]
            put(db, p, user, "网格员已接单", f"later-{user}")
            again = await p.again(poll)
            with_new_nonce = p.bot.head(user, user, "stream") | {"stream": {"id": stream_id(said.id)}}
            once_more = await p.bot.push(with_new_nonce, user=user)
            assert once_more is not None
            assert (again.status, once_more.status) == (200, 200)
            assert row(db, f"later-{user}").platform_id == ""
            at = p.clock()
            shown = db.tx(lambda s, c=user, m=said.id, at=at: mailbox.poll(s, c, m, at))  # type: ignore[misc]
            assert [out.text for out in shown.messages] == ([answer] if user == "a" else [])


async def test_a_poll_of_an_old_message_takes_nothing(db: Database) -> None:
    async with platform() as p, hooked(p, db):
        said = await p.say(None, "a", "灯坏了")
        handled(db, p)
        p.clock.forward(minutes=6, seconds=1)
        put(db, p, "a", "网格员已接单")
        assert db.tx(lambda session: mailbox.poll(session, "a", said.id, p.clock())).messages == ()
        assert row(db).platform_id == ""


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
            assert [row(db, key).outcome for key in ("k1", "k2")] == [SENT, WAITS]
            assert (len(p.seen("a")), p.complaints) == (1, [])


async def test_of_two_ways_one_takes_a_row(db: Database) -> None:
    async with platform() as p, hooked(p, db):
        said = await p.say(None, "a", "灯坏了")
        handled(db, p)
        for number in range(12):
            put(db, p, "a", f"{number}", f"k{number}")

        by_url = [db.run(partial(mailbox.take, key=f"k{number}", mark="url:x")) for number in reversed(range(12))]
        polled = asyncio.ensure_future(db.run(lambda session: mailbox.poll(session, "a", said.id, p.clock())))
        marks, content = await asyncio.gather(*by_url), await polled
        assert marks.count("url:x") + len(content.messages) == 12


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
