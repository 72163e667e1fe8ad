"""`linsheng doctor --channel`: every channel against the test platform, rightly and wrongly set."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.app import build
from bot.channels.onebot.channel import PATH as ONEBOT
from bot.channels.proofs import FAIL, OK, WARN, Proof
from bot.cli import main
from bot.proving import PLATFORMS, SIDE, prove, switches
from config.settings import Settings, SettingsError
from models.apitoken import ApiToken
from models.database import Database
from tests.onebot.fake import FakeQQ
from tests.platform.harness import TestPlatform, platform

TOKEN, WRONG_KEY = "a-token-of-32-characters-at-least", "w" * 43
HOST = "127.0.0.2"  # this machine too, but not by a name that the doctor knows


def _told(p: TestPlatform, name: str) -> dict[str, Any]:
    """The channel's settings for this platform."""
    corp = {"corp_id": p.app.corp_id, "api_base": p.base}
    told: dict[str, dict[str, Any]] = {
        "wechat_mp": {"token": p.mp.token, "aes_key": p.mp.aes_key, "app_id": p.mp.app_id, "app_secret": p.mp.secret,
                      "api_base": p.base},
        "wecom_bot": {"mode": "webhook", "bot_id": p.bot.id, "token": p.bot.token, "aes_key": p.bot.aes_key,
                      "ws_url": p.ws_url},
        "wecom_app": corp | {"agent_id": p.app.agent_id, "secret": p.app.secret, "token": p.app.token,
                             "aes_key": p.app.aes_key},
        "wecom_kf": corp | {"secret": p.kf.secret, "token": p.kf.token, "aes_key": p.kf.aes_key,
                            "accounts": [p.kf.open_kfid]},
        "resident_report": corp | {"secret": p.report.secret},
        "group_robot": {"keys": {"duty": p.robot.key}, "api_base": p.base},
        "onebot": {"token": TOKEN},
        "archive": corp | {"on": True, "answers": "notice", "secret": p.notices.secret,
                           "owners": {p.notices.chat: p.notices.owner}},
    }  # fmt: skip
    return told[name]


class Deployment:
    """A process that serves, and the settings that the doctor is given."""

    def __init__(self, p: TestPlatform, home: Path, name: str) -> None:
        self.p, self.name = p, name
        self.url = f"http://{HOST}:9"
        self._home = home

    def settings(self, **more: Any) -> Settings:
        """more: other values of the channel's."""
        told = {"home": self._home, "public_url": self.url, "secret_key": "of-the-tests"}
        return Settings.model_validate(told | {self.name: _told(self.p, self.name) | more})

    async def prove(self, **more: Any) -> dict[str, Proof]:
        """What the doctor says, by what it looked at."""
        found = await asyncio.to_thread(prove, self.name, self.settings(**more), self.p.clock)
        assert not [one for one in found if any(secret in one.said for secret in self.secrets(**more))]
        return {one.check: one for one in found}

    def secrets(self, **more: Any) -> list[str]:
        """What no line may tell."""
        names = ("secret", "app_secret", "token", "aes_key")
        told = _told(self.p, self.name) | more
        return [str(told[name]) for name in names if name in told] + [*told.get("keys", {}).values()]


@asynccontextmanager
async def deployment(home: Path, name: str) -> AsyncIterator[Deployment]:
    async with platform() as p:
        made = Deployment(p, home, name)
        async with TestServer(build(made.settings(), worker=False, clock=p.clock), host=HOST) as server:
            made.url = f"http://{HOST}:{server.port}"
            yield made


WITH_TOKEN = ("wechat_mp", "wecom_app", "wecom_kf", "resident_report", "archive")
WITH_CREDENTIALS = (*WITH_TOKEN, "onebot")
WITH_CALLBACK = ("wechat_mp", "wecom_bot", "wecom_app", "wecom_kf")


@pytest.mark.parametrize("name", PLATFORMS + SIDE)
async def test_set_rightly_it_proves_what_it_can(tmp_path: Path, name: str) -> None:
    async with deployment(tmp_path, name) as here:
        found = await here.prove()
        assert found[name].state in (OK, WARN)
        assert {one.state for check, one in found.items() if check != name} <= {OK}
        assert ("credentials" in found, "callback" in found) == (name in WITH_CREDENTIALS, name in WITH_CALLBACK)
        if "credentials" in found and "callback" in found:
            assert "callbacks come from 127.0.0.1" in found["credentials"].said
        assert [here.p.seen(one) for one in (here.p.robot.key, "duty")] == [[], []]
        changing = ("send", "create", "update", "recall", "upload", "trans", "add", "del")
        assert not [
            call.path for call in here.p.calls if call.code == 0 and any(word in call.path for word in changing)
        ]


@pytest.mark.parametrize("name", WITH_TOKEN)
async def test_a_wrong_secret_is_said_to_be_wrong(tmp_path: Path, name: str) -> None:
    async with deployment(tmp_path, name) as here:
        field = "app_secret" if name == "wechat_mp" else "secret"
        proof = (await here.prove(**{field: "not-the-secret-at-all"}))["credentials"]
        assert proof.state == FAIL
        assert "secret is not this account's" in proof.said


@pytest.mark.parametrize("name", WITH_TOKEN)
async def test_a_platform_that_is_down_or_refuses_our_address_is_said_to(tmp_path: Path, name: str) -> None:
    async with deployment(tmp_path, name) as here:
        here.p.faults.untrusted = True
        assert "IP白名单" in (await here.prove())["credentials"].said
        here.p.faults.untrusted = False
        await here.p.down()
        proof = (await here.prove())["credentials"]
        assert (proof.state, here.p.base in proof.said) == (FAIL, True)
        here.p.up()


async def test_an_account_that_the_secret_may_not_answer_for_is_named(tmp_path: Path) -> None:
    async with deployment(tmp_path, "wecom_kf") as here:
        assert (await here.prove())["accounts"].state == OK
        proof = (await here.prove(accounts=[here.p.kf.open_kfid, "wk-of-another"]))["accounts"]
        assert (proof.state, "wk-of-another:" in proof.said, here.p.kf.open_kfid in proof.said) == (FAIL, True, False)
        here.p.kf_api.managed = False
        assert here.p.kf.open_kfid in (await here.prove())["accounts"].said
        here.p.faults.fail("/cgi-bin/kf/account/list", code=48002)
        assert "must grant it" in (await here.prove())["accounts"].said


async def test_an_app_that_is_another_or_switched_off_is_told(tmp_path: Path) -> None:
    async with deployment(tmp_path, "wecom_app") as here:
        assert (await here.prove())["app"].state == OK
        assert "40056" in (await here.prove(agent_id=1))["app"].said
        here.p.app_api.closed = True
        proof = (await here.prove())["app"]
        assert (proof.state, "启用" in proof.said) == (FAIL, True)


@pytest.mark.parametrize("name", WITH_CALLBACK)
@pytest.mark.parametrize("wrong", [{"token": "anothertoken"}, {"aes_key": WRONG_KEY}])
async def test_an_address_that_has_other_keys_is_told(tmp_path: Path, name: str, wrong: dict[str, str]) -> None:
    async with deployment(tmp_path, name) as here:
        if name == "wechat_mp" and "aes_key" in wrong:
            return  # its handshake is in the clear: the key shows at the first message only
        proof = (await here.prove(**wrong))["callback"]
        assert (proof.state, "403" in proof.said) == (FAIL, True)


@pytest.mark.parametrize("name", WITH_CALLBACK)
async def test_an_address_that_leads_elsewhere_is_told(tmp_path: Path, name: str) -> None:
    async def home(_request: web.Request) -> web.Response:
        return web.Response(text="welcome")

    async def moved(_request: web.Request) -> web.Response:
        raise web.HTTPFound("https://elsewhere.example/")

    async with deployment(tmp_path, name) as here:
        for handler, word in ((home, "200"), (moved, "redirect"), (None, "404")):
            app = web.Application()
            if handler is not None:
                app.router.add_get("/{any:.*}", handler)
            async with TestServer(app, host=HOST) as server:
                here.url = f"http://{HOST}:{server.port}/"
                proof = (await here.prove())["callback"]
            assert (proof.state, word in proof.said) == (FAIL, True)
        proof = (await here.prove())["callback"]  # and now nobody is there
        assert (proof.state, "no answer" in proof.said) == (FAIL, True)


async def test_an_address_of_this_machine_is_warned_of(tmp_path: Path) -> None:
    async with platform() as p:
        here = Deployment(p, tmp_path, "wechat_mp")
        async with TestServer(build(here.settings(), worker=False, clock=p.clock)) as server:
            here.url = f"http://127.0.0.1:{server.port}"
            proof = (await here.prove())["callback"]
    assert (proof.state, "LINSHENG_PUBLIC_URL" in proof.said) == (WARN, True)


async def test_the_long_connection_is_proved_and_left(tmp_path: Path) -> None:
    async with platform() as p:
        here = Deployment(p, tmp_path, "wecom_bot")
        assert (await here.prove(mode="connection", secret=p.bot.secret))["credentials"].state == OK
        await p.until(lambda: not p.bot.connected)
        assert (p.bot.wire.subscribed, p.bot.wire.kicked) == (1, 0)
        wrong = (await here.prove(mode="connection", secret=p.bot.id))["credentials"]
        assert (wrong.state, "bot_id and secret" in wrong.said) == (FAIL, True)
        nobody = await here.prove(mode="connection", secret=p.bot.secret, ws_url=f"ws://{HOST}:9/")
        assert "no connection" in nobody["credentials"].said


@pytest.mark.parametrize("name", ["resident_report", "wecom_bot"])
async def test_before_the_first_start_nothing_is_left_behind(tmp_path: Path, name: str) -> None:
    """No empty database, no token and no lock."""
    async with platform() as p:
        here = Deployment(p, tmp_path / "home", name)
        more = {"mode": "connection", "secret": p.bot.secret} if name == "wecom_bot" else {}
        assert (await here.prove(**more))["credentials"].state == OK
    assert not (tmp_path / "home").exists()


async def test_a_proof_shares_no_token(tmp_path: Path) -> None:
    async with platform() as p:
        here = Deployment(p, tmp_path, "resident_report")
        async with TestServer(build(here.settings(), worker=False, clock=p.clock)):
            pass  # it has made the tables
        db = Database(here.settings().url)
        db.tx(lambda session: session.execute(sa.delete(ApiToken)))
        await here.prove()
        assert db.tx(lambda session: session.scalars(sa.select(ApiToken)).all()) == []
        db.close()


async def test_a_running_process_keeps_its_connection(tmp_path: Path) -> None:
    async with platform() as p:
        here = Deployment(p, tmp_path, "wecom_bot")
        told = {"mode": "connection", "secret": p.bot.secret, "connect": True, "standby_seconds": 0.05}
        app = build(here.settings(**told), worker=False, clock=p.clock)
        async with TestServer(app):
            await p.until(lambda: p.bot.connected)
            found = await _held(here, told, "has taken it")
            assert (found.state, p.bot.wire.subscribed, p.bot.wire.kicked, p.bot.connected) == (OK, 1, 0, True)
            assert p.bot.wire.current is not None
            await p.bot.wire._kick(p.bot.wire.current)  # as if another deployment had subscribed
            found = await _held(here, told, "rests")
            assert (found.state, "another deployment" in found.said) == (FAIL, True)


async def test_a_running_process_that_is_not_taken_says_why(tmp_path: Path) -> None:
    """It holds on to the connection that it cannot make: nobody else may try, and nothing is well."""
    async with platform() as p:
        here = Deployment(p, tmp_path, "wecom_bot")
        told = {"mode": "connection", "secret": "not-the-secret", "connect": True, "standby_seconds": 0.05}
        async with TestServer(build(here.settings(**told), worker=False, clock=p.clock)):
            found = await _held(here, told, "40125")
            assert (found.state, "bot_id and secret" in found.said, p.bot.wire.subscribed) == (FAIL, True, 0)


async def _held(here: Deployment, told: dict[str, Any], word: str) -> Proof:
    """The proof, once the process that holds the connection has written this down."""
    async with asyncio.timeout(30):
        while word not in (found := (await here.prove(**told))["credentials"]).said:
            assert found.state != OK or word == "rests"
            await asyncio.sleep(0.05)
    return found


async def test_a_robot_that_the_platform_does_not_know(tmp_path: Path) -> None:
    async with deployment(tmp_path, "group_robot") as here:
        keys = {"duty": here.p.robot.key, "other": "00000000-0000-0000-0000-000000000000"}
        found = await here.prove(keys=keys)
        assert (found["robot duty"].state, found["robot other"].state) == (OK, FAIL)


async def test_what_of_the_official_account_only_a_message_proves_is_said(tmp_path: Path) -> None:
    async with deployment(tmp_path, "wechat_mp") as here:
        found = await here.prove(aes_key=WRONG_KEY)
        assert (found["callback"].state, "first message" in found["aes_key"].said) == (OK, True)
        assert "malformed" in found["aes_key"].said


async def test_a_onebot_address_that_is_not_served(tmp_path: Path) -> None:
    async with deployment(tmp_path, "onebot") as here, TestServer(web.Application(), host=HOST) as server:
        here.url = f"http://{HOST}:{server.port}"
        assert (await here.prove())["address"].state == FAIL


async def test_a_onebot_address_that_has_another_token_is_told(tmp_path: Path) -> None:
    async with deployment(tmp_path, "onebot") as here:
        proof = (await here.prove(token=TOKEN[::-1]))["credentials"]
        assert (proof.state, "LINSHENG_ONEBOT__TOKEN" in proof.said) == (FAIL, True)


async def test_the_proof_of_a_onebot_token_leaves_the_connection_alone(tmp_path: Path) -> None:
    async with deployment(tmp_path, "onebot") as here, FakeQQ(f"{here.url}{ONEBOT}", TOKEN) as qq:
        assert (await here.prove())["credentials"].state == OK
        assert qq.connected


@pytest.mark.parametrize(
    ("name", "given", "missing"),
    [
        ("wechat_mp", {"token": "t"}, ["LINSHENG_WECHAT_MP__AES_KEY", "LINSHENG_WECHAT_MP__APP_ID"]),
        ("wecom_bot", {"bot_id": "b"}, ["LINSHENG_WECOM_BOT__SECRET"]),
        ("wecom_bot", {"bot_id": "b", "mode": "webhook"}, ["LINSHENG_WECOM_BOT__TOKEN"]),
        ("wecom_bot", {"aes_key": "k" * 43}, ["LINSHENG_WECOM_BOT__BOT_ID"]),
        ("wecom_app", {"corp_id": "ww1"}, ["LINSHENG_WECOM_APP__AGENT_ID", "LINSHENG_WECOM_APP__SECRET"]),
        ("wecom_kf", {"secret": "s"}, ["LINSHENG_WECOM_KF__ACCOUNTS"]),
        ("resident_report", {"secret": "s"}, ["LINSHENG_RESIDENT_REPORT__CORP_ID"]),
    ],
)
def test_half_a_setting_is_named(tmp_path: Path, name: str, given: dict[str, str], missing: list[str]) -> None:
    settings = Settings.model_validate({"home": tmp_path, name: given})
    (proof,) = prove(name, settings)
    assert (proof.state, "set in part" in proof.said) == (FAIL, True)
    assert all(one in proof.said for one in missing)
    assert {one.check: one.state for one in switches(settings)} == {
        one: FAIL if one == name else OK for one in PLATFORMS
    }


@pytest.mark.parametrize("given", [{}, {"rate": 5.0}, {"api_base": "http://127.0.0.1:1"}])
def test_what_is_off_is_off(tmp_path: Path, given: dict[str, Any]) -> None:
    (proof,) = prove("wechat_mp", Settings.model_validate({"home": tmp_path, "wechat_mp": given}))
    assert (proof.state, "LINSHENG_WECHAT_MP__TOKEN" in proof.said) == (FAIL, True)
    assert not list(tmp_path.iterdir())


def test_there_is_no_such_channel(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="wechat_mp"):
        prove("weixin", Settings.model_validate({"home": tmp_path}))


def test_by_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def said(run: Callable[[], None], *words: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["linsheng", *words])
        with pytest.raises(SystemExit) as ended:
            run()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out + shown.err

    monkeypatch.setenv("LINSHENG_HOME", str(tmp_path))
    monkeypatch.setenv("LINSHENG_WECHAT_MP__TOKEN", "a-token")
    code, out = said(main, "doctor", "--channel", "wechat_mp")
    assert (code, "APP_SECRET" in out, "a-token" in out) == (1, True, False)
    assert said(main, "doctor", "--channel", "weixin")[0] == 1
    assert said(main, "doctor", "--channel", "wecom_app")[0] == 1
