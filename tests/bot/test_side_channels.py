"""OneBot, duty-group robots and the archive from outside: settings, the doctor's words, the command, the process."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
import structlog
from aiohttp.test_utils import TestServer
from pydantic import ValidationError
from sqlmodel import Session

from bot import cli
from bot.app import build
from bot.channels.onebot import PATH, TERMS
from bot.channels.registry import channels
from bot.cli import show
from bot.doctor import FAIL, OK, WARN, examine
from bot.ingest import Ingest
from bot.towns import bring_in
from config.settings import DEMO_TOWN, Settings, load_settings
from config.side_channels import OneBotSettings
from models.base import utc_now
from models.chat import Chat, ChatKind
from models.database import Database
from models.inbox import Inbox
from models.mark import TOWN, bump
from models.schema import upgrade
from tests.engines import Keen
from tests.onebot.fake import FakeQQ

TOKEN, KEY = "a-token-of-32-characters-at-least", "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"
NAMES = ("onebot", "group_robot", "archive")


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A deployment of its own, with the demo town."""
    for name in ("DATABASE_URL", "DEMO", "SECRET_KEY", "CONFIG", "TOWN", "SECRETS_DIR"):
        monkeypatch.delenv(f"LINSHENG_{name}", raising=False)
    monkeypatch.setenv("LINSHENG_HOME", str(tmp_path))
    monkeypatch.setattr(show.out, "width", 200)
    db = Database(load_settings().url)
    upgrade(db)
    bring_in(db, DEMO_TOWN)
    db.close()
    return tmp_path


def said() -> dict[str, list[tuple[str, str]]]:
    """What the doctor says of these channels."""
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in NAMES}
    for finding in examine():
        if finding.check in found:
            found[finding.check].append((finding.state, finding.said))
    return found


def name_groups(home: Path, *groups: tuple[str, str]) -> None:
    db = Database(load_settings().url)

    def write(session: Session) -> None:
        for channel, code in groups:
            session.add(Chat(channel=channel, code=code, kind=ChatKind.GROUP, grid="QX-01", name="群"))
        bump(session, TOWN)

    db.tx(write)
    db.close()


# ---- off until set


def test_all_three_are_off_until_they_are_set(home: Path, sqlite_db: Database) -> None:
    assert channels(load_settings(), sqlite_db, Ingest(sqlite_db), wake=lambda: None) == []
    assert said() == {name: [(OK, "off")] for name in NAMES}


def test_the_environment_switches_them_on(
    home: Path, sqlite_db: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LINSHENG_ONEBOT__TOKEN", TOKEN)
    monkeypatch.setenv("LINSHENG_GROUP_ROBOT__KEYS", json.dumps({"duty": f"https://qyapi.weixin.qq.com/x?key={KEY}"}))
    monkeypatch.setenv("LINSHENG_GROUP_ROBOT__ALERTS", '["overdue"]')
    monkeypatch.setenv("LINSHENG_ARCHIVE__FOLDER", str(tmp_path))
    settings = load_settings()
    found = channels(settings, sqlite_db, Ingest(sqlite_db), wake=lambda: None)
    assert [channel.name for channel in found] == ["group_robot", "onebot", "archive"]
    assert [channel.ready for channel in found] == [True, False, True]
    assert settings.group_robot.alerts == {"overdue"}
    assert TOKEN not in repr(settings)
    assert KEY not in repr(settings)


@pytest.mark.parametrize("wrong", [{"account": "x1"}, {"rate": 0}, {"rate": 100}, {"action_seconds": 60}])
def test_settings_that_are_wrong(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        OneBotSettings.model_validate(wrong)
    with pytest.raises(ValidationError):
        Settings.model_validate({"group_robot": {"alerts": ["gossip"]}})


# ---- the doctor


def test_the_doctor_warns_of_onebot_and_of_a_short_token(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINSHENG_ONEBOT__TOKEN", "short-and-secret"[:15])
    name_groups(home, ("onebot", "g-777"))
    first, second = said()["onebot"]
    assert first == (WARN, f"on. {TERMS}")
    assert second[0] == FAIL
    assert "short-and" not in second[1]


def test_the_doctor_looks_for_the_groups(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINSHENG_ONEBOT__TOKEN", TOKEN)
    monkeypatch.setenv("LINSHENG_GROUP_ROBOT__KEYS", json.dumps({"duty": KEY, "other": KEY}))
    monkeypatch.setenv("LINSHENG_ARCHIVE__ON", "true")
    name_groups(home, ("group_robot", "duty"))
    found = said()
    assert [state for state, _ in found["onebot"]] == [WARN, WARN]
    assert (FAIL, "chats.csv names no group other of channel group_robot: it would hear nothing.") in found[
        "group_robot"
    ]
    assert [state for state, _ in found["archive"]] == [WARN, OK]
    assert KEY not in str(found)


@pytest.mark.parametrize(
    ("name", "value", "state"),
    [("FOLDER", "/nowhere/at/all", FAIL), ("ANSWERS", "notice", FAIL), ("ANSWERS", "none", OK)],
)
def test_the_doctor_on_the_archive(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, state: str
) -> None:
    monkeypatch.setenv("LINSHENG_ARCHIVE__ON", "true")
    monkeypatch.setenv(f"LINSHENG_ARCHIVE__{name}", value)
    name_groups(home, ("archive", "wr1"))
    assert [found for found, _ in said()["archive"]] == [state]


# ---- inside the whole process


async def test_a_process_hears_answers_and_ends_in_time(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINSHENG_ONEBOT__TOKEN", TOKEN)
    monkeypatch.setenv("LINSHENG_ONEBOT__RATE", "20")
    name_groups(home, ("onebot", "g-777"))
    app = build(load_settings(), engine=Keen())
    server = TestServer(app)
    await server.start_server()
    try:
        async with FakeQQ(str(server.make_url(PATH)), TOKEN, clock=time.time) as qq:
            number = await qq.say(777, 20001, "6幢电梯坏了")
            await qq.until(lambda: bool(qq.shown))
            assert (qq.shown[0].chat, qq.shown[0].quotes) == ("g-777", number)
            assert "LS00001" in qq.shown[0].text
            begun = time.monotonic()
            await server.close()
            assert time.monotonic() - begun < 8
            assert await qq.closed() == 1001
    finally:
        await server.close()


# ---- linsheng archive import


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["linsheng", *words])
    capsys.readouterr()
    code: object = 0
    try:
        cli.main()
    except SystemExit as ended:
        code = ended.code or 0
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    return int(str(code)), told.out, told.err


def cells(out: str) -> dict[str, str]:
    """The table's first column → its second."""
    rows = [line.split() for line in out.splitlines() if line.startswith("│")]
    return {words[1]: words[3] for words in rows}


def records(*numbers: int) -> str:
    now = int(utc_now().timestamp() * 1000)
    told = [
        {"msgid": f"m{n}", "action": "send", "from": "wm1", "tolist": [], "roomid": "wr1", "msgtime": now + n,
         "msgtype": "text", "text": {"content": f"第{n}句"}}
        for n in numbers
    ]  # fmt: skip
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in told)


def test_the_command_reads_a_file_once(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / "a.jsonl"
    file.write_text(records(1, 2) + "{\n" + records(3)[:-5], encoding="utf-8")
    code, _, complaint = run(monkeypatch, capsys, "archive", "import", str(file))
    assert (code, "LINSHENG_ARCHIVE__ON=true" in complaint) == (1, True)
    monkeypatch.setenv("LINSHENG_ARCHIVE__ON", "true")
    name_groups(home, ("archive", "wr1"))
    code, out, _ = run(monkeypatch, capsys, "archive", "import", str(file))
    counts = cells(out)
    assert (code, counts["new"], counts["broken"], counts["known"]) == (0, "2", "1", "0")
    assert "no line's end yet" in out
    _, out, _ = run(monkeypatch, capsys, "archive", "import", str(file))
    assert (cells(out)["new"], cells(out)["broken"]) == ("0", "0")
    db = Database(load_settings().url)
    assert db.tx(lambda session: session.scalar(sa.select(sa.func.count()).select_from(Inbox))) == 2
    db.close()


def test_the_command_on_what_is_not_there(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, _ = run(monkeypatch, capsys, "archive", "import", str(home / "nothing.jsonl"))
    assert code == 2
