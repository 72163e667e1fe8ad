"""Rasa with what it needs around it: `run.py train` and `run.py serve`, by the Python of its own environment.

The working folder holds `nlu.yml` and `domain.yml` (from `linsheng nlu export`), the trained model, Rasa's cache and
the server's token.
"""

import argparse
import hashlib
import json
import os
import secrets
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODEL = "linsheng"
LOOPBACK = "127.0.0.1"
# No telemetry; and no lines about the instructions of this processor and the SQLAlchemy of next year.
ENVIRONMENT = {
    "RASA_TELEMETRY_ENABLED": "false", "TF_CPP_MIN_LOG_LEVEL": "2", "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
    "OMP_NUM_THREADS": "1",
}  # fmt: skip


def token_of(work: Path) -> str:
    """The token that whoever asks must know: LINSHENG_RASA__TOKEN, else one that is made once and kept beside the
    model, where the bot finds it."""
    if given := os.environ.get("LINSHENG_RASA__TOKEN"):
        return given
    file = work / "token"
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as fresh:
            fresh.write(secrets.token_urlsafe(32))
    except FileExistsError:  # an earlier start made it
        return file.read_text(encoding="ascii").strip()
    return file.read_text(encoding="ascii").strip()


def made_from(work: Path, config: str) -> dict[str, str]:
    """The hash of everything that the model is made of, by name."""
    files = [work / "nlu.yml", work / "domain.yml", HERE / config, HERE / "requirements.lock"]
    files += sorted((HERE / "components").glob("*.py"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def stamp_of(work: Path) -> Path:
    """Says what the model was made from. Written last: with it, the model is whole and of these data."""
    return work / "models" / f"{MODEL}.json"


def training(work: Path, config: str) -> list[str]:
    """Rasa's words for: train, and keep the model under one name."""
    return [
        "train", "nlu", "--config", str(HERE / config), "--domain", str(work / "domain.yml"),
        "--nlu", str(work / "nlu.yml"), "--out", str(work / "models"), "--fixed-model-name", MODEL,
    ]  # fmt: skip


def serving(work: Path, host: str, port: int) -> list[str]:
    """Rasa's words for: answer /model/parse, and nothing else.

    It would listen to the whole network by default, and mount a chat channel that asks for no token: hence
    `--interface` and the file without channels. Raises SystemExit where nothing is trained.
    """
    model = work / "models" / f"{MODEL}.tar.gz"
    if not model.is_file():
        sys.exit(f"there is no {model}: `make rasa` trains it")
    return [
        "run", "--enable-api", "--interface", host, "--port", str(port), f"--auth-token={token_of(work)}",
        "--model", str(model), "--endpoints", os.devnull, "--credentials", str(HERE / "credentials.yml"),
    ]  # fmt: skip


def train(work: Path, config: str) -> None:
    """Train, unless the model that is there is of these data, this pipeline and these components."""
    stamp, made = stamp_of(work), made_from(work, config)
    if stamp.is_file() and json.loads(stamp.read_text(encoding="ascii")) == made:
        sys.stdout.write("The model is of these data already.\n")
        return
    stamp.unlink(missing_ok=True)
    hand_over(work, training(work, config))
    stamp.write_text(json.dumps(made, indent=1) + "\n", encoding="ascii")


def hand_over(work: Path, words: list[str]) -> None:
    """Run Rasa in the working folder, with temporary files of its own: it unpacks the model there."""
    os.environ.update(ENVIRONMENT)
    os.chdir(work)
    sys.path.insert(0, str(HERE))  # where `components` is found
    with tempfile.TemporaryDirectory(prefix="rasa-", dir=work) as temporary:
        os.environ["TMPDIR"] = tempfile.tempdir = temporary
        from rasa.__main__ import main as rasa  # type: ignore[import-not-found]  # noqa: PLC0415 - seconds

        sys.argv = ["rasa", *words]  # not on the command line, where `ps` would show the token
        rasa()


def main() -> None:
    """Read what is wanted, and do it."""
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__)
    parser.add_argument("what", choices=("train", "serve"))
    parser.add_argument("work", type=Path, help="the working folder")
    parser.add_argument("--config", default="config.yml", help="a pipeline in this folder")
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, default=5005)
    asked = parser.parse_args()
    work = asked.work.resolve()
    if asked.what == "train":
        train(work, asked.config)
    else:
        hand_over(work, serving(work, asked.host, asked.port))


if __name__ == "__main__":
    main()
