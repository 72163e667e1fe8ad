"""Callbacks from the platforms' own addresses alone, behind proxies and without, where a deployment asks for it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from bot import doctor
from bot.app import build
from bot.channels.callers import caller, network
from config.settings import SettingsError, load_settings
from models.database import Database
from tests.bot.foes import Endpoint, endpoints
from tests.bot.test_foes import settings
from tests.platform.harness import TestPlatform, platform

PROXY = (ip_network("127.0.0.0/8"),)
NAMED = ("wechat_mp", "wecom_app", "wecom_kf")
Knock = Callable[..., Awaitable[int]]


@pytest.mark.parametrize(
    ("pattern", "covers", "not_"),
    [
        ("101.226.103.*", "101.226.103.7", "101.226.104.7"),
        ("101.226.*.*", "101.226.0.1", "101.227.0.1"),
        ("101.226.103.0/25", "101.226.103.127", "101.226.103.128"),
        (" 101.226.103.61 ", "101.226.103.61", "101.226.103.62"),
        ("240e:97c::/32", "240e:97c::1", "240e:97d::1"),
    ],
)
def test_how_platforms_write_addresses(pattern: str, covers: str, not_: str) -> None:
    found = network(pattern)
    assert (ip_address(covers) in found, ip_address(not_) in found) == (True, False)


@pytest.mark.parametrize(
    "pattern", ["", "*", "101.*.103.1", "101.226.103", "101.226.103.*.*", "all", "101.226.103.256"]
)
def test_what_is_no_address(pattern: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 network"):
        network(pattern)


@pytest.mark.parametrize(
    ("remote", "forwarded", "found"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["101.226.103.7"], "203.0.113.9"),  # not our proxy: it may say what it likes
        ("127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("127.0.0.1", ["101.226.103.7, 203.0.113.9"], "203.0.113.9"),  # the first was written by the caller
        ("127.0.0.1", ["101.226.103.7", "203.0.113.9, 127.0.0.2"], "203.0.113.9"),  # two proxies of ours
        ("::ffff:127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["unknown"], None),
        (None, ["101.226.103.7"], None),
    ],
)
def test_who_called(remote: str | None, forwarded: list[str], found: str | None) -> None:
    who = caller(remote, forwarded, PROXY)
    assert (str(who) if who else None) == found


@asynccontextmanager
async def gated(p: TestPlatform, url: str, home: Path, name: str, **more: Any) -> AsyncIterator[Knock]:
    """A deployment that lets in the platform alone; how to knock at one channel's door with a right letter."""
    (here,) = [one for one in endpoints(p) if one.name == name]
    app = build(settings(p, url, home, platform_addresses=True, **more), worker=False, clock=p.clock)
    async with TestClient(TestServer(app)) as client:
        gate: Any = app.middlewares[1]
        await gate.__self__.look()  # it does by itself when it starts; a test cannot see when it has

        async def knock(number: str, **headers: str) -> int:
            query, body = _letter(p, here, number)
            answer = await client.post(here.path, params=query, data=body, headers=headers)
            return answer.status

        yield knock


def _letter(p: TestPlatform, here: Endpoint, number: str) -> tuple[dict[str, str], str]:
    return here.sealed(here.letter("3幢路灯不亮了", number), str(int(p.clock().timestamp())), f"n{number}")


@pytest.mark.parametrize("name", NAMED)
async def test_only_the_platform_may_call(db: Database, db_url: str, tmp_path: Path, name: str) -> None:
    """Another address is turned away although its letter is right: somebody has the key."""
    async with platform() as p:
        p.faults.callers = ["101.226.103.*"]
        with capture_logs() as log:
            async with gated(p, db_url, tmp_path, name, trusted_proxies=["127.0.0.1/32"]) as knock:
                assert await knock("1", **{"X-Forwarded-For": "203.0.113.9"}) == 403
                assert await knock("2", **{"X-Forwarded-For": "101.226.103.7, 203.0.113.9"}) == 403
                assert await knock("3", **{"X-Forwarded-For": "101.226.103.7"}) == 200
        assert [one["why"] for one in log if one["event"] == "callback.refused"] == ["address", "address"]


async def test_a_header_of_a_stranger_counts_nothing(db: Database, db_url: str, tmp_path: Path) -> None:
    async with platform() as p:
        p.faults.callers = ["101.226.103.*"]
        async with gated(p, db_url, tmp_path, "wecom_app") as knock:
            assert await knock("1", **{"X-Forwarded-For": "101.226.103.7"}) == 403


@pytest.mark.parametrize("listed", [[], ["nonsense"]])
async def test_without_a_list_the_signature_decides(
    db: Database, db_url: str, tmp_path: Path, listed: list[str]
) -> None:  # fmt: skip
    async with platform() as p:
        p.faults.callers = listed
        async with gated(p, db_url, tmp_path, "wecom_app") as knock:
            assert await knock("1") == 200


async def test_a_bot_whose_platform_names_no_list(db: Database, db_url: str, tmp_path: Path) -> None:
    async with platform() as p:
        p.faults.callers = ["101.226.103.*"]
        async with gated(p, db_url, tmp_path, "wecom_bot") as knock:
            assert await knock("1") == 200


def test_a_proxy_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINSHENG_TRUSTED_PROXIES", '["our proxy"]')
    with pytest.raises(SettingsError, match="LINSHENG_TRUSTED_PROXIES"):
        load_settings()


@pytest.mark.parametrize(("proxies", "warned"), [([], 1), (["172.16.0.0/12"], 0)])
def test_the_doctor_knows_that_a_proxy_hides_who_called(tmp_path: Path, proxies: list[str], warned: int) -> None:
    found = doctor._address(load_settings(home=tmp_path, platform_addresses=True, trusted_proxies=proxies))
    assert len([one for one in found if one.check == "platform addresses"]) == warned
