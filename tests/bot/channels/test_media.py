"""Files: from where they may come, how they are opened, what of them is kept."""

import base64
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bot.channels.media import NotFetched, allowed, cleaned, decrypt, fetch, keep, sniff
from tests.photos import is_bare_and_whole, photo

KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"


@pytest.mark.parametrize(
    "url",
    [
        "https://ww-aibot-img-1.cos.ap.myqcloud.com/a?sign=x", "https://mmbiz.qpic.cn/x", "https://QYAPI.weixin.qq.com/",
        "http://127.0.0.1:8123/file",
    ],
)  # fmt: skip
def test_the_platforms_hosts(url: str) -> None:
    assert allowed(url, ("*.myqcloud.com", "*.qpic.cn", "qyapi.weixin.qq.com", "http://127.0.0.1:8123"))


@pytest.mark.parametrize(
    "url",
    [
        "http://a.myqcloud.com/", "https://myqcloud.com/", "https://evilmyqcloud.com/", "https://a.myqcloud.com.evil.cn/",
        "https://a.myqcloud.com:8443/", "https://u:p@a.myqcloud.com/", "https://evil.cn/@a.myqcloud.com",
        "https://169.254.169.254/latest", "https://127.0.0.1/", "http://127.0.0.1:8123/", "file:///etc/passwd",
        "ftp://a.myqcloud.com/", "//a.myqcloud.com/", "a.myqcloud.com", "", "https://", "https://a.myqcloud.com@evil.cn/",
        "https://[::1]/", "https://a.myqcloud.com\\@evil.cn/", "https://.myqcloud.com.evil.cn",
    ],
)  # fmt: skip
def test_all_other_hosts(url: str) -> None:
    assert not allowed(url)


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    async def good(_request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 100)

    async def away(_request: web.Request) -> web.Response:
        raise web.HTTPFound("/good")

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 4_096)
        except ConnectionError:
            return response

    async def broken(_request: web.Request) -> web.Response:
        return web.Response(status=503)

    app = web.Application()
    app.router.add_get("/good", good)
    app.router.add_get("/away", away)
    app.router.add_get("/endless", endless)
    app.router.add_get("/broken", broken)
    served = TestServer(app)
    await served.start_server()
    yield served
    await served.close()


async def test_what_is_fetched_and_what_is_not(server: TestServer) -> None:
    origin = str(server.make_url("")).rstrip("/")
    assert await fetch(f"{origin}/good", hosts=(origin,), cap=100) == b"x" * 100
    for path, again in (("/good", False), ("/away", False), ("/endless", False), ("/broken", True), ("/none", False)):
        with pytest.raises(NotFetched) as failure:
            await fetch(origin + path, hosts=(origin,), cap=99)
        assert failure.value.again is again
        assert "127.0.0.1" not in str(failure.value)
    with pytest.raises(NotFetched, match="not the platform's"):
        await fetch(f"{origin}/good")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_nobody_is_sent_elsewhere(status: int) -> None:
    """To a small file on another server, that may well be fetched from: it hears nothing of us."""
    hits: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        hits.append(request.path)
        return web.Response(body=b"x")

    async def away(_request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": str(other.make_url("/small"))})

    there, here = web.Application(), web.Application()
    there.router.add_get("/small", elsewhere)
    here.router.add_get("/away", away)
    async with TestServer(there) as other, TestServer(here) as server:
        origins = [str(one.make_url("")).rstrip("/") for one in (server, other)]
        with pytest.raises(NotFetched, match=str(status)):
            await fetch(f"{origins[0]}/away", hosts=origins)
        assert hits == []
        assert await fetch(f"{origins[1]}/small", hosts=origins) == b"x"


def encrypted(data: bytes, key: str = KEY) -> bytes:
    raw = base64.b64decode(key + "=")
    data += bytes([32 - len(data) % 32]) * (32 - len(data) % 32)
    encryptor = Cipher(algorithms.AES(raw), modes.CBC(raw[:16])).encryptor()
    return encryptor.update(data) + encryptor.finalize()


@pytest.mark.parametrize("size", [0, 1, 15, 16, 31, 32, 33, 70_000])
def test_a_bots_file_opens(size: int) -> None:
    data = os.urandom(size)
    assert decrypt(encrypted(data), KEY) == data
    assert decrypt(encrypted(data), KEY + "=") == data


@pytest.mark.parametrize("data", [b"", b"x" * 15, b"x" * 33, bytes(range(64))], ids=["nothing", "15", "33", "64"])
def test_a_file_that_is_not_ours_does_not_open(data: bytes) -> None:
    with pytest.raises(NotFetched):
        decrypt(data, KEY)
    for key in ("", "short", "!" * 43, "A" * 44):
        with pytest.raises(NotFetched):
            decrypt(encrypted(b"x"), key)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_keeps_its_picture_and_not_its_place(kind: str, tmp_path: Path) -> None:
    raw = photo(kind)
    assert b"MAKER" in raw
    media = keep(tmp_path / "media", raw, "我的照片.jpg")
    kept = (tmp_path / "media" / media.path).read_bytes()
    assert is_bare_and_whole(kept)
    assert (media.name, media.mime) == ("我的照片.jpg", "image/png" if kind == "PNG" else "image/jpeg")
    assert keep(tmp_path / "media", raw).path == media.path
    assert len(list((tmp_path / "media").iterdir())) == 1


def test_a_comment_in_a_photo_is_not_kept() -> None:
    """A JPEG's COM, a PNG's texts, an XMP packet: phones and programs write places and names there, too."""
    words, picture = "31.2N 120.5E WANG", Image.new("RGB", (20, 20), "red")
    texts = PngInfo()
    texts.add_text("Comment", words)
    texts.add_itxt("XML:com.adobe.xmp", f"<x>{words}</x>")
    texts.add_text("Description", words, zip=True)
    for kind, more in (
        ("JPEG", {"comment": words, "xmp": words.encode()}),
        ("PNG", {"pnginfo": texts}),
        ("WEBP", {"xmp": words.encode()}),
        ("GIF", {"comment": words}),
    ):
        raw = io.BytesIO()
        picture.save(raw, kind, **more)
        _, kept = cleaned(raw.getvalue())
        assert words.encode() not in kept
        with Image.open(io.BytesIO(kept)) as again:
            again.load()
            assert set(again.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"#!AMR\n123", "amr"), (b"\x02#!SILK_V3", "silk"), (b"ID3\x03", "mp3"), (b"OggS", "ogg"), (b"%PDF-1.7", "pdf"),
        (b"RIFF1234WAVEfmt ", "wav"), (b"MZ\x90\0", None), (b"<svg>", None),
        (b"<html>", None), (b"PK\x03\x04", None), (b"", None), (b'{"errcode":1}', None),
    ],
)  # fmt: skip
def test_the_kind_is_what_the_bytes_say(data: bytes, kind: str | None, tmp_path: Path) -> None:
    assert sniff(data) == kind
    if kind is None:
        with pytest.raises(NotFetched):
            keep(tmp_path, data, "innocent.jpg")
        assert list(tmp_path.iterdir()) == []
    else:
        assert cleaned(data) == (kind, data)


def test_pictures_that_are_none_or_too_large(tmp_path: Path) -> None:
    bomb = io.BytesIO()
    Image.new("1", (8_000, 8_000)).save(bomb, "PNG")
    for data in (photo()[:200], b"\xff\xd8\xff" + b"x" * 50, b"\x89PNG\r\n\x1a\n" + b"\0" * 40, bomb.getvalue()):
        with pytest.raises(NotFetched):
            keep(tmp_path, data)
    assert list(tmp_path.iterdir()) == []
