"""What a stranger may write to a callback address, and what becomes of it."""

import asyncio
import random
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpClient
from wechatpy.crypto import WeChatCrypto
from wechatpy.crypto.base import WeChatCipher

from bot.channels.replays import Replays
from bot.channels.security import (
    READ_SECONDS,
    Refused,
    Vault,
    check_signature,
    check_time,
    check_xml,
    read_body,
    signature_of,
)

# Tencent's published sample: token, EncodingAESKey, corp id and the handshake that belongs to them.
TOKEN, KEY, CORP = "QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "wx5823bf96d3bd56c7"
ECHO = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
SAMPLE = {"msg_signature": "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3", "timestamp": "1409659589", "nonce": "263014780"}
NOW = datetime.fromtimestamp(1409659589, UTC)
TEXT = "<xml><FromUserName>o1</FromUserName><CreateTime>1409659589</CreateTime><MsgType>text</MsgType></xml>"


def why(refusal: pytest.ExceptionInfo[Refused]) -> str:
    return refusal.value.why


def sealed(letter: str, vault: Vault | None = None, nonce: str = "n1") -> tuple[str, dict[str, str]]:
    encrypted, signature = (vault or Vault(TOKEN, KEY, CORP)).seal(letter, "1409659589", nonce)
    query = {"msg_signature": signature, "timestamp": "1409659589", "nonce": nonce}
    return f"<xml><ToUserName>gh</ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>", query


def test_the_published_sample_opens() -> None:
    assert Vault(TOKEN, KEY, CORP).decrypt(ECHO, SAMPLE, NOW) == "1616140317555161061"


def test_what_is_sealed_opens_again() -> None:
    letter = TEXT.replace("o1", "电梯又坏了😀 ]] & 一二")
    letter = letter.replace("&", "&amp;")
    assert Vault(TOKEN, KEY, CORP).open_xml(*sealed(letter), NOW).source == "电梯又坏了😀 ]] & 一二"


@pytest.mark.parametrize("filled", [44, 40, 33, 0])
def test_what_another_key_makes_of_a_letter_is_none(filled: int) -> None:
    """Rubbish: a length out of the air, and so few characters behind it that they read as text. A bot has no id."""
    rubbish = b"r" * 16 + b"\xff\xff\xff\xff" + b"x" * 43 + bytes([filled])
    cipher = WeChatCipher(WeChatCrypto(TOKEN, KEY, "").key)
    encrypted = b64encode(cipher.encrypt(rubbish)).decode()
    query = {"timestamp": "1409659589", "nonce": "n1"}
    query["msg_signature"] = signature_of(TOKEN, "1409659589", "n1", encrypted)

    with pytest.raises(Refused) as refusal:
        Vault(TOKEN, KEY, "").decrypt(encrypted, query, NOW)
    assert why(refusal) == "malformed"


@pytest.mark.parametrize("size", [*range(30), 31, 32, 33, 5_000])
def test_a_letter_of_any_length_opens(size: int) -> None:
    for receiver in ("", CORP):
        vault = Vault(TOKEN, KEY, receiver)
        encrypted, signature = vault.seal("灯" * size, "1409659589", "n1")
        query = {"msg_signature": signature, "timestamp": "1409659589", "nonce": "n1"}
        assert vault.decrypt(encrypted, query, NOW) == "灯" * size


@pytest.mark.parametrize("name", ["msg_signature", "timestamp", "nonce"])
def test_any_changed_part_breaks_the_signature(name: str) -> None:
    for changed in (SAMPLE[name] + "0", "", "é", "\udc80"):
        with pytest.raises(Refused) as refusal:
            Vault(TOKEN, KEY, CORP).decrypt(ECHO, SAMPLE | {name: changed}, NOW)
        assert why(refusal) in ("signature", "malformed")


def test_the_comparison_takes_a_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("hmac.compare_digest", compare)
    check_signature(signature_of("b", "a"), "a", "b")
    assert compared == [(signature_of("a", "b").encode(),) * 2]


@pytest.mark.parametrize("token", ["another", TOKEN])
def test_while_keys_are_changed_either_opens_and_the_last_one_seals(token: str) -> None:
    old, new = Vault(TOKEN, KEY, CORP), Vault(token, "n" * 42 + "A", CORP)
    both = Vault(token, "n" * 42 + "A", CORP, (TOKEN, KEY))
    for theirs in (old, new, old):
        assert both.opened(*sealed(TEXT, theirs), NOW) == TEXT
        assert theirs.opened(*sealed(TEXT, both), NOW) == TEXT


def test_a_refusal_says_what_was_wrong_under_the_keys_that_fit() -> None:
    both = Vault("another", "n" * 42 + "A", CORP, (TOKEN, KEY))
    body, query = sealed(TEXT)
    for wrong, now, word in (
        ({}, NOW + timedelta(minutes=6), "stale"),
        ({"msg_signature": "0" * 40}, NOW, "signature"),
        ({"nonce": "n2"}, NOW, "signature"),
    ):
        with pytest.raises(Refused) as refusal:
            both.opened(body, query | wrong, now)
        assert why(refusal) == word
    with pytest.raises(Refused, match="receiver"):
        both.opened(*sealed(TEXT, Vault(TOKEN, KEY, "wx-another")), NOW)


@pytest.mark.parametrize(("offset", "fresh"), [(-301, False), (-299, True), (299, True), (301, False)])
def test_five_minutes_either_way(offset: int, fresh: bool) -> None:
    moment = str(int(NOW.timestamp()) + offset)
    if fresh:
        check_time(moment, NOW)
        return
    with pytest.raises(Refused) as refusal:
        check_time(moment, NOW)
    assert why(refusal) == "stale"


@pytest.mark.parametrize("timestamp", ["", "x", "-1", "1e9", "٣", "9" * 40, "1409659589.5"])
def test_a_timestamp_is_a_number(timestamp: str) -> None:
    with pytest.raises(Refused, match="malformed"):
        check_time(timestamp, NOW)


def test_another_account_is_refused_although_everything_is_signed() -> None:
    with pytest.raises(Refused, match="receiver"):
        Vault(TOKEN, KEY, CORP).open_xml(*sealed(TEXT, Vault(TOKEN, KEY, "wx-another")), NOW)


def test_the_signature_comes_before_the_time_and_the_time_before_decryption() -> None:
    body, query = sealed(TEXT, Vault(TOKEN, KEY, "wx-another"))
    later = NOW + timedelta(hours=1)
    with pytest.raises(Refused, match="stale"):
        Vault(TOKEN, KEY, CORP).open_xml(body, query, later)
    with pytest.raises(Refused, match="signature"):
        Vault(TOKEN, KEY, CORP).open_xml(body, query | {"msg_signature": "0" * 40}, later)


def test_a_letter_in_the_clear_is_refused() -> None:
    with pytest.raises(Refused, match="plaintext"):
        Vault(TOKEN, KEY, CORP).open_xml(TEXT, SAMPLE, NOW)


BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><xml><MsgType>&b;</MsgType></xml>'


@pytest.mark.parametrize(
    ("xml", "word"),
    [
        (BOMB, "markup"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><xml/>', "markup"),
        ('<?xml-stylesheet href="x"?><xml/>', "markup"),
        ("<xml>" + "<a>" * 10 + "</a>" * 10 + "</xml>", "depth"),
        ("<a>" * 15_000, "depth"),
        ("", "malformed"),
        ("{}", "malformed"),
        ("<xml>&undefined;</xml>", "malformed"),
        ("<xml></xml><xml></xml>", "malformed"),
        ("<xml>\x00</xml>", "malformed"),
    ],
)
def test_dangerous_xml_is_refused_outside_and_inside(xml: str, word: str) -> None:
    with pytest.raises(Refused) as outside:
        check_xml(xml)
    assert why(outside) == word
    with pytest.raises(Refused) as inside:
        Vault(TOKEN, KEY, CORP).open_xml(*sealed(xml), NOW)
    assert why(inside) == word


def test_cdata_and_a_declaration_are_fine() -> None:
    check_xml('<?xml version="1.0" encoding="UTF-8"?><xml><a><![CDATA[<!DOCTYPE <?x ]]></a></xml>')


@pytest.mark.parametrize("shape", ["<xml/>", "<other/>", "<xml>text</xml>", "<xml><Encrypt><a/></Encrypt></xml>"])
def test_an_envelope_of_another_shape(shape: str) -> None:
    with pytest.raises(Refused):
        Vault(TOKEN, KEY, CORP).open_xml(shape, SAMPLE, NOW)


def test_signed_rubbish_is_refused_and_nothing_else() -> None:
    """wechatpy answers these with IndexError, ValueError, struct.error and more."""
    dice = random.Random(11)
    vault = Vault(TOKEN, KEY, CORP)
    for turn in range(500):
        rubbish = "".join(dice.choices("ABCdef019+/=é \n", k=dice.randrange(0, 200)))
        query = {"timestamp": "1409659589", "nonce": str(turn)}
        query["msg_signature"] = signature_of(TOKEN, *query.values(), rubbish)
        with pytest.raises(Refused):
            vault.decrypt(rubbish, query, NOW)


async def test_a_replay_is_the_same_pair_with_another_message() -> None:
    replays = Replays("x")
    await replays.check("1", "n", "m1", NOW)
    await replays.check("1", "n", "m1", NOW + timedelta(seconds=5))  # the platform again
    await replays.check("1", "other", "m2", NOW)
    with pytest.raises(Refused, match="replay"):
        await replays.check("1", "n", "m2", NOW + timedelta(minutes=119))
    await replays.check("1", "n", "m2", NOW + timedelta(hours=2, seconds=1))


async def test_the_memory_for_replays_is_bounded() -> None:
    replays = Replays("x", limit=10)
    for nonce in range(1_000):
        await replays.check("1", str(nonce), "m", NOW)
    assert len(replays) == 10
    await replays.check("1", "later", "m", NOW + timedelta(hours=3))
    assert len(replays) == 1


@pytest.mark.parametrize("key", ["", "A" * 42, "!" * 43, "短" * 43])
def test_a_wrong_key_is_said_at_the_start(key: str) -> None:
    with pytest.raises(ValueError, match="EncodingAESKey"):
        Vault(TOKEN, key, CORP)


async def test_bodies_that_are_not_read(aiohttp_client: AiohttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(request: web.Request) -> web.Response:
        try:
            return web.Response(text=await read_body(request, 100))
        except Refused as refused:
            return web.Response(status=403, text=refused.why)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 60

    app = web.Application()
    app.router.add_post("/", answer)
    client = await aiohttp_client(app)
    bodies: list[tuple[object, dict[str, str], str]] = [
        ("水" * 33, {}, "水" * 33),
        (b"x" * 101, {}, "size"),
        (endless(), {}, "size"),
        (b"\xff\xfe", {}, "encoding"),
        (b"\xed\xa0\x80", {}, "encoding"),
        (b"x", {"Content-Encoding": "gzip"}, "encoding"),
    ]
    for body, headers, expected in bodies:
        response = await client.post("/", data=body, headers=headers)
        assert await response.text() == expected

    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        await never.wait()
        yield b"x"

    never = asyncio.Event()
    assert READ_SECONDS < 5
    monkeypatch.setattr("bot.channels.security.READ_SECONDS", 0.05)
    response = await client.post("/", data=slow())
    assert await response.text() == "slow"
    never.set()
