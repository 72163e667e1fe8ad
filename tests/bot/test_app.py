"""The application: health, plain errors, careful headers, and an orderly end."""

import asyncio
import io
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from aiohttp import ClientConnectorError, ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from bot import logs
from bot.app import PROCESS, build, work
from bot.towns import bring_in, first_town
from config.settings import DEMO_TOWN, Settings, load_settings
from models import mark
from models.database import Database
from models.grid import Grid
from models.townpack import BadPack
from tests.engines import Keen

ROOT = Path(__file__).parents[2]
Browser = TestClient[web.Request, web.Application]


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.fixture
def settings(tmp_path: Path, db_url: str) -> Settings:
    return load_settings(demo=True, home=tmp_path / "home", database_url=db_url)


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[Browser]:
    app = build(settings, engine=Keen())

    async def fail(_request: web.Request) -> web.Response:
        raise ValueError("王阿姨 13800000000")

    app.router.add_get("/fail", fail)
    async with TestClient(TestServer(app)) as browser:
        yield browser


async def test_health_says_what_runs(client: Browser) -> None:
    answer = await client.get("/healthz")
    body = await answer.json()
    assert answer.status == 200
    assert (body["status"], body["database"], body["workers"], body["senders"]) == ("ok", "ok", 1, 1)
    assert (body["backlog"], body["backlog_age_seconds"], body["channels"]) == (0, 0.0, ["web"])


async def test_health_fails_when_the_worker_is_gone(client: Browser) -> None:
    process = client.app[PROCESS]
    process._tasks["worker"].cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    answer = await client.get("/healthz")
    assert (answer.status, (await answer.json())["status"]) == (503, "failing")


async def test_health_fails_when_the_database_does_not_answer(client: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    process = client.app[PROCESS]

    def gone(_work: object) -> None:
        raise sa.exc.OperationalError("SELECT 1", {}, Exception("gone"))

    monkeypatch.setattr(process.db, "tx", gone)
    answer = await client.get("/healthz")
    body = await answer.json()
    assert (answer.status, body["status"], body["database"]) == (503, "failing", "no answer")


async def test_figures_for_prometheus(client: Browser) -> None:
    answer = await client.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "linsheng_inbox_backlog" in await answer.text()


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/fail", 500)])
async def test_errors_are_plain(client: Browser, path: str, status: int) -> None:
    answer = await client.get(path)
    assert answer.status == status
    assert answer.content_type == "application/json"
    text = await answer.text()
    assert list(json.loads(text)) == ["error"]
    assert "Traceback" not in text
    assert "王阿姨" not in text


async def test_a_method_that_is_not_there_says_which_is(client: Browser) -> None:
    answer = await client.post("/healthz")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/fail", "/chat"])
async def test_every_answer_is_careful(client: Browser, path: str) -> None:
    answer = await client.get(path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] in ("no-referrer", "same-origin")
    assert "aiohttp" not in answer.headers["Server"].lower()


async def test_the_chat_page_keeps_its_own_policy(client: Browser) -> None:
    assert "default-src 'none'" in (await client.get("/chat")).headers["Content-Security-Policy"]


async def test_a_line_in_the_chat_is_answered_with_a_ticket(client: Browser) -> None:
    """Through everything: the page, the inbox, the worker, the outbox, the sender, and back."""
    chat = "g-QX-01-01-01"
    post = {"person": "U01", "text": "3幢电梯又停了", "client_id": "first-line"}
    assert (await client.post(f"/chat/api/chats/{chat}/messages", json=post)).status == 200
    started = time.monotonic()
    said: list[Any] = []
    while len(said) < 2 and time.monotonic() - started < 10:
        found = await (await client.get(f"/chat/api/chats/{chat}/messages?person=U01")).json()
        said = found["messages"]
        await asyncio.sleep(0.05)
    assert [line["sender"] for line in said] == ["u01", "bot"]
    assert "电梯" in said[1]["text"]


async def test_without_the_demo_there_is_no_chat(tmp_path: Path) -> None:
    app = build(load_settings(demo=False, home=tmp_path), worker=False)
    async with TestClient(TestServer(app)) as browser:
        assert (await browser.get("/chat")).status == 404
        body = await (await browser.get("/healthz")).json()
        assert (body["status"], body["workers"], body["channels"]) == ("ok", 0, [])


async def test_a_start_that_fails_leaves_nothing_open(tmp_path: Path) -> None:
    app = build(load_settings(demo=False, home=tmp_path, town=tmp_path / "nowhere"), worker=False)
    runner = web.AppRunner(app)
    with pytest.raises(BadPack):
        await runner.setup()
    await runner.cleanup()
    with pytest.raises(RuntimeError):
        await app[PROCESS].db.run(lambda session: None)


def test_only_an_empty_database_gets_a_town_by_itself(db: Database, tmp_path: Path) -> None:
    demo = load_settings(demo=True, home=tmp_path)
    assert not first_town(db, load_settings(demo=False, home=tmp_path))
    assert first_town(db, demo)
    assert not first_town(db, demo)
    assert db.tx(lambda session: mark.value(session, mark.TOWN)) == 1
    db.tx(lambda session: session.connection().execute(sa.update(Grid).values(name="改过")))
    assert not first_town(db, demo)


def test_an_import_tells_the_workers_only_of_changes(db: Database) -> None:
    bring_in(db, DEMO_TOWN)
    again = bring_in(db, DEMO_TOWN)
    assert db.tx(lambda session: mark.value(session, mark.TOWN)) == 1
    assert {count.added for count in again.tables.values()} == {0}


def test_logs_say_where_it_went_wrong_and_not_what_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    logs.configure("info", json=True)
    try:
        int("王阿姨家暴")
    except ValueError:
        structlog.get_logger("test").exception("worker.failed", inbox=7)
    structlog.get_logger("test").debug("unseen")
    (line,) = written.getvalue().splitlines()
    found = json.loads(line)
    assert (found["event"], found["inbox"], found["level"]) == ("worker.failed", 7, "error")
    assert found["exception"][0].startswith("ValueError at test_logs_say")
    assert "王阿姨" not in line


def test_the_access_log_has_routes_and_no_tokens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    logs.configure("info", json=True)

    async def ask() -> None:
        async def task(_request: web.Request) -> web.Response:
            return web.Response()

        app = web.Application()
        app.router.add_get("/task/{token}", task)
        runner = web.AppRunner(app, access_log_class=logs.AccessLog)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with ClientSession() as session:
            await session.get(f"http://127.0.0.1:{runner.addresses[0][1]}/task/SECRET?person=U01")
        await runner.cleanup()

    asyncio.run(ask())
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    (found,) = [line for line in lines if line["event"] == "http"]
    assert (found["route"], found["method"], found["status"]) == ("/task/{token}", "GET", 200)
    assert "SECRET" not in written.getvalue()
    assert "U01" not in written.getvalue()


async def test_a_worker_shows_its_health_where_it_is_told_to(settings: Settings) -> None:
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(work(settings, metrics_port=0, ready=address.set_result, engine=Keen()))
    try:
        async with asyncio.timeout(20), ClientSession() as session:
            where = await address
            assert where.startswith("http://127.0.0.1:")
            async with session.get(f"{where}/healthz") as answer:
                body = await answer.json()
                assert (answer.status, body["workers"], body["senders"]) == (200, 1, 1)
            async with session.get(f"{where}/metrics") as answer:
                assert "linsheng_messages_handled_total" in await answer.text()
            async with session.get(f"{where}/chat") as answer:
                assert answer.status == 404
            os.kill(os.getpid(), signal.SIGTERM)
            await running
            with pytest.raises(ClientConnectorError):
                await session.get(f"{where}/healthz")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_worker_listens_nowhere_by_itself(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def listen(*_: object) -> None:
        raise AssertionError("it listens")

    def ready(address: str) -> None:
        assert address == ""
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(web, "TCPSite", listen)
    async with asyncio.timeout(20):
        await work(settings, ready=ready, engine=Keen())


async def test_a_worker_whose_port_is_taken_ends_in_order(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        async with asyncio.timeout(20):
            with pytest.raises(OSError, match="address already in use"):
                await work(settings, metrics_port=taken.getsockname()[1], engine=Keen())


@pytest.mark.slow
async def test_sigterm_ends_it_in_time_with_a_stream_open(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"LINSHENG_HOME": str(tmp_path), "LINSHENG_DEMO": "true"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.cli", "serve", "--no-worker", "--port", str(port), cwd=ROOT, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            said = ""
            while "Ctrl+C" not in said:
                said += (await process.stdout.readline()).decode()
        assert f"http://127.0.0.1:{port}/chat" in said
        async with (
            ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/chat/api/stream?person=U01&after=0") as stream,
        ):
            assert stream.status == 200
            started = time.monotonic()
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(15):
                _, errors = await process.communicate()
        assert time.monotonic() - started < 10
        assert process.returncode == 0
        assert "Traceback" not in errors.decode()
        assert "process.not_closed" not in errors.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
