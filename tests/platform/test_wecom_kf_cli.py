"""`linsheng kf link` and what the doctor proves, on the test platform."""

import asyncio
from pathlib import Path

import pytest

from bot.cli import kf
from bot.cli.opened import NotReady
from bot.scenes import Scenes
from models.database import Database
from tests.platform.harness import TestPlatform
from tests.platform.kf import serving


@pytest.fixture
def at_home(
    monkeypatch: pytest.MonkeyPatch, p: TestPlatform, town_db: Database, db_url: str, tmp_path: Path
) -> pytest.MonkeyPatch:
    told = {
        "HOME": str(tmp_path), "DATABASE_URL": db_url, "SECRET_KEY": "a-secret", "WECOM_KF__TOKEN": p.kf.token,
        "WECOM_KF__AES_KEY": p.kf.aes_key, "WECOM_KF__CORP_ID": p.kf.corp_id, "WECOM_KF__SECRET": p.kf.secret,
        "WECOM_KF__ACCOUNTS": f'["{p.kf.open_kfid}"]', "WECOM_KF__API_BASE": p.base,
    }  # fmt: skip
    for name, value in told.items():
        monkeypatch.setenv(f"LINSHENG_{name}", value)
    return monkeypatch


async def test_the_address_of_a_stairway(
    at_home: pytest.MonkeyPatch, p: TestPlatform, capsys: pytest.CaptureFixture[str]
) -> None:
    await asyncio.to_thread(kf.link, "place:P-LA-B03")
    said = capsys.readouterr().out.strip()
    address, _, scene = said.splitlines()[-1].partition("&scene_param=")
    assert address in p.kf.links
    assert Scenes("a-secret").read(scene) == "place:P-LA-B03"
    assert p.kf.secret not in said


async def test_what_cannot_be_done_is_one_sentence(at_home: pytest.MonkeyPatch, p: TestPlatform) -> None:
    with pytest.raises(NotReady, match="nowhere"):
        await asyncio.to_thread(kf.link, "place:nowhere")
    with pytest.raises(NotReady, match="none of the accounts"):
        await asyncio.to_thread(kf.link, "place:P-LA-B03", "wk-other")
    p.faults.fail("/cgi-bin/kf/add_contact_way", code=95000)
    with pytest.raises(NotReady, match="95000") as refused:
        await asyncio.to_thread(kf.link, "place:P-LA-B03")
    assert p.kf.secret not in str(refused.value)
    at_home.setenv("LINSHENG_WECOM_KF__HUMAN", "servicer")
    with pytest.raises(NotReady, match="servicers"):
        await asyncio.to_thread(kf.link, "place:P-LA-B03")


async def test_credentials_and_address_are_proved(p: TestPlatform, db: Database, tmp_path: Path) -> None:
    async with serving(p, db, tmp_path) as app:
        proofs = await app.channel.prove(p.kf.callback.partition("/callback")[0])
        assert [(proof.check, proof.state) for proof in proofs] == [
            ("credentials", "ok"), ("accounts", "ok"), ("callback", "warn")
        ]  # fmt: skip
        p.faults.untrusted = True
        proofs = await app.channel.prove("http://127.0.0.1:9")
        assert proofs[-1].state == "fail"
