"""The command line: what it shows, and one clear sentence where it fails."""

import json
import re
import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
import structlog

from bot import cli
from bot.cli import history, show
from bot.doctor import FAIL, OK, WARN, Finding, examine
from bot.evaluation import of_pack, together
from bot.replay import Replay
from bot.towns import bring_in
from config.decisions import decisions
from config.settings import DEMO_TOWN
from handlers.limits import limits
from models import mark, outbox
from models.base import utc_now
from models.database import Database
from models.grid import Grid
from models.message import Outgoing
from models.outbox import DEAD, UNCERTAIN, Outbox
from models.person import Duty, Identity, Role
from models.schema import upgrade
from nlu.corpus import BadData
from nlu.embedded import EmbeddedEngine
from nlu.types import INTENTS, Matter, Names, Understanding, Utterance
from tests.engines import Deaf


class Shell:
    """Runs a command in a deployment of its own. Gives the exit code, what was said, and what was complained of."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path) -> None:
        self._monkeypatch, self._capsys, self.home = monkeypatch, capsys, home
        for name in ("DATABASE_URL", "DEMO", "SECRET_KEY", "CONFIG", "TOWN"):
            monkeypatch.delenv(f"LINSHENG_{name}", raising=False)
        self.set(HOME=str(home))
        monkeypatch.setattr(show.out, "width", 200)

    def set(self, **values: str) -> None:
        for name, value in values.items():
            self._monkeypatch.setenv(f"LINSHENG_{name}", value)

    def __call__(self, *words: str) -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["linsheng", *words])
        self._capsys.readouterr()
        code: object = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
        said = self._capsys.readouterr()
        assert "Traceback" not in said.err
        assert isinstance(code, int)
        return code, said.out, said.err


@pytest.fixture
def shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Shell]:  # fmt: skip
    yield Shell(monkeypatch, capsys, tmp_path / "home")
    structlog.reset_defaults()


@pytest.fixture
def home_db(shell: Shell) -> Iterator[Database]:
    """The deployment's own SQLite database."""
    db = Database(f"sqlite:///{shell.home / 'linsheng.db'}")
    upgrade(db)
    yield db
    db.close()


def cells(text: str, first: str) -> list[str]:
    """The table's line that begins with `first`."""
    for line in text.splitlines():
        found = [cell.strip() for cell in re.split("[│┃]", line.strip("│┃ "))]
        if found[0] == first:
            return found
    raise AssertionError(f"no line {first!r} in\n{text}")


def test_help_and_version(shell: Shell) -> None:
    code, out, _ = shell("--help")
    assert code == 0
    names = ("serve", "worker", "replay", "train", "doctor", "town", "person", "nlu", "inbox", "outbox")
    assert all(name in out for name in names)
    code, out, _ = shell("--version")
    assert (code, out.startswith("linsheng")) == (0, True)


def test_a_pack_is_checked_then_imported_then_unchanged(shell: Shell, home_db: Database) -> None:
    code, out, _ = shell("town", "check", str(DEMO_TOWN))
    assert (code, cells(out, "grid")[1]) == (0, "27")
    count = sa.select(sa.func.count()).select_from(Grid)
    assert home_db.tx(lambda session: session.scalars(count).one()) == 0
    assert home_db.tx(lambda session: mark.value(session, mark.TOWN)) == 0

    assert shell("town", "import", str(DEMO_TOWN))[0] == 0
    assert home_db.tx(lambda session: session.scalars(count).one()) == 27
    assert home_db.tx(lambda session: mark.value(session, mark.TOWN)) == 1

    assert cells(shell("town", "import", str(DEMO_TOWN))[1], "grid")[1:4] == ["0", "0", "27"]
    assert home_db.tx(lambda session: mark.value(session, mark.TOWN)) == 1


def test_a_bad_pack_is_told_fault_by_fault(shell: Shell, home_db: Database, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(DEMO_TOWN, bad)
    people = (bad / "people.csv").read_text(encoding="utf-8").splitlines()
    people[1] = people[1].replace("QX-01-01-01", "QX-01-01-0l")
    people[2] = people[2].replace("resident", "resitent")
    (bad / "people.csv").write_text("\n".join(people), encoding="utf-8")
    code, out, err = shell("town", "import", str(bad))
    assert (code, out) == (1, "")
    lines = err.strip().splitlines()
    assert [line.split(":")[:2] for line in lines[:2]] == [["people.csv", "2"], ["people.csv", "3"]]
    assert lines[2:] == ["2 faults found, nothing was imported."]
    assert home_db.tx(lambda session: session.scalars(sa.select(Grid.id)).first()) is None  # type: ignore[call-overload]


def test_a_setting_that_is_wrong_is_named(shell: Shell) -> None:
    shell.set(LOG_LEVEL="loud")
    code, _, err = shell("outbox", "list")
    assert code == 1
    assert err.startswith("LINSHENG_LOG_LEVEL: ")
    assert len(err.splitlines()) == 1


def test_a_database_that_is_away_is_one_line_without_the_password(shell: Shell) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        shell.set(DATABASE_URL=f"postgresql://clerk:hunter2@127.0.0.1:{port}/town")
        code, _, err = shell("outbox", "list")
    assert code == 1
    assert err.startswith("cannot reach the database: ")
    assert len(err.splitlines()) == 1
    assert "hunter2" not in err


def test_a_table_that_is_wrong_is_named(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    (shell.home / "config").mkdir(parents=True)
    (shell.home / "config" / "decisions.yaml").write_text("open: [", encoding="utf-8")
    monkeypatch.setattr(EmbeddedEngine, "ready", lambda *_: Silent())
    decisions.cache_clear()
    code, _, err = shell("nlu", "evaluate", "--town", str(DEMO_TOWN))
    decisions.cache_clear()
    assert code == 1
    assert err.startswith("decisions.yaml: ")
    assert len(err.splitlines()) == 1


def test_doctor_on_a_tier_without_limit_and_on_a_table_that_is_wrong(shell: Shell) -> None:
    tiers = shell.home / "config" / "tiers.yaml"
    tiers.parent.mkdir(parents=True)
    urgent = "urgent: {limit: {minutes: 120}}\n"
    try:
        for text, state in ((f"{urgent}tiers: {{4: }}", WARN), (f"{urgent}tiers: {{4: {{limit: soon}}}}", FAIL)):
            tiers.write_text(text, encoding="utf-8")
            limits.cache_clear()
            assert by_check(examine())["tiers"].state == state
    finally:
        limits.cache_clear()


def test_a_transcript_that_cannot_be_replayed_is_told_by_line(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EmbeddedEngine, "ready", lambda *_: Silent())
    pack = tmp_path / "town"
    shutil.copytree(DEMO_TOWN, pack)
    (pack / "transcript.jsonl").write_text('{"id": "m1"}\n', encoding="utf-8")
    code, _, err = shell("replay", str(pack))
    assert (code, err.strip()) == (1, "transcript.jsonl:1: field `channel` is missing")


def test_a_transcript_that_is_not_utf8_is_told_by_line(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EmbeddedEngine, "ready", lambda *_: Silent())
    pack = tmp_path / "town"
    shutil.copytree(DEMO_TOWN, pack)
    lines = (pack / "transcript.jsonl").read_bytes().splitlines(keepends=True)
    (pack / "transcript.jsonl").write_bytes(b"\xef\xbb\xbf" + lines[0] + "停水了\n".encode("gbk"))
    code, _, err = shell("replay", str(pack))
    assert (code, err.strip()) == (1, "transcript.jsonl:2: is not UTF-8")


class Silent(Deaf):
    """An engine to which everything is chatter, except what speaks of a lift."""

    name = "silent"

    def parse(self, batch: Sequence[Utterance], names: Names) -> list[Understanding]:
        found = []
        for item in batch:
            intent = "report" if "电梯" in item.text else "chatter"
            shares = {name: float(name == intent) for name in INTENTS}
            found.append(Understanding(shares, (Matter(item.text, (("facility.elevator", 0.9),)),)))
        return found


def test_a_replay_writes_its_lines_and_sums_up(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EmbeddedEngine, "ready", lambda *_: Silent())
    out_file = tmp_path / "deep" / "out.jsonl"
    code, out, _ = shell("replay", str(DEMO_TOWN), "--out", str(out_file))
    assert code == 0
    lines = [json.loads(line) for line in out_file.read_text(encoding="utf-8").splitlines()]
    tickets = [line for line in lines if line["kind"] == "ticket"]
    assert {ticket["category"] for ticket in tickets} == {"facility.elevator"}
    assert cells(out, "tickets")[1] == str(len(tickets))
    assert cells(out, "messages")[1] == str(len((DEMO_TOWN / "transcript.jsonl").read_text().splitlines()))
    assert cells(out, "alerts")[1] == str(sum(line["kind"] == "alert" for line in lines))
    assert not (shell.home / "linsheng.db").exists()


def test_silence_is_counted_by_messages_that_got_no_answer() -> None:
    reply = {"kind": "reply", "trigger": "m1"}
    found = Replay(lines=[reply, reply, {"kind": "reply", "trigger": None}], messages=4)
    assert dict(history.summary(found))["silent after"] == "75.0% of the messages"


def test_an_operator_sees_what_did_not_leave_and_sends_it_again(shell: Shell, home_db: Database) -> None:
    letters = [(f"k{n}", Outgoing(channel="web", chat=f"c{n}", text="王阿姨家暴")) for n in range(3)]
    home_db.tx(lambda session: outbox.put(session, letters, utc_now()))
    for key, outcome in (("k0", DEAD), ("k1", UNCERTAIN)):
        ended = sa.update(Outbox).where(Outbox.dedup_key == key)  # type: ignore[arg-type]
        values = {"outcome": outcome, "error": "45015 [x]", "finished_at": utc_now()}
        statement = ended.values(values)
        home_db.tx(lambda session, s=statement: session.connection().execute(s))  # type: ignore[misc]

    _, out, _ = shell("outbox", "list")
    assert cells(out, "1")[1:3] == ["dead", "web"]
    assert cells(out, "2")[1] == "uncertain"
    assert "45015 [x]" in out
    assert "王阿姨" not in out
    assert "uncertain" not in shell("outbox", "list", "--state", "dead")[1]

    code, _, err = shell("outbox", "retry", "3")
    assert (code, "3" in err) == (1, True)
    assert shell("outbox", "retry", "--all")[1] == "1 will be sent again.\n"
    assert shell("outbox", "retry", "2")[0] == 0
    waiting = sa.select(sa.func.count()).select_from(Outbox).where(Outbox.finished_at.is_(None))  # type: ignore[union-attr]
    assert home_db.tx(lambda session: session.scalars(waiting).one()) == 3
    assert shell("outbox", "retry")[0] == 2


def test_serve_on_a_port_that_is_taken(shell: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, err = shell("serve", "--no-worker", "--port", str(port))
    assert code == 1
    assert "address already in use" in err.splitlines()[-1]


# --- doctor ---------------------------------------------------------------------------------------------------------


def by_check(found: list[Finding]) -> dict[str, Finding]:
    return {one.check: one for one in found}


def test_the_demo_town_is_whole(shell: Shell, home_db: Database) -> None:
    bring_in(home_db, DEMO_TOWN)
    found = by_check(examine())
    assert found["database"].state == found["town"].state == OK
    assert found["gridworkers"].state == found["reachable"].state == found["grid chats"].state == OK
    assert shell("doctor")[0] == 0


def test_doctor_makes_no_database(shell: Shell) -> None:
    assert by_check(examine())["database"].state == WARN
    assert not list(shell.home.rglob("*.db*"))


def test_somebody_part_time_is_no_gridworker(shell: Shell, home_db: Database) -> None:
    bring_in(home_db, DEMO_TOWN)
    change = sa.update(Duty).where(Duty.role == Role.GRIDWORKER).values(role=Role.PART_TIME)  # type: ignore[arg-type]
    home_db.tx(lambda session: session.connection().execute(change))
    assert by_check(examine())["gridworkers"].state == FAIL


def test_serve_refuses_tables_that_are_wrong_in_one_line(shell: Shell) -> None:
    (shell.home / "config").mkdir(parents=True)
    (shell.home / "config" / "replies.yaml").write_text("opened: '收到 {weather}'\n", encoding="utf-8")
    code, _, err = shell("serve", "--no-worker", "--port", "0")
    assert code == 1
    assert err.splitlines()[-1].startswith("replies.yaml: opened: nothing fills {weather}; ")
    assert not (shell.home / "linsheng.db").exists()
    assert by_check(examine())["tables"].state == FAIL


def test_a_deployment_without_a_town_is_not_ready(shell: Shell, home_db: Database) -> None:
    assert by_check(examine())["town"].state == FAIL
    assert shell("doctor")[0] == 1


def test_workers_that_nobody_can_reach_are_told(shell: Shell, home_db: Database) -> None:
    bring_in(home_db, DEMO_TOWN)
    home_db.tx(lambda session: session.connection().execute(sa.delete(Identity)))
    found = by_check(examine())
    assert found["reachable"].state == FAIL
    assert found["identities"].state == WARN


def test_a_database_that_is_away_is_a_finding(shell: Shell) -> None:
    shell.set(DATABASE_URL="postgresql://clerk:hunter2@127.0.0.1:1/town")
    found = by_check(examine())["database"]
    assert found.state == FAIL
    assert "hunter2" not in found.said


@pytest.mark.parametrize(
    ("values", "check", "state"),
    [
        ({}, "secret key", WARN),
        ({"SECRET_KEY": "x" * 32}, "secret key", OK),
        ({"SECRET_KEY": "x" * 15}, "secret key", WARN),
        ({"SECRET_KEY": "x" * 32}, "public url", WARN),
        ({"WECHAT_MP__TOKEN": "t"}, "wechat_mp", FAIL),
        ({}, "wechat_mp", OK),
        ({"DEMO": "true"}, "demo", WARN),
        ({"DEMO": "true", "PUBLIC_URL": "https://grid.example.cn"}, "demo", FAIL),
        ({"DEMO": "true", "PUBLIC_URL": "http://192.168.1.4:8080"}, "demo", WARN),
        ({"TIMEZONE": "Mars/Phobos"}, "settings", FAIL),
    ],
)
def test_doctor_on_settings(shell: Shell, values: dict[str, str], check: str, state: str) -> None:
    shell.set(**values)
    assert by_check(examine())[check].state == state


def test_doctor_on_a_year_nobody_has_published(shell: Shell) -> None:
    later = utc_now().replace(year=2040)
    found = by_check(examine(lambda: later))
    assert (found["calendar 2040"].state, found["calendar 2041"].state) == (FAIL, WARN)


# --- how often it is right ------------------------------------------------------------------------------------------


def test_a_pack_with_gold_is_scored() -> None:
    scores = of_pack(Silent(), DEMO_TOWN)
    assert scores.reports > 10
    assert scores.found >= scores.right
    assert 0 <= scores.recall < 1
    both = together([scores, scores])
    assert (both.messages, both.recall) == (2 * scores.messages, scores.recall)


def test_a_pack_without_gold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"gold\.json"):
        of_pack(Silent(), tmp_path)
