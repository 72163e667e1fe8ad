"""Cards of the self-built app that are out: all screens say what has become of the ticket."""

import asyncio

import pytest
import sqlalchemy as sa
from sqlmodel import col

from bot.channels.wecom_app.updating import Plan
from models.database import Database
from models.outbox import Outbox
from models.ticket import Status
from tests.platform.harness import TestPlatform
from tests.platform.wecom_app import App, serving, staff_here
from tests.platform.wecom_bot import soon
from tests.scenario.wecom_app import buttons, face

pytestmark = pytest.mark.usefixtures("nobody_decides")


async def two_cards(app: App) -> int:
    """An urgent ticket of w01's, of which c01 was told, too."""
    number = app.ticket(urgent=True)
    await app.alert("W01", number)
    await app.alert("C01", number, text="【紧急】楼道照明")
    await app.channel.look()
    assert buttons(app.shown("c01")[0]) == ["acce", "tran", "done"]
    return number


async def test_other_screens_follow_once(p: TestPlatform, town_db: Database) -> None:
    """Two processes look at the same time: each card is changed once, by its one code."""
    staff_here(town_db)
    async with serving(p, town_db) as app:
        number = await two_cards(app)
        other = app.another()
        await other.start()  # and looks by itself from now on
        try:
            app.move(number, Status.ACCEPTED)
            await asyncio.gather(app.channel.look(), other.look())
            await p.until(lambda: buttons(app.shown("c01")[0]) == ["已由其他同事办理"] * 3)
            await p.until(lambda: "已接单" in face(app.shown("w01")[0])["main_title"]["title"])
            await settled(app)
            assert app.called("update_template_card") == 2
            # Done now. Her code is used up: her card is taken back; the other one has said enough.
            app.move(number, Status.RESOLVED)
            await asyncio.gather(app.channel.look(), other.look())
            await settled(app)
            assert (app.shown("w01"), len(app.shown("c01"))) == ([], 1)
            assert (app.called("update_template_card"), app.called("recall")) == (2, 1)
        finally:
            await other.stop()


async def test_nobody_takes_a_card_that_waits_for_its_turn(
    p: TestPlatform, town_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A platform that takes a minute and a half for each: the second card is still ours when its turn has come."""
    staff_here(town_db)
    async with serving(p, town_db) as app:
        other, ours = app.another(), app.channel._updating
        change = ours._carry_out
        await other.start()  # it has looked by itself once before there is anything to see

        async def slowly(plan: Plan) -> None:
            p.clock.forward(seconds=90)
            if app.called("update_template_card") == 1:
                await other.look()
            await change(plan)

        try:
            app.move(await two_cards(app), Status.ACCEPTED)
            monkeypatch.setattr(ours, "_carry_out", slowly)
            await app.channel.look()
        finally:
            await other.stop()
        assert (app.called("update_template_card"), app.called("recall")) == (2, 0)


async def settled(app: App) -> None:
    """Whoever changes cards has said so in the database."""
    await soon(lambda: all(row.look_at <= app.p.clock() for row in app.cards()), 10.0)


async def test_a_code_that_is_used_or_old(p: TestPlatform, town_db: Database) -> None:
    staff_here(town_db)
    async with serving(p, town_db) as app:
        number = await two_cards(app)
        p.app._codes.clear()  # the platform knows none of them any more
        app.move(number, Status.WITHDRAWN)
        await app.channel.look()
        assert (app.shown("w01"), app.shown("c01"), app.called("recall")) == ([], [], 2)

        late = await two_cards(app)
        p.clock.forward(hours=72)
        app.move(late, Status.WITHDRAWN)
        before = app.called("update_template_card")
        await app.channel.look()
        assert (app.called("update_template_card"), app.called("recall")) == (before, 2)


async def test_a_change_that_does_not_reach_her(p: TestPlatform, town_db: Database) -> None:
    """errcode 0, and she is in `invaliduser`: her card is taken back, and looked at no more."""
    staff_here(town_db)
    async with serving(p, town_db) as app:
        number = await two_cards(app)
        for code, (copies, at) in p.app._codes.items():
            p.app._codes[code] = [copy for copy in copies if copy.chat != "w01"], at
        app.move(number, Status.WITHDRAWN)
        await app.channel.look()
        assert (app.shown("w01"), buttons(app.shown("c01")[0])) == ([], ["居民已撤销"] * 3)
        await app.channel.look()
        assert (app.called("update_template_card"), app.called("recall")) == (2, 1)


async def test_the_platform_is_down_for_a_minute(p: TestPlatform, town_db: Database) -> None:
    staff_here(town_db)
    async with serving(p, town_db) as app:
        number = await two_cards(app)
        app.move(number, Status.DISMISSED)
        await p.down()
        await app.channel.look()
        await app.channel.look()
        p.up()
        p.clock.forward(minutes=1)
        await app.channel.look()
        assert [buttons(app.shown(user)[0]) for user in ("w01", "c01")] == [["已标为非诉求"] * 3] * 2


async def test_handlers_that_are_slow(p: TestPlatform, town_db: Database) -> None:
    """The press is kept and acknowledged; what came of it is brought to the card afterwards, by the press's code."""
    staff_here(town_db)
    async with serving(p, town_db) as app:
        number = app.ticket()
        await app.alert("W01", number)
        (card,) = app.shown("w01")
        push = await p.click(card, "w01", f"accept:{number}")
        assert push is not None
        assert (push.status, push.body, len(app.heard())) == (200, "", 1)
        await app.channel.look()
        assert app.called("update_template_card") == 0
        app.move(number, Status.ACCEPTED)
        await app.channel.look()
        assert app.called("update_template_card") == 0, "the platform still waits for our answer"
        p.clock.forward(seconds=5)
        await app.channel.look()
        assert buttons(card) == ["tran", "done"]

        # The code of the first press is used up: only the second one's can bring this to her card.
        await p.click(card, "w01", f"done:{number}")
        app.move(number, Status.RESOLVED)
        p.clock.forward(seconds=5)
        await app.channel.look()
        assert (buttons(card), app.called("recall")) == (["已办结"] * 2, 0)


async def test_a_choice_that_was_made_by_words(p: TestPlatform, town_db: Database) -> None:
    """The card that follows comes once, and keeps its code until there is something new to say."""
    staff_here(town_db)
    async with serving(p, town_db) as app:
        number = app.ticket(quiet=True)
        await app.alert("W01", number, "accept", "done", "dismiss")
        (vote,) = app.shown("w01")
        assert face(vote)["card_type"] == "vote_interaction"
        app.move(number, Status.ACCEPTED)
        await app.channel.look()
        await app.leave()
        assert face(vote)["submit_button"]["text"] == "已接单"
        _, card = app.shown("w01")
        assert buttons(card) == ["done"]
        await app.channel.look()
        assert app.called("update_template_card") == 1
        app.move(number, Status.RESOLVED)
        await app.channel.look()
        assert (buttons(card), app.shown("w01")) == (["已办结"], [card])  # the choice's code was used: it is taken back


def decide_at_once(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a worker had taken the press."""

    async def decided(_chat: str, _message: str) -> str:
        return "work"

    monkeypatch.setattr(app.channel._presses, "outcome", decided)


async def test_a_press_while_her_card_is_looked_at(
    p: TestPlatform, town_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looked knows less than the press: what it says of the card stays, and the press's code is not spent."""
    staff_here(town_db)
    async with serving(p, town_db) as app:
        decide_at_once(app, monkeypatch)
        number = app.ticket()
        await app.alert("W01", number)
        (card,) = app.shown("w01")
        plan = await app.db.run(app.channel._updating._look)
        assert plan is not None
        app.move(number, Status.ACCEPTED)
        await p.click(card, "w01", f"accept:{number}")
        assert buttons(card) == ["tran", "done"]
        await app.channel._updating._carry_out(plan)
        await app.channel.look()
        assert app.called("update_template_card") == 0
        app.move(number, Status.RESOLVED)
        await app.channel.look()
        assert (buttons(card), app.called("recall")) == (["已办结"] * 2, 0)


async def test_an_older_change_that_comes_after_her_press(
    p: TestPlatform, town_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card shows 已接单 although she has pressed 办结: it is looked at once more, and put right."""
    staff_here(town_db)
    async with serving(p, town_db) as app:
        decide_at_once(app, monkeypatch)
        number = app.ticket()
        await app.alert("W01", number)
        (card,) = app.shown("w01")
        await app.channel.look()
        app.move(number, Status.ACCEPTED)
        plan = await app.db.run(app.channel._updating._look)
        assert plan is not None
        app.move(number, Status.RESOLVED)
        await p.click(card, "w01", f"done:{number}")
        assert buttons(card) == ["已办结"] * 3
        await app.channel._updating._carry_out(plan)
        assert buttons(card) == ["tran", "done"]
        await app.channel.look()
        assert (buttons(card), app.called("recall")) == (["已办结"] * 2, 0)


async def test_who_is_told_of_what_is_accepted_keeps_her_buttons(p: TestPlatform, town_db: Database) -> None:
    """督办: the matter is overdue in its worker's hands, and her superior is told so."""
    staff_here(town_db)
    async with serving(p, town_db) as app:
        number = app.ticket()
        app.move(number, Status.ACCEPTED)
        app.happened(number, "accepted")
        p.clock.forward(hours=8)
        await app.alert("C01", number, text="【超期】楼道照明")
        await app.channel.look()
        assert buttons(app.shown("c01")[0]) == ["acce", "tran", "done"]
        app.move(number, Status.RESOLVED)
        await app.channel.look()
        assert buttons(app.shown("c01")[0]) == ["已办结"] * 3


async def test_a_card_that_cannot_be_read_holds_up_no_other(p: TestPlatform, town_db: Database) -> None:
    staff_here(town_db)
    async with serving(p, town_db) as app:
        first, second = app.ticket(), app.ticket(worker="C01")
        await app.alert("W01", first)
        await app.alert("C01", second)
        broken = sa.update(Outbox).where(col(Outbox.ticket) == first).values(payload="{}")
        town_db.tx(lambda session: session.connection().execute(broken))
        for number in (first, second):
            app.move(number, Status.WITHDRAWN)
        await app.channel.look()
        assert (app.shown("w01"), buttons(app.shown("c01")[0])) == ([], ["居民已撤销"] * 3)


async def test_rows_of_old_cards_are_forgotten(p: TestPlatform, town_db: Database) -> None:
    staff_here(town_db)
    async with serving(p, town_db) as app:
        await two_cards(app)
        p.clock.forward(days=6)
        assert (await app.channel._updating.forget(), len(app.cards())) == (0, 2)
        p.clock.forward(days=2)
        assert (await app.channel._updating.forget(), len(app.cards())) == (2, 0)
