"""Three hands at the same envelopes: ours (bot.channels), the platform's (bot.platform), and foreign ones in Node.

What one seals the others open: @wecom/crypto (Tencent), wechat-crypto, and co-wechat, a server that opens and answers.
"""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from bot.channels.sealed import Seal
from bot.channels.security import Refused, Vault, signature_of
from bot.platform.crypto import BadEnvelope, Sealer, new_key
from bot.platform.letters import read, write
from tests.conftest import START
from tests.platform.conftest import StartPeer

TOKEN, CORP = "QDG6eK", "wx5823bf96d3bd56c7"
STAMP, NONCE = str(int(START.timestamp())), "1372623149"
LIBRARIES = [("wecom", CORP), ("wecom", ""), ("wechat", CORP)]  # wechat-crypto takes no empty receiver


def letters(seed: int, count: int = 100) -> list[str]:
    """Words of every length around the blocks of 16 and 32, with characters of one to four bytes."""
    draw = random.Random(seed)
    alphabet = "a<&>]]\"'\n 水岸华庭3幢楼道灯坏了，😀\U00020bb7é"
    return [
        "".join(draw.choices(alphabet, k=size)) for size in [1, *(draw.randrange(1, 300) for _ in range(count - 1))]
    ]


class Ours:
    """The app's side, for one receiver."""

    def __init__(self, key: str, receiver: str) -> None:
        self._vault = Seal(TOKEN, key, receiver)

    def seal(self, letter: str) -> tuple[str, str]:
        return self._vault.seal(letter, STAMP, NONCE)

    def open(self, sealed: str, signature: str) -> str:
        query = {"msg_signature": signature, "timestamp": STAMP, "nonce": NONCE}
        return self._vault.decrypt(sealed, query, START)


class Platforms:
    """The platform's side."""

    def __init__(self, key: str, receiver: str) -> None:
        self._sealer = Sealer(TOKEN, key, receiver)

    def seal(self, letter: str) -> tuple[str, str]:
        sealed = self._sealer.seal(letter)
        return sealed, self._sealer.sign(STAMP, NONCE, sealed)

    def open(self, sealed: str, signature: str) -> str:
        return self._sealer.open(sealed, signature, STAMP, NONCE)


@pytest.mark.parametrize("hand", [Ours, Platforms])
@pytest.mark.parametrize(("library", "receiver"), LIBRARIES)
async def test_both_ways(node: StartPeer, library: str, hand: type[Ours | Platforms], receiver: str) -> None:
    peer, key = await node("crypto"), new_key()
    side, said = hand(key, receiver), letters(seed=len(library))
    common: dict[str, Any] = {"library": library, "key": key, "token": TOKEN, "receiver": receiver}
    common |= {"timestamp": STAMP, "nonce": NONCE}

    theirs = await peer.ask("seal", **common, letters=said)
    assert [side.open(found["sealed"], found["signature"]) for found in theirs] == said

    ours = [side.seal(letter) for letter in said]
    opened = await peer.ask("open", **common, sealed=[sealed for sealed, _ in ours])
    assert [(found["message"], found["id"], found["signature"]) for found in opened] == [
        (letter, receiver, signature) for letter, (_, signature) in zip(said, ours, strict=True)
    ]


@pytest.mark.parametrize(("first", "second"), [(Ours, Platforms), (Platforms, Ours)])
def test_ours_and_the_platforms(first: type[Ours | Platforms], second: type[Ours | Platforms]) -> None:
    key = new_key()
    for receiver in (CORP, ""):
        for letter in letters(3):
            assert second(key, receiver).open(*first(key, receiver).seal(letter)) == letter


def test_tencents_own_sample() -> None:
    """The address check that 加解密方案说明 gives as its sample: both hands read the same echostr."""
    key = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
    echo = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
    stamp, nonce, signature = "1409659589", "263014780", "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3"
    assert Sealer(TOKEN, key, CORP).open(echo, signature, stamp, nonce) == "1616140317555161061"
    query = {"msg_signature": signature, "timestamp": stamp, "nonce": nonce, "echostr": echo}
    assert Seal(TOKEN, key, CORP).greet(query, datetime.fromtimestamp(int(stamp), UTC)) == "1616140317555161061"


def test_what_is_not_for_us_is_refused_by_both() -> None:
    key = new_key()
    sealed, signature = Platforms(key, "another").seal("x")
    with pytest.raises(Refused, match="receiver"):
        Ours(key, CORP).open(sealed, signature)
    with pytest.raises(BadEnvelope, match="receiver"):
        Platforms(key, CORP).open(sealed, signature)
    with pytest.raises(Refused, match="signature"):
        Ours(key, "another").open(sealed, signature[::-1])
    with pytest.raises(BadEnvelope, match="signature"):
        Platforms(key, "another").open(sealed, signature[::-1])
    with pytest.raises(BadEnvelope):
        Platforms(new_key(), "another").open(sealed, signature)
    late = {"msg_signature": signature, "timestamp": STAMP, "nonce": NONCE}
    with pytest.raises(Refused, match="stale"):
        Seal(TOKEN, key, "another").decrypt(sealed, late, START + timedelta(minutes=6))


async def test_co_wechat_opens_ours_and_we_open_its_answer(node: StartPeer) -> None:
    key = new_key()
    peer = await node("official", TOKEN=TOKEN, APP_ID=CORP, AES_KEY=key)
    address, vault = f"http://127.0.0.1:{await peer.ask('listen')}/", Vault(TOKEN, key, CORP)
    async with aiohttp.ClientSession() as session:
        for letter in letters(9, 30):
            words = " ".join(letter.replace("]]>", "").split()) or "空"  # the library trims, and does not split `]]>`
            answer = await _ask_co_wechat(session, address, vault, words)
            assert (answer["Content"], answer["FromUserName"]) == (f"收到：{words}", "gh_1")


async def _ask_co_wechat(session: aiohttp.ClientSession, address: str, vault: Vault, words: str) -> dict[str, Any]:
    letter = write({"ToUserName": "gh_1", "FromUserName": "o1", "MsgType": "text", "Content": words})
    sealed, signature = vault.seal(letter, STAMP, NONCE)
    query = {"timestamp": STAMP, "nonce": NONCE, "encrypt_type": "aes", "msg_signature": signature}
    body = write({"ToUserName": "gh_1", "Encrypt": sealed})
    async with session.post(address, params=query, data=body.encode()) as response:
        assert response.status == 200
        outer = read(await response.text())
    stamp, nonce, encrypted = outer["TimeStamp"], outer["Nonce"], outer["Encrypt"]
    assert outer["MsgSignature"] == signature_of(TOKEN, stamp, nonce, encrypted)
    # Its timestamp is in milliseconds, which is none for us: signed anew, with one of seconds.
    own = {"timestamp": STAMP, "nonce": NONCE, "msg_signature": signature_of(TOKEN, STAMP, NONCE, encrypted)}
    return read(vault.decrypt(encrypted, own, START))
