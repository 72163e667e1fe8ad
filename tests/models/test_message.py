"""The channel-neutral letters."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from models.message import Button, Card, Forwarded, Incoming, Kind, Media, Outgoing, Purpose
from tests.models.letters import letter

FULL = letter(
    1,
    sender_name="朵朵妈",
    kind=Kind.LOCATION,
    text="停水了？？",
    quote="m0",
    mentions=("bot", "u02"),
    media=(Media(name="a.jpg", path="a/b.jpg", mime="image/jpeg"),),
    lon=118.9,
    lat=28.95,
    label="柳岸花园",
    forwarded=(Forwarded(sender="阿杰", text="我们这栋也停了"), Forwarded(sender="阿杰", text="")),
    action="accept:42",
    platform={"msgid": "77"},
)


@pytest.mark.parametrize("message", [FULL, letter(2)], ids=["full", "short"])
def test_an_incoming_letter_survives_its_row(message: Incoming) -> None:
    assert Incoming.model_validate_json(message.model_dump_json(exclude_defaults=True)) == message


def test_an_outgoing_letter_survives_its_row() -> None:
    card = Card(title="LS00001", facts=(("地点", "3幢"),), buttons=(Button(text="接单", action="accept:1"),))
    out = Outgoing(channel="web", chat="d-w01", text="【新任务】", purpose=Purpose.ALERT, card=card, ticket=1)
    assert Outgoing.model_validate_json(out.model_dump_json(exclude_defaults=True)) == out


def test_a_time_without_offset_is_refused() -> None:
    with pytest.raises(ValidationError, match="offset"):
        letter(1, sent_at="2026-03-02T08:00:00")


def test_time_is_kept_in_utc() -> None:
    sent = letter(1, sent_at="2026-03-02T08:00:00+08:00").sent_at
    assert sent == datetime(2026, 3, 2, tzinfo=UTC)
    assert sent.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "fields",
    [
        {"mood": "angry"},
        {"id": ""},
        {"chat": "g" * 129},
        {"lon": 181},
        {"lat": float("nan")},
        {"kind": "dance"},
        {"text": "水" * 20_001},
        {"media": ({"name": "a.jpg", "size": 3},)},
    ],
    ids=["unknown field", "no id", "chat too long", "lon", "lat", "kind", "text too long", "unknown in media"],
)
def test_what_nobody_knows_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        letter(1, **fields)


def test_a_letter_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        letter(1).text = "别的"


def test_keys_tell_messages_and_conversations_apart() -> None:
    first = letter(1)
    assert first.dedup_key == letter(1, text="别的", sender="u09").dedup_key
    keys = {m.dedup_key for m in (first, letter(2), letter(1, chat="g2"), letter(1, channel="wechat_mp"))}
    assert len(keys) == 4
    assert first.conversation == letter(2, sender="u09").conversation
    assert first.conversation != letter(1, chat="g2").conversation
    assert first.conversation != letter(1, channel="wechat_mp").conversation


def test_the_keys_fit_their_columns() -> None:
    longest = letter(1, id="m" * 128, chat="g" * 128, channel="c" * 32)
    assert len(longest.dedup_key) <= 320
    assert len(longest.conversation) <= 192


def test_to_bot() -> None:
    assert letter(1, mentions=("bot",)).to_bot
    assert letter(1, direct=True).to_bot
    assert not letter(1, mentions=("u02",)).to_bot


def test_words_take_in_the_forwarded_record() -> None:
    assert FULL.words == "停水了？？\n我们这栋也停了"
    assert letter(1, text="").words == ""
