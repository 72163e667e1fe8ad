"""The trained Rasa as `make rasa-serve` starts it, and why there may be none."""

import hashlib
import json
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from config.settings import RasaSettings
from config.tables import leaves
from nlu import corpus
from nlu.corpus import Example
from nlu.export import export

ROOT = Path(__file__).parents[2]
RASA = ROOT / "nlu" / "rasa"
START = 90.0  # seconds; 15 to 20 on a quiet machine
STOP = 10.0


class NoRasa(Exception):
    """There is no server to be had; the message says what to do."""


def work() -> Path:
    """Where `make rasa-model` puts data and model."""
    return (ROOT / os.environ.get("LINSHENG_HOME", "var") / "rasa").resolve()


def interpreter() -> Path:
    """The Python of the environment. Raises NoRasa."""
    where = subprocess.run(["/bin/sh", RASA / "environment", "--where"], capture_output=True, text=True, check=True)  # noqa: S603 - our own script
    python = Path(where.stdout.strip()) / "bin" / "python"
    if not python.exists():
        raise NoRasa("the environment of Rasa is not built: `make rasa`")
    return python


def of_these_data() -> None:
    """Raises NoRasa unless the model was trained on the data as they are now."""
    stamp = work() / "models" / "linsheng.json"
    if not stamp.is_file():
        raise NoRasa("Rasa is not trained: `make rasa`")
    with tempfile.TemporaryDirectory() as folder:
        export(Path(folder), leaves())
        now = {
            name: hashlib.sha256((Path(folder) / name).read_bytes()).hexdigest() for name in ("nlu.yml", "domain.yml")
        }
    made = json.loads(stamp.read_text(encoding="ascii"))
    if {name: made.get(name) for name in now} != now:
        raise NoRasa("Rasa was trained on other data than these: `make rasa`")


def unseen() -> list[Example]:
    """Utterances that no engine has learned from."""
    return list(corpus.utterances(corpus.DATA / corpus.REGRESSION, frozenset(leaves())))


class Server:
    """A running server on a port of its own. ready: the seconds until it answered."""

    def __init__(self) -> None:
        """Starts it and waits. Raises NoRasa."""
        python = interpreter()
        of_these_data()
        self.token = secrets.token_urlsafe(16)
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = int(found.getsockname()[1])
        self.log = Path(tempfile.mkdtemp(prefix="linsheng-rasa-")) / "log"
        begun = time.monotonic()
        with self.log.open("wb") as sink:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [python, RASA / "run.py", "serve", work(), "--port", str(self.port)],
                env=os.environ | {"LINSHENG_RASA__TOKEN": self.token}, stdout=sink, stderr=sink,
            )  # fmt: skip
        while self.get("/status", token=self.token)[0] != 200:
            if self.process.poll() is not None or time.monotonic() - begun > START:
                self.stop()
                raise NoRasa(f"Rasa did not start:\n{self.log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
            time.sleep(0.2)
        self.ready = time.monotonic() - begun

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, body: object = None, **query: str) -> tuple[int, str]:
        """Status and body of an answer; (0, "") where there is none. With a body it is a POST."""
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(f"{self.url}{path}?{asked}", data, timeout=10) as answer:  # noqa: S310 - our own address
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except (urllib.error.URLError, OSError):
            return 0, ""

    def settings(self, **changes: object) -> RasaSettings:
        """For asking it, on a machine that is busy with tests."""
        given = {"url": self.url, "token": self.token, "timeout_seconds": 5, "batch_seconds": 20}
        return RasaSettings.model_validate(given | changes)

    def megabytes(self) -> float:
        """The memory that it holds (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024

    def cpu(self) -> float:
        """Seconds of processor time until now (Linux)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def listens(self) -> set[str]:
        """Addresses on which its port is open (Linux), as the kernel writes them: 0100007F is 127.0.0.1."""
        rows = [
            row.split() for file in ("tcp", "tcp6") for row in Path(f"/proc/net/{file}").read_text("ascii").splitlines()
        ]
        doors = [row[1].split(":") for row in rows if row[3] == "0A"]
        return {address for address, port in doors if int(port, 16) == self.port}

    def stop(self) -> None:
        """End it; safe to call twice."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(STOP)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
