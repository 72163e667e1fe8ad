"""The whole process out of its settings, beside the platform: staff on the self-built app, who press real cards there,
and whichever further channels a test names."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from aiohttp.test_utils import TestServer
from sqlmodel import Session, col

from bot.app import build
from bot.channels import onebot, wechat_mp, wecom_app, wecom_kf
from bot.channels.onebot.channel import PATH as ONEBOT
from bot.channels.wecom_bot.letters import NAME as AIBOT
from bot.platform.world import Bubble
from config.settings import Settings
from models.database import Database
from models.mark import TOWN, bump
from models.person import Identity
from models.ticket import Status
from nlu.types import Engine
from tests.platform.harness import TestPlatform
from tests.scenario.wecom import cards
from tests.scenario.wecom_app import STRANGER, WORKER, buttons, face, history, of_the_app, stolen, tickets

ALL = ["接单", "转派", "办结"]  # the buttons of a new card


@asynccontextmanager
async def deployed(
    p: TestPlatform, db_url: str, home: Path, engine: Engine, **channels: dict[str, Any]
) -> AsyncIterator[None]:  # fmt: skip
    """Everything that `build` makes, at work; the addresses of its callbacks are entered at the platform.

    channels: name → its settings, beside those of the app.
    """
    told = {"home": home, "database_url": db_url, "secret_key": "of-the-tests", "wecom_app": of_the_app(p)}
    app = build(Settings.model_validate(told | channels), clock=p.clock, engine=engine)
    async with TestServer(app) as server:
        p.app.callback = str(server.make_url(wecom_app.PATH))
        assert await p.app.verify()
        for name, account, path in (
            (wechat_mp.NAME, p.mp, wechat_mp.PATH), (onebot.NAME, p.qq, ONEBOT), (wecom_kf.NAME, p.kf, wecom_kf.PATH),
        ):  # fmt: skip
            if name in channels:
                account.callback = str(server.make_url(path))
                assert await account.verify()
        if AIBOT in channels:
            await p.until(lambda: p.bot.connected)
        yield


def of_customer_service(p: TestPlatform) -> dict[str, Any]:
    """Settings of 微信客服."""
    return {
        "token": p.kf.token, "aes_key": p.kf.aes_key, "corp_id": p.kf.corp_id, "secret": p.kf.secret,
        "accounts": [p.kf.open_kfid], "api_base": p.base, "poll_seconds": 0.1,
    }  # fmt: skip


def of_the_account(p: TestPlatform) -> dict[str, Any]:
    """Settings of the Official Account."""
    return {
        "token": p.mp.token, "aes_key": p.mp.aes_key, "app_id": p.mp.app_id, "app_secret": p.mp.secret,
        "api_base": p.base,
    }  # fmt: skip


def writes_by(db: Database, person: str, **users: str) -> None:
    """She writes under these user ids (channel=user id), and under no others."""

    def write(session: Session) -> None:
        session.connection().execute(sa.delete(Identity).where(col(Identity.person) == person))
        session.add_all([Identity(person=person, channel=channel, user=user) for channel, user in users.items()])
        bump(session, TOWN)

    db.tx(write)


async def the_card(p: TestPlatform, user: str = WORKER) -> Bubble:
    """The newest card with buttons on her phone, once there is one; news comes as cards, too."""

    def tasks() -> list[Bubble]:
        return [card for card in cards(p, user) if "button_list" in face(card)]

    await p.until(tasks)
    return tasks()[-1]


async def refused(p: TestPlatform, db: Database, card: Bubble) -> None:
    """Somebody without a duty there presses keys that she got hold of: it is on record, and nothing else happens."""
    before = tickets(db)[0].status
    push, answer = await p.app.tell(STRANGER, stolen(p, card, STRANGER, "done:1"))
    await p.until(lambda: ("refused", "W07") in history(db))
    assert push is not None
    assert (push.taken, answer, tickets(db)[0].status) == (True, {}, before)


async def accepted(p: TestPlatform, db: Database, card: Bubble) -> None:
    """The worker presses 接单, and her card says so."""
    assert buttons(card) == ALL
    push = await p.click(card, WORKER, "accept:1")
    assert push is not None
    assert push.taken
    await p.until(lambda: buttons(card) == ["转派", "办结"])
    assert (tickets(db)[0].status, tickets(db)[0].worker) == (Status.ACCEPTED, "W01")


async def done(p: TestPlatform, db: Database, card: Bubble) -> None:
    """Half an hour later she presses 办结."""
    p.clock.forward(minutes=30)
    await p.click(card, WORKER, "done:1")
    await p.until(lambda: buttons(card) == ["已办结"] * 2)
    assert tickets(db)[0].status == Status.RESOLVED
