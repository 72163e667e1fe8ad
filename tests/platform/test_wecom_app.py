"""The self-built app opposite the platform: what it hears, and what it says."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.channels.media import NotFetched
from models.database import Database
from models.message import Card, Kind, Media
from models.outbox import DEAD, SENT
from models.ticket import Status
from tests.platform.harness import TestPlatform
from tests.platform.wecom_app import serving, staff_here
from tests.scenario.matters import photo
from tests.scenario.wecom_app import bounded, buttons, face, stolen

pytestmark = pytest.mark.usefixtures("nobody_decides")


async def test_all_that_can_be_said_to_it(p: TestPlatform, db: Database) -> None:
    async with serving(p, db) as app:
        await p.app.say("w01", "接单 ]]> <b>&")
        await p.app.photo("w01")
        await p.app.voice("w01")
        await p.app.location("w01", 30.25, 120.16, "6幢")
        await p.app.event("w01", "enter_agent")
        await p.app.event("w01", "click", EventKey="anything")
        words, photo, voice, pin = app.heard()
        assert (words.text, words.direct, words.channel, words.chat) == ("接单 ]]> <b>&", True, "wecom_app", "w01")
        assert (photo.kind, voice.kind, voice.media[0].mime) == (Kind.IMAGE, Kind.VOICE, "audio/amr")
        assert (pin.kind, pin.label) == (Kind.LOCATION, "6幢")
        assert pin.lat is not None
        assert 0.001 < abs(pin.lat - 30.25) < 0.01  # it was GCJ-02
        assert [push.status for push in p.pushes] == [200] * 6
        assert p.complaints == []


async def test_files_are_fetched_by_their_id(p: TestPlatform, sqlite_db: Database, tmp_path: Path) -> None:
    async with serving(p, sqlite_db) as app:
        await p.app.photo("w01", photo())
        (wanted,) = app.heard()[0].media
        kept = await app.channel.fetch(wanted, tmp_path)
        assert (tmp_path / kept.path).read_bytes()[:2] == b"\xff\xd8"
        with pytest.raises(NotFetched):
            await app.channel.fetch(Media(platform_id="gone"), tmp_path)


async def test_the_same_callback_twice_and_another_under_its_nonce(p: TestPlatform, db: Database) -> None:
    async with serving(p, db) as app:
        await p.app.say("w01", "接单")
        await p.again(p.pushes[-1])
        assert (p.pushes[-1].status, len(app.heard())) == (200, 1)
        first = p.pushes[0]
        sealer = p.app._sealer()
        letter = p.app.letter("w01", "text", {"Content": "办结", "MsgId": "7", "AgentID": p.app.agent_id})
        forged = await forge(p, letter, nonce=first.params["nonce"], stamp=first.params["timestamp"])
        assert (forged, len(app.heard())) == (403, 1)
        assert sealer is not None


async def forge(p: TestPlatform, letter: dict[str, object], *, nonce: str = "other", stamp: str = "") -> int:
    """A callback with the right signature, whatever it says; returns the status."""
    from bot.platform.letters import write  # noqa: PLC0415 - only here

    sealer, stamp = p.app._sealer(), stamp or str(p.app.seconds)
    sealed = sealer.seal(write(letter))
    query = {"msg_signature": sealer.sign(stamp, nonce, sealed), "timestamp": stamp, "nonce": nonce}
    data = write({"ToUserName": p.app.corp_id, "Encrypt": sealed}).encode()
    push = await p.pusher.post(p.app.callback, query, data, content_type="text/xml", tries=1)
    return push.status


@pytest.mark.parametrize(
    "wrong",
    [
        {"AgentID": "1"}, {"ToUserName": "another"}, {"FromUserName": ""}, {"CreateTime": "soon"}, {"MsgId": "x7"},
        {"FromUserName": {"a": "b"}}, {"MsgType": ""},
    ],
    ids=str,
)  # fmt: skip
async def test_letters_that_are_not_for_us_or_no_letters(
    p: TestPlatform, sqlite_db: Database, wrong: dict[str, object]
) -> None:
    async with serving(p, sqlite_db) as app:
        letter = p.app.letter("w01", "text", {"Content": "办结", "MsgId": "7", "AgentID": p.app.agent_id})
        assert await forge(p, letter | wrong) == 403
        assert app.heard() == []
        assert await forge(p, letter, nonce="right") == 200


async def test_nothing_is_acknowledged_that_is_not_kept(p: TestPlatform, sqlite_db: Database) -> None:
    async with serving(p, sqlite_db) as app:

        async def away(_: object) -> None:
            raise OSError("no disk")

        kept, app.ingest.accept = app.ingest.accept, away  # type: ignore[method-assign, assignment]
        await p.app.say("w01", "办结")
        assert p.pushes[-1].statuses == [503] * 3
        app.ingest.accept = kept  # type: ignore[method-assign]
        await p.again(p.pushes[-1])
        assert (p.pushes[-1].status, len(app.heard())) == (200, 1)


async def test_an_app_that_is_switched_off_is_told_to_the_operator(p: TestPlatform, sqlite_db: Database) -> None:
    async with serving(p, sqlite_db) as app:
        with capture_logs() as logs:
            await p.app.event("sys", "close_inactive_agent", EffectTime=1)
        assert [line["log_level"] for line in logs if line["event"] == "wecom_app.inactive"] == ["error"]
        assert app.heard() == []


async def test_where_somebody_is_stays_unknown_unless_it_is_switched_on(p: TestPlatform, town_db: Database) -> None:
    staff_here(town_db)
    async with serving(p, town_db) as app:
        await p.app.where("w01", 30.25, 120.16)
        assert app.heard() == []
    async with serving(p, town_db, patrol=True) as app:
        await p.app.where("somebody", 30.25, 120.16)
        await p.app.where("w01", 30.25, 120.16)  # where she has no duty: perhaps she is at home
        assert app.heard() == []


@pytest.mark.parametrize(("coordinates", "place"), [("wgs84", (120.05, 30.05)), ("gcj02", (120.0453, 30.0523))])
async def test_a_round_is_where_the_map_says(
    p: TestPlatform, town_db: Database, coordinates: str, place: tuple[float, float]
) -> None:
    staff_here(town_db)
    bounded(town_db, "QX-01-01")
    async with serving(p, town_db, patrol=True, patrol_coordinates=coordinates) as app:
        await p.app.where("w01", 30.05, 120.05)
        (heard,) = app.heard()
        assert (heard.lon, heard.lat) == pytest.approx(place, abs=0.0002)


# --- what it says -------------------------------------------------------------------------------------------------


async def test_texts_long_and_short(p: TestPlatform, db: Database) -> None:
    async with serving(p, db) as app:
        await app.send("w01", "您手上没有待办的单子。@all <a href='https://x'>点我</a>")
        await app.send("w01", "水" * 1_000)
        said = [bubble.text for bubble in p.seen("w01")]
        assert said[0] == "您手上没有待办的单子。＠all ＜a href='https://x'>点我＜/a>"
        assert ("".join(said[1:]), len(said)) == ("水" * 1_000, 3)
        assert [row.outcome for row in app.rows()] == [SENT, SENT]
        assert app.rows()[0].platform_id == p.seen("w01")[0].id


async def test_what_is_left_of_a_text_leaves_later(p: TestPlatform, sqlite_db: Database) -> None:
    async with serving(p, sqlite_db, per_minute=1) as app:
        await app.send("w01", "水" * 1_000)
        assert len(p.seen("w01")) == 1
        p.clock.forward(minutes=3)
        await app.leave()
        assert "".join(bubble.text for bubble in p.seen("w01")) == "水" * 1_000


async def test_thirty_a_minute_and_none_is_dropped(p: TestPlatform, db: Database) -> None:
    async with serving(p, db) as app:
        for number in range(31):
            await app.send("w01", str(number))
        assert (len(p.seen("w01")), p.app_api.dropped) == (30, 0)
        p.clock.forward(minutes=2)
        await app.leave()
        assert (len(p.seen("w01")), p.app_api.dropped) == (31, 0)


async def test_what_waits_for_its_minute_uses_up_no_hour(p: TestPlatform, db: Database) -> None:
    async with serving(p, db, per_minute=1, per_hour=10) as app:
        for number in range(10):
            await app.send("w01", str(number))
        for _ in range(25):
            p.clock.forward(minutes=2)
            await app.leave()
        assert [bubble.text for bubble in p.seen("w01")] == [str(number) for number in range(10)]


async def test_a_token_that_dies(p: TestPlatform, db: Database) -> None:
    async with serving(p, db) as app:
        await app.send("w01", "1")
        p.tokens.revoke()
        await app.send("w01", "2")
        assert [bubble.text for bubble in p.seen("w01")] == ["1", "2"]


async def test_a_card_and_no_secret_in_the_log(p: TestPlatform, town_db: Database) -> None:
    staff_here(town_db)
    async with serving(p, town_db) as app:
        with capture_logs() as logs:
            number = app.ticket()
            await app.alert("W01", number)
            (card,) = app.shown("w01")
            await p.click(card, "w01", f"accept:{number}")
            app.move(number, Status.RESOLVED)
            p.clock.forward(seconds=5)  # that the platform waits for the answer to a press
            await app.channel.look()
        assert buttons(card) == ["已办结"] * 3
        (row,) = app.cards()
        assert (row.message, row.label, row.code) == (card.id, "card_resolved", "")
        told = str(logs) + str([push.body for push in p.pushes])
        secrets = [p.app.secret, p.app.token, p.app.aes_key, *p.app._codes]
        assert not [secret for secret in secrets if secret in told]


async def test_a_card_is_a_text_where_it_cannot_be_a_card(p: TestPlatform, town_db: Database) -> None:
    staff_here(town_db)
    async with serving(p, town_db) as app:
        p.app.callback = ""
        await app.alert("W01", app.ticket())
        (bubble,) = p.seen("w01")
        assert (bubble.card, app.rows()[0].outcome) == (None, SENT)
        assert "地点：6幢" in bubble.text
        assert app.cards() == []


async def test_an_answer_that_was_lost(p: TestPlatform, town_db: Database) -> None:
    """The card is there and nobody knows: it comes once more, says so, and has a task id of its own."""
    staff_here(town_db)
    async with serving(p, town_db) as app:
        p.faults.fail("/cgi-bin/message/send", cut=True, taken=True)
        number = app.ticket()
        await app.alert("W01", number)
        p.clock.forward(minutes=10)
        await app.leave()
        first, again = app.shown("w01")
        assert (first.card or {})["task_id"] != (again.card or {})["task_id"]
        assert "重复提醒" in face(again)["sub_title_text"]
        app.move(number, Status.WITHDRAWN)
        await app.channel.look()
        assert buttons(again) == ["居民已撤销"] * 3
        await p.click(first, "w01", f"accept:{number}")  # it can still be pressed
        await app.channel.look()
        assert p.complaints == []


async def test_news_is_a_notice_of_its_own(p: TestPlatform, town_db: Database) -> None:
    """The same words twice are two of them; words that it has no room for come as a text, and none is lost."""
    staff_here(town_db)
    async with serving(p, town_db) as app:
        number = app.ticket()
        card = Card(title="LS00001 照明", facts=(("地点", "6幢"),), link="https://l.example/task/x")
        for text in ("【催办】有人在问", "【催办】有人在问", "【补充】" + "水" * 300):
            await app.alert("W01", number, text=text, card=card)
        *notices, words = p.seen("w01")
        assert [face(one)["card_type"] for one in notices] == ["text_notice"] * 2
        assert (words.card, "水" * 300 in words.text, "https://l.example/task/x" in words.text) == (None, True, True)
        app.move(number, Status.WITHDRAWN)
        await app.channel.look()
        assert (app.shown("w01"), app.called("recall"), app.cards()) == (notices, 0, [])


# --- whom the platform does not know ------------------------------------------------------------------------------


async def test_an_alert_goes_on_until_somebody_is_there(p: TestPlatform, town_db: Database) -> None:
    staff_here(town_db)
    p.app.strangers |= {"w01", "c01"}
    async with serving(p, town_db) as app:
        number = app.ticket()
        await app.alert("W01", number)
        assert [note for what, note in app.history() if what == "unreachable"] == ["W01", "C01"]
        assert app.history()[-1][0] == "assigned"
        assert "C02" in app.history()[-1][1]
        assert len(app.shown("c02")) >= 1
        assert {row.outcome for row in app.rows()} == {SENT, DEAD}
        before = len(app.rows())
        await app.send("w01", "已记到 LS00001。")  # an answer to somebody who is gone is no alert
        assert len(app.rows()) == before + 1


async def test_no_licence_is_not_delivered_either(
    p: TestPlatform, town_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff_here(town_db)
    async with serving(p, town_db) as app:
        call = app.channel._api.call

        async def unlicensed(path: str, body: dict[str, object], **more: object) -> dict[str, object]:
            answer = await call(path, body, **more)  # type: ignore[arg-type]
            return answer | {"unlicenseduser": "w01"} if body.get("touser") == "w01" else answer

        monkeypatch.setattr(app.channel._api, "call", unlicensed)
        await app.alert("W01", app.ticket())
        assert ("unreachable", "W01") in app.history()
        assert app.shown("c01")


async def test_a_press_by_somebody_who_never_had_the_card(p: TestPlatform, town_db: Database) -> None:
    staff_here(town_db)
    async with serving(p, town_db) as app:
        number = app.ticket()
        await app.alert("W01", number)
        (card,) = app.shown("w01")
        await p.app.tell("w07", stolen(p, card, "w07", f"done:{number}"))
        assert p.pushes[-1].body == ""
        assert [(letter.sender, letter.action) for letter in app.heard()] == [("w07", f"done:{number}")]
        for key in ("noop", "disabled0", "accept:", "accept:one"):
            await p.app.tell("w07", stolen(p, card, "w07", key))
        assert len(app.heard()) == 1
