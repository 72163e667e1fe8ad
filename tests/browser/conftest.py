"""The service as `make run` starts it, a headless browser, and phones in it that fail the test on any page error.

Without a browser the tests are skipped; with CI=true they fail instead.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.phone import Phones
from tests.trained import trained_home

ROOT = Path(__file__).parent.parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
START = 60.0  # seconds until the service must be healthy; its engine is trained before
STOP = 20.0


def trained(home: Path) -> None:
    """Put the trained engine into a data folder; it is trained once a machine, and processes wait for one another."""
    shutil.copytree(trained_home() / "nlu", home / "nlu")


def free_port() -> int:
    """A port of the loopback that nobody listens on just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_until_healthy(base: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Returns once /healthz answers 200; fails the tests with the log's end when the process ends or START is over."""
    until = time.monotonic() + START
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{base}/healthz", timeout=2) as answer:  # noqa: S310 - our own address
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"the service did not become healthy:\n{log.read_text(encoding='utf-8')[-3000:]}", pytrace=False)


def errors_in(log: Path) -> list[str]:
    """Lines of level error or critical, and whatever is no log line at all: a bare traceback."""
    bad = []
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            bad.append(line)
            continue
        if event["level"] in ("error", "critical"):
            bad.append(line)
    return bad


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the running demo. At the end it must stop by itself and have logged no error."""
    home = tmp_path_factory.mktemp("home")
    trained(home)
    base = f"http://127.0.0.1:{(port := free_port())}"
    settings = {"HOME": str(home), "DEMO": "true", "PUBLIC_URL": base, "LOG_JSON": "true"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LINSHENG_")}
    log = home / "service.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "bot.cli", "serve", "--port", str(port)],
            cwd=ROOT, env=inherited | {f"LINSHENG_{name}": value for name, value in settings.items()},
            stdout=subprocess.DEVNULL, stderr=sink,
        )  # fmt: skip
        try:
            wait_until_healthy(base, process, log)
            yield base
            process.send_signal(signal.SIGTERM)
            assert process.wait(STOP) == 0
        finally:
            process.kill()
            process.wait()
    assert errors_in(log) == []


# Not for the session: while Playwright is open, its event loop runs in this thread, and asyncio tests could not.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or another that is installed, without a window."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        message = "no browser: install chromium to run the browser tests"
        if os.environ.get("CI") == "true":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=FLAGS, headless=True)
        yield started
        started.close()


@pytest.fixture
def phones(browser: Browser, service: str) -> Iterator[Phones]:
    """Windows of the web chat; at the end of the test no page may have reported an error."""
    opened = Phones(browser, service)
    yield opened
    opened.close()
    assert opened.faults == []


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go: LINSHENG_PICTURES (`make pictures`), else a temporary folder."""
    wanted = os.environ.get("LINSHENG_PICTURES")
    folder = Path(wanted).resolve() if wanted else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
