"""A platform that is started again with the same seed is the same one, and what it says is taken for nothing old."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.platform.server import Platform
from tests.onebot.fake import text
from tests.platform.harness import StoppedClock


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@asynccontextmanager
async def run(clock: StoppedClock) -> AsyncIterator[Platform]:
    """One run of the platform; the next begins five seconds later."""
    p = Platform(clock, seed="linsheng")
    await p.start()
    try:
        yield p
    finally:
        await p.stop()
        clock.forward(seconds=5)


def sync(p: Platform, cursor: str) -> dict[str, Any]:
    (token, *_) = p.kf.tokens
    return p.kf_api._sync({"open_kfid": p.kf.open_kfid, "cursor": cursor, "token": token})


async def say(p: Platform, *words: str) -> None:
    """To 微信客服, as a notice to the app that nobody hears."""
    for each in words:
        await p.kf.say("wm-lihua", each)
    await p.kf.announce()


def said(page: dict[str, Any]) -> list[str]:
    return [message["text"]["content"] for message in page["msg_list"]]


async def test_a_cursor_of_the_run_before_skips_nothing(clock: StoppedClock) -> None:
    async with run(clock) as p:
        await say(p, "一", "二", "三")
        first = sync(p, "")
        assert said(first) == ["一", "二", "三"]
        assert said(sync(p, first["next_cursor"])) == []
    async with run(clock) as p:
        await say(p, "四")
        again = sync(p, first["next_cursor"])
        assert said(again) == ["四"]
        assert said(sync(p, again["next_cursor"])) == []


async def test_no_message_has_the_number_of_an_older_one(clock: StoppedClock) -> None:
    numbers: list[int] = []
    for _ in range(2):
        async with run(clock) as p:
            numbers += [p.qq.post(p.qq.chat, [text("在")]) for _ in range(3)]
    assert len(set(numbers)) == 6
    assert max(numbers) < 2**31  # a message_id of OneBot v11 is an int32


async def test_a_group_has_its_id_again(clock: StoppedClock) -> None:
    """A town's chats.csv names it."""
    made: list[str] = []
    for _ in range(2):
        async with run(clock) as p:
            made.append(p.group("水岸网格群", "lihua"))
            assert p.group("水岸网格群", "lihua") != made[-1]  # a second of that name is another group
    assert made[0] == made[1]


def test_records_stay_beside_the_settings(tmp_path: Path) -> None:
    """The bot that was set up with that file finds them there after a restart."""
    settings = tmp_path / "play.env"
    command = [
        sys.executable, "-u", "-m", "bot.cli", "platform", "--port", "0", "--bot", "http://127.0.0.1:9",
        "--env", os.path.relpath(settings),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own interpreter
    assert process.stdout is not None
    try:
        told = next(line for line in process.stdout if line.startswith("Settings:"))
        found = re.search(r"^LINSHENG_ARCHIVE__FOLDER=(.+)$", settings.read_text(encoding="utf-8"), re.MULTILINE)
        assert found is not None
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert f" . {settings}; " in told  # what it says can be typed in any folder
    (folder,) = shlex.split(found[1])
    assert Path(folder) == tmp_path / "play.archive"
    assert Path(folder).is_dir()
