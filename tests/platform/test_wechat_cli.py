"""`linsheng wechat`: the menu and QR codes, put there through the platform."""

import asyncio
from pathlib import Path

import pytest

from bot.cli import wechat
from bot.cli.opened import NotReady
from bot.scenes import Scenes
from models.database import Database
from tests.platform.harness import TestPlatform


@pytest.fixture
def at_home(
    monkeypatch: pytest.MonkeyPatch, p: TestPlatform, town_db: Database, db_url: str, tmp_path: Path
) -> pytest.MonkeyPatch:
    told = {
        "HOME": str(tmp_path), "DATABASE_URL": db_url, "SECRET_KEY": "a-secret", "WECHAT_MP__TOKEN": p.mp.token,
        "WECHAT_MP__AES_KEY": p.mp.aes_key, "WECHAT_MP__APP_ID": p.mp.app_id, "WECHAT_MP__APP_SECRET": p.mp.secret,
        "WECHAT_MP__API_BASE": p.base,
    }  # fmt: skip
    for name, value in told.items():
        monkeypatch.setenv(f"LINSHENG_{name}", value)
    return monkeypatch


async def test_the_menu_and_a_code(
    at_home: pytest.MonkeyPatch, p: TestPlatform, capsys: pytest.CaptureFixture[str]
) -> None:
    await asyncio.to_thread(wechat.menu)
    assert p.mp.menu is not None
    await asyncio.to_thread(wechat.qr, "place:P-LA-B03")
    assert [Scenes("a-secret").read(scene) for scene in p.mp.tickets.values()] == ["place:P-LA-B03"]
    said = capsys.readouterr().out
    assert "https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket=" in said
    assert p.mp.secret not in said


async def test_what_cannot_be_done_is_one_sentence(at_home: pytest.MonkeyPatch, p: TestPlatform) -> None:
    with pytest.raises(NotReady, match="nowhere"):
        await asyncio.to_thread(wechat.qr, "place:nowhere")
    p.faults.fail("/cgi-bin/menu/create", code=48001)
    with pytest.raises(NotReady, match="48001") as refused:
        await asyncio.to_thread(wechat.menu)
    assert p.mp.secret not in str(refused.value)
    at_home.delenv("LINSHENG_WECHAT_MP__TOKEN")
    with pytest.raises(NotReady, match="token"):
        await asyncio.to_thread(wechat.menu)
    at_home.delenv("LINSHENG_SECRET_KEY")
    with pytest.raises(NotReady, match="SECRET_KEY"):
        await asyncio.to_thread(wechat.qr, "place:P-LA-B03")
