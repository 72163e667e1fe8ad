"""Messages in several parts, each a request of its own: whoever tries next goes on behind the parts that have left, and
what goes to another channel is the rest. On both databases."""

from pathlib import Path
from typing import Any

import pytest

from bot.channels.base import Capabilities, Channel, SendFailed
from bot.sender import Sender
from models.database import Database
from models.mark import TOWN, bump
from models.message import Outgoing
from models.outbox import SENT, UNCERTAIN
from models.person import Identity
from tests.platform import kf, mp
from tests.platform import wecom_app as own
from tests.platform.harness import Opposite, TestPlatform
from tests.scenario.matters import everybody_to

LONG = "一。" * 300 + "二。" * 300
CHANNELS = {"wechat_mp": mp, "wecom_kf": kf}


class Pushes(Channel):
    """Another channel of hers, which may write first."""

    name = "wecom_app"
    can = Capabilities(dedups=True, max_bytes=2048, rate=100)

    def __init__(self) -> None:
        self.heard: list[Outgoing] = []

    async def send(self, out: Outgoing, client_id: str) -> str:
        self.heard.append(out)
        return ""


def second_call(app: Opposite[Any], before: Any) -> None:
    """Just before the second request leaves, `before` happens; it may raise."""
    api, calls = app.channel._api, []

    async def call(path: str, body: dict[str, object], **more: Any) -> object:
        calls.append(path)
        if len(calls) == 2:
            before(path)
        return await type(api).call(api, path, body, **more)

    api.call = call


def busy(_path: str) -> None:
    raise SendFailed("busy", after=1)


async def begun(p: TestPlatform, app: Any, name: str, user: str) -> None:
    """She has written, so that she may be written to."""
    if name == "wechat_mp":
        await p.mp.say(user, "在")
    else:
        await p.kf.say(user, "在")
        await app.look()


@pytest.mark.parametrize("name", CHANNELS)
async def test_another_worker_goes_on_behind_what_has_left(
    p: TestPlatform, db: Database, tmp_path: Path, name: str
) -> None:
    serving = CHANNELS[name].serving
    async with serving(p, db, tmp_path / "a") as app, serving(p, db, tmp_path / "b") as other:
        await begun(p, app, name, "o1")
        second_call(app, busy)
        await app.send("o1", LONG)
        assert [row.parts for row in app.rows()] == [1]
        p.clock.forward(minutes=5)
        calls = len(p.calls)
        await other.leave()
        assert len([call for call in p.calls[calls:] if "send" in call.path]) == 1, (
            "the first part does not leave again"
        )
        assert "".join(bubble.text for bubble in p.seen("o1")) == LONG
        assert [row.outcome for row in app.rows()] == [SENT]


async def test_a_rate_that_is_used_up_between_two_parts(p: TestPlatform, town_db: Database) -> None:
    """Of the app: its own count stops it behind the first part, and another worker says the rest a minute later."""
    everybody_to(town_db, "wecom_app")
    async with own.serving(p, town_db, per_minute=1) as app, own.serving(p, town_db, per_minute=1) as other:
        await app.send("w01", LONG)
        assert [(row.parts, row.outcome) for row in app.rows()] == [(1, "")]
        p.clock.forward(minutes=2)
        await other.leave()
        assert "".join(bubble.text for bubble in p.seen("w01")) == LONG


@pytest.mark.parametrize("name", CHANNELS)
async def test_what_goes_to_another_channel_is_the_rest(
    p: TestPlatform, town_db: Database, tmp_path: Path, name: str
) -> None:
    everybody_to(town_db, name)

    def write(session: Any) -> None:
        session.add(Identity(person="W01", channel="wecom_app", user="gu"))
        bump(session, TOWN)

    town_db.tx(write)
    async with CHANNELS[name].serving(p, town_db, tmp_path) as app:
        await begun(p, app, name, "w01")
        code = {"wechat_mp": 45047, "wecom_kf": 95001}[name]
        second_call(app, lambda path: p.faults.fail(path, code=code))
        other = Pushes()
        app.sender = Sender(town_db, {name: app.channel, other.name: other}, p.clock)
        await app.send("w01", LONG, to_person="W01")
        (first,) = p.seen("w01")
        assert [first.text + one.text for one in other.heard] == [LONG]
        assert [row.outcome for row in app.rows()] == [SENT, SENT]


async def test_a_part_that_may_have_arrived_leaves_it_all_in_doubt(
    p: TestPlatform, db: Database, tmp_path: Path
) -> None:
    async with mp.serving(p, db, tmp_path) as app:
        await p.mp.say("o1", "在")
        second_call(app, lambda path: p.faults.fail(path, taken=True, cut=True))
        await app.send("o1", LONG)
        assert [row.outcome for row in app.rows()] == [UNCERTAIN]
