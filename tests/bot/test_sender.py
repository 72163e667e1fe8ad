"""The sender: in order, once, and honest about what nobody knows."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from bot.channels.base import Capabilities, Channel, Halted, NoRoom, SendFailed, Uncertain
from bot.sender import Sender, SenderSettings
from handlers.texts import say
from models import outbox, queue
from models.database import Database
from models.message import Outgoing, Purpose
from models.outbox import DEAD, HALTED, SENT, UNCERTAIN, Outbox
from tests.conftest import HandClock


class Recorder(Channel):
    """A platform that remembers, and does what the test wants: an exception to raise, or a call to make."""

    def __init__(self, name: str = "test", *, dedups: bool = False, rate: float = 1000) -> None:
        self.name = name
        self.can = Capabilities(dedups=dedups, max_bytes=2000, rate=rate)
        self.heard: list[Outgoing] = []
        self.keys: list[str] = []
        self.troubles: list[BaseException | None] = []
        self.meanwhile: Callable[[Outgoing], Any] | None = None

    async def send(self, out: Outgoing, client_id: str) -> str:
        self.heard.append(out)
        self.keys.append(client_id)
        if self.meanwhile is not None:
            await self.meanwhile(out)
        trouble = self.troubles.pop(0) if self.troubles else None
        if trouble is not None:
            raise trouble
        return f"p-{len(self.heard)}"


def letter(text: str, *, chat: str = "c1", purpose: Purpose = Purpose.REPLY, channel: str = "test") -> Outgoing:
    return Outgoing(channel=channel, chat=chat, text=text, purpose=purpose)


class Bench:
    """A database, a clock, a platform and a sender."""

    def __init__(self, db: Database, clock: HandClock, channel: Recorder, **settings: float) -> None:
        self.db, self.clock, self.channel = db, clock, channel
        self.sender = Sender(db, {channel.name: channel}, clock, SenderSettings(**settings))  # type: ignore[arg-type]

    def put(self, *letters: Outgoing) -> None:
        there = len(self.rows())
        numbered = [(f"k{there + i}", out) for i, out in enumerate(letters)]
        self.db.tx(lambda session: outbox.put(session, numbered, self.clock()))

    def rows(self) -> list[Outbox]:
        return self.db.tx(lambda session: list(session.scalars(sa.select(Outbox).order_by(Outbox.id))))  # type: ignore[arg-type]

    def texts(self) -> list[str]:
        return [out.text for out in self.channel.heard]

    def crash_after_leaving(self) -> None:
        """As a process does that dies while the request is under way."""

        def work(session: Session) -> None:
            rows = queue.claim(session, Outbox, now=self.clock(), lease=timedelta(seconds=60), limit=50)
            for row in rows:
                session.connection().execute(
                    sa.update(Outbox).where(Outbox.id == row.id).values(sending_at=self.clock())  # type: ignore[arg-type]
                )

        self.db.tx(work)
        self.clock.forward(seconds=61)


@pytest.fixture
def bench(db: Database, clock: HandClock) -> Bench:
    return Bench(db, clock, Recorder())


@pytest.fixture
def sure(db: Database, clock: HandClock) -> Bench:
    """A platform that drops repeats."""
    return Bench(db, clock, Recorder(dedups=True))


async def test_what_is_sent_is_finished_with_the_platforms_id(bench: Bench) -> None:
    bench.put(letter("好的"))
    assert await bench.sender.step() == 1
    (row,) = bench.rows()
    assert (row.outcome, row.platform_id, row.lease) == (SENT, "p-1", None)
    assert bench.channel.keys == ["k0"]
    assert await bench.sender.step() == 0


async def test_a_chat_hears_in_order_and_chats_do_not_wait_for_each_other(bench: Bench) -> None:
    bench.put(letter("一"), letter("二"), letter("别处", chat="c2"), letter("三"))
    while await bench.sender.step():
        pass
    assert [text for text in bench.texts() if text != "别处"] == ["一", "二", "三"]
    assert "别处" in bench.texts()[:2]


async def test_sending_is_on_disk_before_the_request_leaves(bench: Bench) -> None:
    seen: list[Any] = []

    async def look(_out: Outgoing) -> None:
        seen.extend([(row.sending_at, row.finished_at) for row in await asyncio.to_thread(bench.rows)])

    bench.channel.meanwhile = look
    bench.put(letter("好的"))
    await bench.sender.step()
    assert seen == [(bench.clock(), None)]


async def test_where_repeats_are_dropped_nothing_is_noted_before(sure: Bench) -> None:
    sure.put(letter("好的"))
    await sure.sender.step()
    assert sure.rows()[0].sending_at is None


async def test_a_reply_that_may_have_arrived_is_not_repeated(bench: Bench) -> None:
    bench.put(letter("好的"), letter("下一句"))
    bench.crash_after_leaving()
    await bench.sender.step()
    assert bench.texts() == []
    assert bench.rows()[0].outcome == UNCERTAIN
    await bench.sender.step()
    assert bench.texts() == ["下一句"]


async def test_an_alert_that_may_have_arrived_is_repeated_and_says_so(bench: Bench) -> None:
    bench.put(letter("有人被困", purpose=Purpose.ALERT))
    bench.crash_after_leaving()
    await bench.sender.step()
    assert bench.texts() == [say("repeat_prefix") + "有人被困"]
    assert bench.channel.heard[0].repeat
    assert bench.rows()[0].outcome == SENT


async def test_a_crash_where_repeats_are_dropped_is_sent_again_as_it_was(sure: Bench) -> None:
    sure.put(letter("好的"))
    sure.crash_after_leaving()
    await sure.sender.step()
    assert sure.texts() == ["好的"]
    assert sure.rows()[0].outcome == SENT


async def test_no_answer_ends_a_reply_and_repeats_an_alert(bench: Bench) -> None:
    bench.put(letter("好的"), letter("有人被困", chat="c2", purpose=Purpose.ALERT))
    bench.channel.troubles = [Uncertain("no answer"), Uncertain("no answer")]
    await bench.sender.step()
    assert [row.outcome for row in bench.rows()] == [UNCERTAIN, ""]
    bench.clock.forward(seconds=10)
    await bench.sender.step()
    assert bench.texts()[2:] == [say("repeat_prefix") + "有人被困"]
    assert [row.outcome for row in bench.rows()] == [UNCERTAIN, SENT]


async def test_a_repeat_stays_one_when_it_is_refused_for_now(bench: Bench) -> None:
    bench.put(letter("有人被困", purpose=Purpose.ALERT))
    bench.channel.troubles = [Uncertain("no answer"), SendFailed("busy"), None]
    for _ in range(3):
        await bench.sender.step()
        bench.clock.forward(seconds=60)
    assert bench.texts() == ["有人被困", *[say("repeat_prefix") + "有人被困"] * 2]


async def test_no_answer_where_repeats_are_dropped_is_tried_again(sure: Bench) -> None:
    sure.put(letter("好的"))
    sure.channel.troubles = [Uncertain("no answer")]
    await sure.sender.step()
    sure.clock.forward(seconds=10)
    await sure.sender.step()
    assert sure.texts() == ["好的", "好的"]
    assert sure.channel.keys == ["k0", "k0"]
    assert sure.rows()[0].outcome == SENT


async def test_a_request_that_takes_too_long_is_uncertain(db: Database, clock: HandClock) -> None:
    bench = Bench(db, clock, Recorder(), send=0.05)

    async def hang(_out: Outgoing) -> None:
        await asyncio.sleep(30)

    bench.channel.meanwhile = hang
    bench.put(letter("好的"))
    await bench.sender.step()
    assert bench.rows()[0].outcome == UNCERTAIN


async def test_a_final_refusal_is_dead_and_the_next_goes_on(bench: Bench) -> None:
    bench.put(letter("一"), letter("二"))
    bench.channel.troubles = [SendFailed("45015 too late", final=True)]
    await bench.sender.step()
    await bench.sender.step()
    first, second = bench.rows()
    assert (first.outcome, first.error) == (DEAD, "45015 too late")
    assert second.outcome == SENT


async def test_a_refusal_for_now_waits_as_long_as_it_is_told(bench: Bench) -> None:
    bench.put(letter("一"))
    bench.channel.troubles = [SendFailed("too fast", after=40)]
    await bench.sender.step()
    (row,) = bench.rows()
    assert (row.visible_at, row.sending_at, row.error) == (bench.clock() + timedelta(seconds=40), None, "too fast")
    bench.clock.forward(seconds=39)
    assert await bench.sender.step() == 0
    bench.clock.forward(seconds=2)
    assert await bench.sender.step() == 1
    assert bench.rows()[0].outcome == SENT


async def test_no_room_is_no_try(bench: Bench) -> None:
    bench.put(letter("一"))
    bench.channel.troubles = [NoRoom("the rate is used up", after=40) for _ in range(12)]
    for _ in range(12):
        assert await bench.sender.step() == 1
        (row,) = bench.rows()
        assert (row.attempts, row.visible_at, row.sending_at) == (0, bench.clock() + timedelta(seconds=40), None)
        bench.clock.forward(seconds=40)
    await bench.sender.step()
    assert bench.rows()[0].outcome == SENT


async def test_what_is_said_of_our_account_is_no_try_either_and_says_so(bench: Bench) -> None:
    bench.put(letter("有人被困", purpose=Purpose.ALERT), letter("好的"))
    bench.channel.troubles = [Halted("the day's calls are used up", after=300) for _ in range(40)]
    for _ in range(40):
        await bench.sender.step()
        first, behind = bench.rows()
        assert (first.attempts, first.outcome, first.sending_at, behind.outcome) == (0, HALTED, None, "")
        bench.clock.forward(seconds=300)
    while await bench.sender.step():
        pass
    assert bench.texts()[-2:] == ["有人被困", "好的"]


async def test_pauses_grow_and_the_tenth_try_is_the_last(bench: Bench) -> None:
    bench.put(letter("一"))
    bench.channel.troubles = [SendFailed("busy") for _ in range(20)]
    pauses = []
    while not (row := bench.rows()[0]).finished_at:
        await bench.sender.step()
        row = bench.rows()[0]
        pauses.append((row.visible_at - bench.clock()).total_seconds())
        bench.clock.set(max(bench.clock(), row.visible_at))
    assert len(bench.channel.heard) == 10
    assert row.outcome == DEAD
    assert all(0.8 * 2**n <= pause <= 1.2 * 2**n for n, pause in enumerate(pauses[:8], 1))
    assert pauses[8] <= 360


async def test_an_error_nobody_thought_of_is_tried_again_and_not_told(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.put(letter("一"))
    bench.channel.troubles = [RuntimeError("王阿姨家暴")]
    await bench.sender.step()
    (row,) = bench.rows()
    assert (row.outcome, row.error) == ("", "RuntimeError")
    bench.clock.forward(seconds=5)
    await bench.sender.step()
    assert bench.rows()[0].outcome == SENT


async def test_a_channel_of_another_process_is_left_to_it(bench: Bench) -> None:
    bench.put(letter("一", channel="elsewhere"))
    await bench.sender.step()
    (row,) = bench.rows()
    assert (row.outcome, row.lease, row.finished_at) == ("", None, None)
    assert (row.attempts, row.visible_at) == (0, bench.clock())
    other = Bench(bench.db, bench.clock, Recorder("elsewhere"))
    await other.sender.step()
    assert other.texts() == ["一"]


async def test_a_row_that_was_taken_from_us_does_not_spoil_the_others(bench: Bench) -> None:
    bench.put(letter("一"), letter("二", chat="c2"))

    async def steal(out: Outgoing) -> None:
        if out.text == "一":
            await asyncio.to_thread(
                bench.db.tx,
                lambda session: session.connection().execute(
                    sa.update(Outbox).where(Outbox.dedup_key == "k0").values(lease="somebody")  # type: ignore[arg-type]
                ),
            )

    bench.channel.meanwhile = steal
    await bench.sender.step()
    first, second = bench.rows()
    assert (first.lease, first.outcome) == ("somebody", "")
    assert second.outcome == SENT


async def test_a_row_taken_before_it_left_does_not_leave(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.put(letter("一"))
    acquire = bench.sender._my_turn

    async def slow(channel: Channel) -> bool:
        await asyncio.to_thread(
            bench.db.tx, lambda session: session.connection().execute(sa.update(Outbox).values(lease="somebody"))
        )
        return await acquire(channel)

    monkeypatch.setattr(bench.sender, "_my_turn", slow)
    await bench.sender.step()
    assert bench.texts() == []
    assert bench.rows()[0].lease == "somebody"


async def test_the_platforms_pace_is_kept_and_waiting_is_no_try(db: Database, clock: HandClock) -> None:
    bench = Bench(db, clock, Recorder(rate=2), pace=0.1)
    bench.put(*(letter(str(n), chat=f"c{n}") for n in range(5)))
    await bench.sender.step()
    assert len(bench.channel.heard) == 2
    waiting = [row for row in bench.rows() if not row.finished_at]
    assert [(row.attempts, row.lease, row.visible_at) for row in waiting] == [(0, None, clock())] * 3


async def test_a_payload_that_cannot_be_read_does_not_block_its_chat(bench: Bench) -> None:
    bench.put(letter("一"), letter("二"))
    bench.db.tx(lambda s: s.connection().execute(sa.update(Outbox).where(Outbox.dedup_key == "k0").values(payload="{")))  # type: ignore[arg-type]
    await bench.sender.step()
    await bench.sender.step()
    assert [row.outcome for row in bench.rows()] == [DEAD, SENT]


async def test_running_it_sends_what_comes_and_ends_when_told(bench: Bench) -> None:
    stop, wake = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(bench.sender.run(stop, wake))
    await asyncio.sleep(0.1)
    bench.put(letter("一"))
    wake.set()
    async with asyncio.timeout(5):
        while not bench.rows()[0].finished_at:  # noqa: ASYNC110 - the database rings no bell
            await asyncio.sleep(0.02)
        stop.set()
        wake.set()
        await running


async def test_a_platform_that_hangs_does_not_hold_up_other_chats(bench: Bench) -> None:
    release = asyncio.Event()

    async def hang(out: Outgoing) -> None:
        if out.text == "卡住":
            await release.wait()

    bench.channel.meanwhile = hang
    bench.put(letter("卡住"))
    stop, wake = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(bench.sender.run(stop, wake))
    await asyncio.sleep(0.2)
    bench.put(letter("别处", chat="c2"))
    async with asyncio.timeout(8):
        while not bench.rows()[1].finished_at:  # noqa: ASYNC110 - the database rings no bell
            await asyncio.sleep(0.05)
        assert not bench.rows()[0].finished_at
        stop.set()
        release.set()
        await running
    assert [row.outcome for row in bench.rows()] == [SENT, SENT]
