"""Who and what the AI bot's webhook refuses, and what it does not stumble over."""

import json
import random
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from bot.channels.sealed import Seal
from bot.ingest import Ingest
from bot.platform.push import Push
from models.outbox import DEAD
from tests.platform.wecom_bot import heard, put, row
from tests.platform.wecom_bot_hook import Scene, post


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
