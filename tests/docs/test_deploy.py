"""What docs/deploy tells an operator to run and to set is what there is: commands, settings, addresses, channels."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel

from bot.channels.registry import channels
from bot.cli import app
from bot.ingest import Ingest
from config.settings import Settings
from models.database import Database

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
PAGES = sorted([*DEPLOY.glob("*.md"), ROOT / "docs" / "channels.md"])
SETTING = re.compile(r"\bLINSHENG_[A-Z]+(?:_{1,2}[A-Z]+)*\b")
OUTSIDE = {"LINSHENG_DOMAIN", "LINSHENG_SECRETS_DIR", "LINSHENG_CONFIG"}  # the proxy's, and where settings lie
CHANNELS = {
    "wecom_bot", "wechat_mp", "wecom_app", "wecom_kf", "resident_report", "group_robot", "onebot", "archive",
}  # fmt: skip


def settings_there_are(model: type[BaseModel] = Settings, prefix: str = "LINSHENG_") -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= settings_there_are(kind, f"{prefix}{name.upper()}__")
        else:
            found.add(f"{prefix}{name.upper()}")
    return found


def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return read


def command_line() -> Any:
    """The whole command line. Typer brings its own copy of click, which mypy does not know."""
    return typer.main.get_command(app)


def parsed(arguments: list[str]) -> dict[str, Any]:
    """The values of a command's options. Raises what the command line raises for wrong ones."""
    command = command_line()
    first, *rest = arguments
    values: dict[str, Any] = command.commands[first].make_context(first, rest).params
    return values


# --- compose.yaml --------------------------------------------------------------------------------------------------


def test_two_of_each_one_database_one_door() -> None:
    services = compose()["services"]
    commands = {name: service["command"][0] for name, service in services.items() if "command" in service}
    assert sorted(commands.values()) == ["serve", "serve", "worker", "worker"]
    assert set(services) - set(commands) == {"db", "proxy"}
    assert [name for name, service in services.items() if service.get("ports")] == ["proxy"]
    assert services["db"]["networks"] == ["inside"]
    assert compose()["networks"]["inside"]["internal"] is True


def test_its_commands_and_settings_are_there() -> None:
    known = settings_there_are() | OUTSIDE
    for name, service in compose()["services"].items():
        if "command" not in service:
            continue
        values = parsed(service["command"])
        assert values.get("worker", True) is (name in ("worker-1", "worker-2"))
        assert set(service["environment"]) <= known
        port = str(values.get("port") or values["metrics_port"])
        assert f"127.0.0.1:{port}/healthz" in service["healthcheck"]["test"][-1]
        assert service["depends_on"] == {"db": {"condition": "service_healthy"}}
        assert float(service["stop_grace_period"].removesuffix("s")) > 10


def test_everybody_shares_one_data_folder_and_nothing_is_mounted_that_nobody_made() -> None:
    told = compose()
    for service in told["services"].values():
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert source.startswith("./") or source in told["volumes"]
    homes = {service["volumes"][0] for service in told["services"].values() if "command" in service}
    assert homes == {"home:/var/lib/linsheng"}
    assert "LINSHENG_HOME=/var/lib/linsheng" in (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    readme = (DEPLOY / "README.md").read_text(encoding="utf-8")
    for made in ("secrets", "town", "linsheng.env", "postgres_password"):
        assert made in readme


def test_no_secret_stands_in_the_files() -> None:
    theirs = (DEPLOY / ".gitignore").read_text(encoding="utf-8").split()  # an operator's own
    assert "/secrets/" in theirs
    for path in DEPLOY.rglob("*"):
        own = any(f"/{path.relative_to(DEPLOY)}/".startswith(f"{one.rstrip('/')}/") for one in theirs)
        if path.is_file() and path.suffix != ".md" and not own:
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"(?i)(password|secret|token|aes_key)\w*\s*[=:]\s*['\"]?[a-z0-9]{16,}", text), path


def test_the_proxy_asks_both_web_processes() -> None:
    text = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    services = compose()["services"]
    webs = [f"{name}:8080" for name, service in services.items() if service.get("command", [""])[0] == "serve"]
    assert f"reverse_proxy {' '.join(webs)} {{" in text
    assert text.count("{") == text.count("}")
    assert "/metrics" in text


def test_the_image_copies_what_is_there_and_all_that_is_built() -> None:
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = {word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]}
    for name in copied:
        assert (ROOT / name).exists(), name
    assert {"bot", "config", "handlers", "models", "nlu", "pyproject.toml"} <= copied
    let_in = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert {f"!{name}" for name in copied} <= set(let_in)


# --- systemd -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted((DEPLOY / "systemd").iterdir()), ids=lambda path: path.name)
def test_units_start_what_there_is(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    sections = [line for line in lines if line.startswith("[")]
    assert sections == ["[Unit]", "[Service]", "[Install]"]
    keys = [line.partition("=")[0] for line in lines if "=" in line and not line.startswith("#")]
    assert {"User", "Restart", "ExecStart", "WantedBy", "NoNewPrivileges"} <= set(keys)
    (start,) = [line.partition("=")[2].split() for line in lines if line.startswith("ExecStart=")]
    assert start[0] == "/opt/linsheng/bin/linsheng"
    assert ("%i" in start) is ("@" in path.name)
    parsed([word.replace("%i", "8080") for word in start[1:]])
    for name in SETTING.findall("\n".join(lines)):
        assert name in settings_there_are() | OUTSIDE, name


def test_the_command_line_beside_the_units_is_the_units_own(tmp_path: Path) -> None:
    """Its user, settings, secrets and data folder: with others the doctor would look at another deployment."""
    seen = tmp_path / "systemd-run"
    seen.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    seen.chmod(0o755)
    asked = ["doctor", "--channel", "wecom_app", "with a blank"]
    ran = subprocess.run(  # noqa: S603
        ["/bin/sh", DEPLOY / "linsheng.sh", *asked], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, text=True, check=True,
        capture_output=True,
    )  # fmt: skip
    words = ran.stdout.splitlines()
    unit = dict(
        line.split("=", 1)
        for line in (DEPLOY / "systemd" / "linsheng.service").read_text(encoding="utf-8").splitlines()
        if "=" in line and not line.startswith("#")
    )
    assert words[words.index("--") :] == ["--", unit["ExecStart"].split()[0], *asked]
    assert {f"--uid={unit['User']}", f"--gid={unit['Group']}"} <= set(words)
    assert f"--property=EnvironmentFile={unit['EnvironmentFile']}" in words
    assert {f"--setenv={one}" for one in unit["Environment"].split()} <= set(words)


def test_the_pages_upgrade_in_the_order_of_the_operations_manual() -> None:
    """Back up, and stop what runs before anything new starts: old code must not meet new tables."""
    _, containers, units = (DEPLOY / "README.md").read_text(encoding="utf-8").split("To upgrade, read the")
    for page, steps in (
        (containers, ("back up", "compose build", "compose stop web-1 web-2 worker-1 worker-2", "compose up --detach")),
        (
            units,
            ("back up", "systemctl stop 'linsheng*'", "pip install --upgrade", "systemctl start", "linsheng doctor"),
        ),
    ):
        at = [page.find(step) for step in steps]
        assert at == sorted(at)
        assert at[0] >= 0
    assert "up --build" not in containers


def test_a_newcomer_sets_the_town_and_the_address() -> None:
    example = (DEPLOY / "linsheng.env.example").read_text(encoding="utf-8")
    readme = (DEPLOY / "README.md").read_text(encoding="utf-8")
    for name in ("LINSHENG_TOWN", "LINSHENG_PUBLIC_URL"):
        assert f"#{name}=" in example
        assert f"^#{name}=" in readme


# --- the pages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages_name_settings_that_there_are(path: Path) -> None:
    known = settings_there_are() | OUTSIDE
    text = path.read_text(encoding="utf-8")
    assert sorted({name for name in SETTING.findall(text) if name not in known}) == []
    # `wecom_app__secret`: a file in the secrets folder.
    files = re.findall(r"`([a-z]+(?:_[a-z]+)*__[a-z_]+)`", text)
    assert sorted({name for name in files if f"LINSHENG_{name.upper()}" not in known}) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_on_pages_are_commands(path: Path) -> None:
    commands = command_line().commands
    for line in re.findall(r"`linsheng ([a-z][a-z -]*)", path.read_text(encoding="utf-8")):
        first, *rest = line.split()
        assert first in commands, line
        if rest and hasattr(commands[first], "commands"):
            assert rest[0] in commands[first].commands, line


def test_the_example_of_the_environment() -> None:
    lines = (DEPLOY / "linsheng.env.example").read_text(encoding="utf-8").splitlines()
    named = [line.lstrip("#").partition("=")[0] for line in lines if "=" in line]
    assert named
    assert sorted(name for name in named if name not in settings_there_are()) == []


def test_every_channel_has_a_page_and_a_row() -> None:
    text = (ROOT / "docs" / "channels.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[`(\w+)`\]\(deploy/([\w-]+\.md)\)", text, re.MULTILINE)
    assert {name for name, _ in rows} == CHANNELS
    limits = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert set(limits) == CHANNELS
    index = (DEPLOY / "README.md").read_text(encoding="utf-8")
    for _, page in rows:
        assert f"({page})" in index
        assert "test first" in (DEPLOY / page).read_text(encoding="utf-8") or "doctor" in (DEPLOY / page).read_text(
            encoding="utf-8"
        )


def everything(home: Path) -> Settings:
    """Every channel on, with invented values."""
    key = "k" * 43
    corp = {"corp_id": "ww1", "secret": "s"}
    callback = {"token": "t", "aes_key": key}
    return Settings.model_validate(
        {
            "home": home, "secret_key": "of-the-tests", "demo": False,
            "wecom_bot": {"mode": "webhook", "bot_id": "b"} | callback,
            "wechat_mp": {"app_id": "wx1", "app_secret": "s"} | callback,
            "wecom_app": corp | callback | {"agent_id": 1},
            "wecom_kf": corp | callback | {"accounts": ["wk1"]},
            "resident_report": corp, "group_robot": {"keys": {"duty": "k" * 16}}, "onebot": {"token": "t" * 32},
            "archive": {"on": True},
        }
    )  # fmt: skip


async def test_addresses_on_pages_are_served(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'x.db'}")
    try:
        made = channels(everything(tmp_path), db, Ingest(db), wake=lambda: None)
        assert {channel.name for channel in made} == CHANNELS
        served = {
            str(getattr(route, "path", "")): channel.name for channel in made for route in channel.routes()
        }  # fmt: skip
    finally:
        db.close()
    for path in PAGES:
        for address in re.findall(r"(?:https|wss)://YOUR\.HOST(/[\w/]*\w)(?![\w/])", path.read_text(encoding="utf-8")):
            assert address in served, f"{path.name}: {address}"
    for address, name in served.items():
        pages = "".join(page.read_text(encoding="utf-8") for page in DEPLOY.glob("*.md"))
        assert address in pages, name
