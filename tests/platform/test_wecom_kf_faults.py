"""微信客服: a message, a page or an account that cannot be kept holds up no other, and nothing is lost silently."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session
from structlog.testing import capture_logs

from bot.channels.wecom_kf.letters import Event
from bot.channels.wecom_kf.puller import REST, TRIES
from models.database import Database
from models.message import Incoming, Kind
from models.pull import Pull
from tests.platform.harness import TestPlatform
from tests.platform.kf import App, serving
from tests.platform.test_wecom_kf import USER, app, photo, refused

__all__ = ["app"]


class Refuses:
    """Stores nothing of one kind of message, as long as it is there."""

    def __init__(self, app: App, error: Callable[[], Exception], kind: Kind = Kind.IMAGE) -> None:
        self._keep = app.channel.puller._keeping.keep
        self._error = error
        self._kind = kind
        app.channel.puller._keeping.keep = self  # type: ignore[method-assign]

    def __call__(self, session: Session, found: Sequence[Incoming | Event], now: datetime) -> int:
        new = self._keep(session, found, now)
        if any(isinstance(one, Incoming) and one.kind == self._kind for one in found):
            raise self._error()
        return new


def heard_texts(app: App) -> list[str]:
    return [one.text for one in app.heard()]


async def test_a_message_that_cannot_be_stored_is_passed_in_the_end(app: App) -> None:
    Refuses(app, lambda: sa.exc.DataError("words of a customer", {}, Exception()))
    await app.p.kf.say(USER, "灯坏了")
    await app.p.kf.photo(USER, photo())
    await app.p.kf.say(USER, "3幢2单元")
    await app.look()
    assert heard_texts(app) == ["灯坏了", "3幢2单元"], "what can be stored waits for nothing"
    assert (app.pull().cursor, app.pull().lease) == ("", "")
    before = refused("not_stored")
    with capture_logs() as logs:
        for _ in range(TRIES - 1):
            app.p.clock.forward(seconds=REST)
            await app.look()
    assert app.pull().cursor
    assert [line["event"] for line in logs].count("kf.passed") == 1
    assert "words of" not in str(logs)
    assert refused("not_stored") == before + 1
    await app.p.kf.say(USER, "在吗")
    await app.look()
    assert heard_texts(app) == ["灯坏了", "3幢2单元", "在吗"]


async def test_a_message_that_cannot_be_stored_for_a_moment_is_not_lost(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(app.channel.puller._keeping, "keep", app.channel.puller._keeping.keep)
        Refuses(app, lambda: RuntimeError("once"))
        await app.p.kf.photo(USER, photo())
        await app.look()
        assert app.heard() == []
    app.p.clock.forward(seconds=REST)
    assert await app.look() == 1


async def test_a_database_that_is_away_is_waited_for(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(app.channel.puller._keeping, "keep", app.channel.puller._keeping.keep)
        Refuses(app, lambda: sa.exc.OperationalError("away", {}, Exception()))
        await app.p.kf.photo(USER, photo())
        for _ in range(TRIES + 2):
            await app.look()
            app.p.clock.forward(seconds=REST)
        assert app.pull().cursor == ""
    assert await app.look() == 1


async def test_one_account_does_not_hold_up_the_others(p: TestPlatform, db: Database, tmp_path: Path) -> None:
    async with serving(p, db, tmp_path / "media", accounts=("wk-of-nobody", p.kf.open_kfid)) as app:
        page = app.channel.puller._page

        async def asked(row: Pull, account: str) -> dict[str, Any]:
            if account == "wk-of-nobody":
                raise RuntimeError("something new")
            return await page(row, account)

        app.channel.puller._page = asked  # type: ignore[method-assign]
        await p.kf.say(USER, "灯坏了")
        assert await app.look() == 1
