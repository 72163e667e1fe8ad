"""Pictures, voices and files of the platforms: fetched from their own hosts only, decrypted, cleaned, kept.

Platform pages: 101039 and 101463 (addresses live five minutes, bytes are AES-256-CBC), 90253 获取临时素材.
"""

import base64
import hashlib
import io
import os
import tempfile
import warnings
from binascii import Error as Base64Error
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import aiohttp
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from PIL import Image, ImageOps, UnidentifiedImageError
from yarl import URL

from bot.channels import videos
from models.message import Media

# https only. An entry that begins with a scheme is one exact origin: the test platform's.
HOSTS = ("*.myqcloud.com", "*.qpic.cn", "qyapi.weixin.qq.com", "api.weixin.qq.com")
CAP = 20 * 1024 * 1024  # bytes
PIXELS = 50_000_000  # more is no photo of a phone
QUALITY = 90  # of a JPEG saved again
SECONDS = 30.0
BLOCK = 32  # the padding's; the cipher's own is 16

# Kind of file → its MIME type.
MIME = {
    "jpg": "image/jpeg", "png": "image/png", "amr": "audio/amr", "silk": "audio/silk", "mp3": "audio/mpeg",
    "ogg": "audio/ogg", "wav": "audio/wav", "mp4": "video/mp4", "pdf": "application/pdf",
}  # fmt: skip
_PICTURES = {"jpg": "jpg", "webp": "jpg", "png": "png", "gif": "png"}  # as what each is saved again
_BEGINS = (
    (b"\xff\xd8\xff", "jpg"), (b"\x89PNG\r\n\x1a\n", "png"), (b"GIF87a", "gif"), (b"GIF89a", "gif"),
    (b"#!AMR", "amr"), (b"\x02#!SILK", "silk"), (b"#!SILK", "silk"), (b"ID3", "mp3"), (b"OggS", "ogg"),
    (b"%PDF-", "pdf"), (b"\xff\xfb", "mp3"), (b"\xff\xf3", "mp3"), (b"\xff\xf2", "mp3"),
)  # fmt: skip


class NotFetched(Exception):
    """The file could not be had. The message holds neither address nor content. again: a later try may help. hours:
    for so much longer than usual, because somebody has yet to bring it."""

    def __init__(self, reason: str, *, again: bool = False, hours: int = 0) -> None:
        super().__init__(reason)
        self.again = again
        self.hours = hours


def allowed(url: str, hosts: Sequence[str] = HOSTS) -> bool:
    """Whether something may be fetched from there, or posted there."""
    try:
        address = URL(url)
        origin = str(address.origin())
        host = (address.host or "").lower().rstrip(".")
    except ValueError:
        return False
    if address.user is not None or address.password is not None or not host:
        return False
    if origin in (entry for entry in hosts if "://" in entry):
        return True
    if address.scheme != "https" or address.port != 443:
        return False
    named = host in hosts
    return named or any(entry.startswith("*.") and host.endswith(entry[1:]) for entry in hosts)


async def fetch(
    url: str, *, hosts: Sequence[str] = HOSTS, cap: int = CAP, session: aiohttp.ClientSession | None = None
) -> bytes:
    """The bytes at `url`: https, an allowed host, no redirect, at most `cap` bytes. Raises NotFetched."""
    if not allowed(url, hosts):
        raise NotFetched("the address is not the platform's")
    if session is not None:
        return await _fetch(url, cap, session)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as own:
        return await _fetch(url, cap, own)


async def _fetch(url: str, cap: int, session: aiohttp.ClientSession) -> bytes:
    body = bytearray()
    timeout = aiohttp.ClientTimeout(total=SECONDS, connect=5.0)
    # Causes are cut off: aiohttp's errors hold the address, and it is signed.
    try:
        async with session.get(url, allow_redirects=False, timeout=timeout) as response:
            if response.status != 200:
                raise NotFetched(f"HTTP {response.status}", again=response.status >= 500)
            if (response.content_length or 0) > cap:
                raise NotFetched("too large")
            async for chunk in response.content.iter_chunked(64 * 1024):
                body += chunk
                if len(body) > cap:
                    raise NotFetched("too large")
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise NotFetched(type(error).__name__, again=True) from None
    return bytes(body)


def decrypt(data: bytes, aes_key: str) -> bytes:
    """A bot's file in the clear: AES-256-CBC, IV = first 16 bytes of the key, PKCS#7 to 32 bytes.

    aes_key: the EncodingAESKey (43 characters) or the message's own `aeskey`. Raises NotFetched.
    """
    try:
        key = base64.b64decode(aes_key + "=" * (-len(aes_key) % 4), validate=True)
    except (Base64Error, ValueError):
        raise NotFetched("the key is none") from None
    if len(key) != 32 or not data or len(data) % 16:
        raise NotFetched("the file is not encrypted with such a key")
    decryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
    clear = decryptor.update(data) + decryptor.finalize()
    padding = clear[-1]
    if not 1 <= padding <= BLOCK or clear[-padding:] != bytes([padding]) * padding:
        raise NotFetched("the file is not encrypted with this key")
    return clear[:-padding]


def sniff(data: bytes) -> str | None:
    """The kind of file by its first bytes, whatever it is called; None for one that nobody sends here."""
    for begin, kind in _BEGINS:
        if data.startswith(begin):
            return kind
    if data[4:8] == b"ftyp":
        return videos.kind(data)
    if data[:4] == b"RIFF":
        return {b"WEBP": "webp", b"WAVE": "wav"}.get(data[8:12])
    return None


def cleaned(data: bytes) -> tuple[str, bytes]:
    """(kind, bytes) of a file to be kept: a picture saved anew, upright, without EXIF (where and with what it was
    taken) and comments, the first of several frames; a video without what is told beside it (the same); everything else
    as it came. Raises NotFetched."""
    kind = sniff(data)
    if kind is None:
        raise NotFetched("a kind of file that is not kept")
    if kind == "heif":
        raise NotFetched("a HEIC or AVIF photo: its position cannot be taken off; as JPEG it is kept")
    if kind == "mp4":
        try:
            return kind, videos.bare(data)
        except videos.Broken:
            raise NotFetched("the video cannot be read") from None
    if kind not in _PICTURES:
        return kind, data
    kind = _PICTURES[kind]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what is wrong in a file that is saved anew all the same
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "GIF", "WEBP")) as picture:
                if picture.width * picture.height > PIXELS:
                    raise NotFetched("the picture is too large")
                upright = ImageOps.exif_transpose(picture)
            clear = kind == "png" and ("transparency" in upright.info or "A" in upright.mode)
            bare = upright.convert("RGBA" if clear else "RGB")
            bare.info.clear()  # comments, texts: what is saved anew takes them along
            made = io.BytesIO()
            bare.save(made, "PNG" if kind == "png" else "JPEG", quality=QUALITY)  # which PNG does not ask for
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError):
        raise NotFetched("the picture cannot be read") from None
    return kind, made.getvalue()


def keep(folder: Path, data: bytes, name: str = "") -> Media:
    """Write a file under its content's hash and have it on disk before returning; pictures and videos without position.

    folder: the data folder's media/. name: what the sender called it, for the record only. Blocking: call it in a
    thread. Raises NotFetched for a kind of file that nobody sends.
    """
    kind, data = cleaned(data)
    return Media(name=name[:100], path=written(folder, data, kind), mime=MIME[kind])


def written(folder: Path, data: bytes, kind: str) -> str:
    """The name under which the bytes lie in `folder`, made of their hash: written once, on disk before returning."""
    path = folder / f"{hashlib.sha256(data).hexdigest()}.{kind}"
    with suppress(FileNotFoundError):
        os.utime(path)  # wanted again: `bot.leftovers` lets it lie until a row names it
        return path.name
    folder.mkdir(parents=True, exist_ok=True)
    # Written beside and renamed: nobody ever reads half a file, and two that keep the same one do not meet.
    handle, beside = tempfile.mkstemp(dir=folder, prefix=".kept-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(path)
    finally:
        Path(beside).unlink(missing_ok=True)
    return path.name
