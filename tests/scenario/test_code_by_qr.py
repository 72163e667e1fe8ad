"""Staff show somebody of the register a QR code: she scans it, says that it is she, and is known from then on."""

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import col

from bot.cli import kf, wechat, who
from bot.cli.opened import NotReady
from bot.cli.who import Qr
from models.database import Database
from models.person import Identity
from nlu.types import Engine
from tests.platform.harness import TestPlatform, platform
from tests.scenario.deployed import deployed, of_customer_service, of_the_account
from tests.scenario.matters import told
from tests.scenario.wecom_app import staff_to_the_app

HER, HERS = "o-new", "U05"  # 春芽


def whose(db: Database, channel: str, user: str) -> str | None:
    mine = sa.select(col(Identity.person)).where(col(Identity.channel) == channel, col(Identity.user) == user)
    return db.tx(lambda session: session.scalars(mine).first())


def by_environment(env: pytest.MonkeyPatch, db_url: str, home: Path, channel: str, told: dict[str, object]) -> None:
    """The same deployment for the command line."""
    values: dict[str, object] = {"HOME": home, "DATABASE_URL": db_url, "SECRET_KEY": "of-the-tests"}
    values |= {f"{channel.upper()}__{name.upper()}": value for name, value in told.items()}
    for name, value in values.items():
        env.setenv(f"LINSHENG_{name}", str(value).replace("'", '"'))


async def scans(p: TestPlatform, channel: Qr, out: str) -> None:
    """What the QR code holds, on her phone."""
    if channel == Qr.WECOM_KF:
        await p.kf.enter(HER, out.splitlines()[-1])
    else:
        assert "showqrcode?ticket=" in out
        await p.mp.scan(HER, list(p.mp.tickets.values())[-1])


@pytest.mark.parametrize("channel", list(Qr))
async def test_scanned_confirmed_and_known(
    town_db: Database, db_url: str, tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], channel: Qr,
) -> None:  # fmt: skip
    staff_to_the_app(town_db)
    async with platform() as p:
        settings = of_the_account(p) if channel == Qr.WECHAT_MP else of_customer_service(p)
        by_environment(monkeypatch, db_url, tmp_path, channel, settings)
        async with deployed(p, db_url, tmp_path, engine, **{channel: settings}):
            capsys.readouterr()
            await asyncio.to_thread(who.code, HERS, "C01", channel)
            await scans(p, channel, capsys.readouterr().out)
            await p.until(lambda: "确认绑定" in told(p, HER))
            assert whose(town_db, channel, HER) is None, "a scan alone makes nobody anybody"
            await (p.mp if channel == Qr.WECHAT_MP else p.kf).say(HER, "确认绑定")
            await p.until(lambda: whose(town_db, channel, HER) == HERS)


async def test_a_code_of_the_account_lasts_as_long_as_the_code(
    town_db: Database, db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with platform() as p:
        by_environment(monkeypatch, db_url, tmp_path, "wechat_mp", of_the_account(p))
        await asyncio.to_thread(who.code, HERS, "C01", Qr.WECHAT_MP)
        assert list(p.mp.lives.values()) == [600]
        for make in (wechat.qr, kf.link):
            by_environment(monkeypatch, db_url, tmp_path, "wecom_kf", of_customer_service(p))
            with pytest.raises(NotReady, match="linsheng person code"):
                await asyncio.to_thread(make, "code:12345678")
