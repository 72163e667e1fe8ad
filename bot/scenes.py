"""QR scenes (带参数的二维码): which grid or building a code in a stairway stands for, signed: none can be made up.

A scene reaches us through the platform, but in 微信客服 it is a part of an address that anybody may change. Platform
pages: 生成带参数的二维码 (scene_str: 1 to 64 characters), kf/add_contact_way (scene_param: URL-encoded).
What was read goes to the handlers as `Incoming.platform["scene"]`: `place:P-LA-B03`, `grid:QX-01`, `code:12345678`.
"""

import base64
import hashlib
import hmac

import sqlalchemy as sa
from sqlmodel import Session, col

from models.grid import Grid, Place

LONGEST = 64  # characters
SIGNATURE = 10  # characters of base32: 50 bits, and each guess is a scan
LETTERS = {"grid": "g", "place": "p", "code": "c"}
KINDS = {letter: kind for kind, letter in LETTERS.items()}


class BadScene(ValueError):
    """No scene can be made of this; the message says why."""


class Scenes:
    """Makes and reads scenes. secret: the deployment's own, as for links."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(b"linsheng.scene\0" + secret.encode()).digest()

    def make(self, scene: str) -> str:
        """What goes into the QR code. scene: `place:CODE`, `grid:CODE` or `code:CODE`. Raises BadScene."""
        kind, _, code = scene.partition(":")
        if kind not in LETTERS or not code:
            raise BadScene(f"{scene}: a scene is place:CODE, grid:CODE or code:CODE")
        named = f"{LETTERS[kind]}.{code}"
        made = f"{named}.{self._sign(named)}"
        if len(made) > LONGEST:
            raise BadScene(f"{scene}: a code has at most {LONGEST - SIGNATURE - 3} characters here")
        return made

    def read(self, told: str) -> str | None:
        """The scene, as `make` was given it; None when we did not make it."""
        named, _, signature = told.rpartition(".")
        if len(told) > LONGEST or not hmac.compare_digest(_bytes(signature), self._sign(named).encode()):
            return None
        letter, _, code = named.partition(".")
        return f"{KINDS[letter]}:{code}" if letter in KINDS else None

    def _sign(self, named: str) -> str:
        return base64.b32encode(hmac.digest(self._key, _bytes(named), "sha256")).decode()[:SIGNATURE].lower()


def _bytes(text: str) -> bytes:
    return text.encode(errors="backslashreplace")


def there(session: Session, scene: str) -> bool:
    """The town has this grid or place. What a one-time code is good for, its own table says."""
    kind, _, code = scene.partition(":")
    column = {"grid": col(Grid.code), "place": col(Place.code)}.get(kind)
    if column is None:
        return kind == "code"
    return session.scalars(sa.select(column).where(column == code)).first() is not None
