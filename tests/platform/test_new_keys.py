"""Token and EncodingAESKey are changed here first and at the platform later: no callback is lost in between."""

from pathlib import Path
from typing import Any

import pytest

from bot.channels.proofs import OK, WARN
from bot.fetching import Fetcher, that_fetch
from bot.proving import PLATFORMS, switches
from config.settings import Settings, SettingsError, load_settings
from handlers.workdays import WorkCalendar
from models.database import Database
from tests.photos import photo
from tests.platform.doors import DOORS, says
from tests.platform.harness import TestPlatform
from tests.platform.mp import ZONE
from tests.platform.wecom_bot import handled, heard, hooked, put

TOKEN, KEY = "the-new-token-of-this-month", "n" * 42 + "A"


def new(account: Any, *, key_only: bool = False) -> dict[str, str]:
    """What is set here the day before: the new pair, and the one that the platform still has."""
    return {
        "token": account.token if key_only else TOKEN, "aes_key": KEY, "old_token": account.token,
        "old_aes_key": account.aes_key,
    }  # fmt: skip


@pytest.mark.parametrize("key_only", [False, True], ids=["both", "the key alone"])
@pytest.mark.parametrize("name", DOORS)
async def test_callbacks_arrive_before_and_after_the_change(
    p: TestPlatform, sqlite_db: Database, tmp_path: Path, name: str, key_only: bool
) -> None:
    account = getattr(p, name)
    told = new(account, key_only=key_only)
    async with DOORS[name](p, sqlite_db, tmp_path, **told):
        for turn in range(3):
            if turn == 1:  # its page is saved, which greets the address with the new ones
                account.token, account.aes_key = told["token"], told["aes_key"]
            assert await account.verify()
            assert (await says(p, name, f"第{turn}句")).statuses == [200]
        if name != "kf":  # whose callbacks bring no words
            assert [one.text for one in heard(sqlite_db)] == ["第0句", "第1句", "第2句"]


@pytest.mark.parametrize("name", DOORS)
async def test_keys_that_are_neither_are_refused(
    p: TestPlatform, sqlite_db: Database, tmp_path: Path, name: str
) -> None:
    account = getattr(p, name)
    async with DOORS[name](p, sqlite_db, tmp_path, **new(account)):
        account.token = "somebody-elses"  # noqa: S105
        push = await says(p, name, "在吗")
    assert push.statuses[0] == 403
    assert heard(sqlite_db) == []


async def test_an_answer_is_sealed_with_what_the_platform_has(p: TestPlatform, sqlite_db: Database) -> None:
    told = new(p.bot)
    async with hooked(p, sqlite_db, **told):
        for turn in range(2):
            said = await p.say(None, "a", "灯坏了")
            put(sqlite_db, p, "a", f"已登记{turn}", f"k{turn}", trigger=said.id)
            handled(sqlite_db, p)
            await p.bot.poll()
            p.bot.token, p.bot.aes_key = told["token"], told["aes_key"]
    assert [bubble.text for bubble in p.seen("a")] == ["已登记0", "已登记1"]


async def test_a_picture_of_before_the_change_is_opened(p: TestPlatform, sqlite_db: Database, tmp_path: Path) -> None:
    told = new(p.bot)
    calendar = WorkCalendar.configured(ZONE)
    async with hooked(p, sqlite_db, **told) as bot:
        fetcher = Fetcher(sqlite_db, that_fetch([bot]), tmp_path, calendar, clock=p.clock)
        for turn in range(2):
            await p.photo(None, "a", photo(size=(40 + turn, 20)))
            handled(sqlite_db, p)
            assert await fetcher.step() == 1
            p.bot.token, p.bot.aes_key = told["token"], told["aes_key"]
    assert all(message.media[0].path for message in heard(sqlite_db))


@pytest.mark.parametrize("name", [one for one in PLATFORMS if one != "resident_report"])
def test_doctor_says_when_the_old_ones_can_go(tmp_path: Path, name: str) -> None:
    given: dict[str, Any] = {
        "token": TOKEN, "aes_key": KEY, "app_id": "wx1", "app_secret": "s", "bot_id": "b", "mode": "webhook",
        "corp_id": "ww1", "agent_id": 1, "secret": "s", "accounts": ["wk1"],
    }  # fmt: skip
    for keys, state in (({}, OK), ({"old_token": "t", "old_aes_key": KEY}, WARN)):
        settings = Settings.model_validate({"home": tmp_path, name: given | keys})
        (found,) = [one for one in switches(settings) if one.check == name]
        assert (found.state, "__OLD_TOKEN" in found.said) == (state, state == WARN)


@pytest.mark.parametrize("name", ["OLD_TOKEN", "OLD_AES_KEY"])
def test_one_of_the_two_alone_is_a_mistake(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"LINSHENG_WECOM_KF__{name}", KEY)
    with pytest.raises(SettingsError, match="old_token and old_aes_key belong together") as told:
        load_settings()
    assert KEY not in str(told.value)
