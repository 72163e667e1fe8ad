"""Encrypted JSON and XML callbacks of WeCom."""

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import xmltodict

from bot.channels.sealed import Seal, cdata, check_json
from bot.channels.security import Refused, Vault, signature_of

TOKEN, KEY, CORP = "QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "wx5823bf96d3bd56c7"
ECHO = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
SAMPLE = {"msg_signature": "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3", "timestamp": "1409659589", "nonce": "263014780"}
NOW = datetime.fromtimestamp(1409659589, UTC)
BOT = Seal(TOKEN, KEY, "")


def sealed(letter: str, receiver: str = "", nonce: str = "n1") -> tuple[str, dict[str, str]]:
    encrypted, signature = Vault(TOKEN, KEY, receiver).seal(letter, SAMPLE["timestamp"], nonce)
    return encrypted, {"msg_signature": signature, "timestamp": SAMPLE["timestamp"], "nonce": nonce}


def opened(letter: str, **more: str) -> dict[str, Any]:
    encrypted, query = sealed(letter, **more)
    return BOT.open_json(json.dumps({"encrypt": encrypted}), query, NOW)


def test_the_published_address_check() -> None:
    assert Seal(TOKEN, KEY, CORP).greet(SAMPLE | {"echostr": ECHO}, NOW) == "1616140317555161061"
    for wrong in ({"echostr": ECHO[:-4]}, {"echostr": ""}, {"timestamp": "1409659590"}, {"msg_signature": "0" * 40}):
        with pytest.raises(Refused):
            Seal(TOKEN, KEY, CORP).greet(SAMPLE | {"echostr": ECHO} | wrong, NOW)
    with pytest.raises(Refused, match="receiver"):
        BOT.greet(SAMPLE | {"echostr": ECHO}, NOW)
    with pytest.raises(Refused, match="stale"):
        Seal(TOKEN, KEY, CORP).greet(SAMPLE | {"echostr": ECHO}, NOW + timedelta(minutes=6))


def test_what_was_sealed_opens() -> None:
    letter = {"msgid": "m", "msgtype": "text", "text": {"content": '3幢电梯坏了😀 "[{" \\ '}, "create_time": 1}
    assert opened(json.dumps(letter, ensure_ascii=False)) == letter


@pytest.mark.parametrize(
    ("letter", "word"),
    [
        ('{"a":' * 20 + "1" + "}" * 20, "depth"),
        ("[" * 30_000, "depth"),
        ('{"a":1,"a":2}', "malformed"),
        ('{"a":NaN}', "malformed"),
        ("[]", "malformed"),
        ("", "malformed"),
        ("{", "malformed"),
        ('"' + "\\" * 1_001, "malformed"),
        ("1" * 10_000, "malformed"),
    ],
)
def test_letters_that_are_none(letter: str, word: str) -> None:
    with pytest.raises(Refused, match=word):
        check_json(letter)
    with pytest.raises(Refused, match=word):
        opened(letter)


def test_brackets_in_words_are_no_depth() -> None:
    assert opened(json.dumps({"a": "[{" * 1_000 + '"\\'}))["a"].startswith("[{")


@pytest.mark.parametrize("body", ['{"msgid":"m"}', '{"encrypt":null}'])
def test_a_body_in_the_clear_is_refused(body: str) -> None:
    with pytest.raises(Refused, match="plaintext"):
        BOT.open_json(body, SAMPLE, NOW)


def test_another_receiver_time_or_signature() -> None:
    with pytest.raises(Refused, match="receiver"):
        opened("{}", receiver=CORP)
    encrypted, query = sealed("{}")
    body = json.dumps({"encrypt": encrypted})
    with pytest.raises(Refused, match="stale"):
        BOT.open_json(body, query, NOW + timedelta(seconds=301))
    with pytest.raises(Refused, match="signature"):
        BOT.open_json(body, query | {"nonce": "n2"}, NOW)


def test_five_hundred_random_bodies_with_a_right_and_a_wrong_signature() -> None:
    dice = random.Random(7)
    for turn in range(500):
        rubbish = "".join(dice.choices('ABCdef019+/={}[]":é \n', k=dice.randrange(0, 300)))
        query = {"timestamp": SAMPLE["timestamp"], "nonce": str(turn)}
        query["msg_signature"] = signature_of(TOKEN, *query.values(), rubbish) if turn % 2 else "0" * 40
        body = json.dumps({"encrypt": rubbish}) if turn % 3 else rubbish
        with pytest.raises(Refused):
            BOT.open_json(body, query, NOW)
        with pytest.raises(Refused):
            BOT.open_fields(f"<xml><Encrypt>{cdata(rubbish)}</Encrypt></xml>" if turn % 3 else rubbish, query, NOW)


def test_an_answer_is_sealed_as_the_page_has_it() -> None:
    answer = json.loads(BOT.answer_json({"msgtype": "text", "text": {"content": "您好"}}, "the-nonce", NOW))
    assert set(answer) == {"encrypt", "msgsignature", "timestamp", "nonce"}
    assert (answer["timestamp"], answer["nonce"]) == (1409659589, "the-nonce")
    query = {"msg_signature": answer["msgsignature"], "timestamp": "1409659589", "nonce": "the-nonce"}
    assert BOT.open_json(json.dumps({"encrypt": answer["encrypt"]}), query, NOW)["text"] == {"content": "您好"}


@pytest.mark.parametrize("nonce", ["", "]]><a/>", "é", "x" * 65, 'a"b'])
def test_a_nonce_of_another_shape_gets_no_answer(nonce: str) -> None:
    with pytest.raises(Refused):
        BOT.answer_json({}, nonce, NOW)
    with pytest.raises(Refused):
        BOT.answer_xml("<xml/>", nonce, NOW)


def test_xml_goes_both_ways_and_words_stay_words() -> None:
    app = Seal(TOKEN, KEY, CORP)
    words = "a]]></Content><MsgType><![CDATA[image"
    letter = f"<xml><MsgType><![CDATA[text]]></MsgType><Content>{cdata(words)}</Content></xml>"
    envelope = app.answer_xml(letter, "n9", NOW)
    told = xmltodict.parse(envelope)["xml"]
    query = {"msg_signature": told["MsgSignature"], "timestamp": told["TimeStamp"], "nonce": told["Nonce"]}
    assert app.open_fields(envelope, query, NOW) == {"MsgType": "text", "Content": words}
    with pytest.raises(Refused, match="plaintext"):
        app.open_fields(letter, query, NOW)
    with pytest.raises(Refused, match="receiver"):
        BOT.open_fields(envelope, query, NOW)
    with pytest.raises(Refused, match="markup"):
        app.open_fields('<!DOCTYPE x [<!ENTITY a "b">]><xml><Encrypt>&a;</Encrypt></xml>', query, NOW)
