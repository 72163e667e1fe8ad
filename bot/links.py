"""The signed link on a task card: it says which ticket and which worker, and nobody can make one up.

A link is shown in a chat and may be passed on: what the page lets one do is checked against the worker's duties.
"""

import os
import secrets
from pathlib import Path

from itsdangerous import BadSignature, URLSafeTimedSerializer

from config.settings import Settings
from handlers.desk import Linker, no_link

MAX_AGE = 14 * 24 * 3600  # seconds
SALT = "linsheng.task"


class Links:
    """Makes and reads the tokens."""

    def __init__(self, secret: str) -> None:
        self._serializer = URLSafeTimedSerializer(secret, salt=SALT)

    def make(self, ticket: int, person: str) -> str:
        """A token for the address; letters, digits, `-`, `_` and `.` only."""
        return self._serializer.dumps({"t": ticket, "p": person})

    def read(self, token: str) -> tuple[int, str] | None:
        """(ticket, person) of a token; None when it is not ours, or older than 14 days."""
        try:
            found = self._serializer.loads(token, max_age=MAX_AGE)
        except BadSignature:
            return None
        if not isinstance(found, dict):
            return None
        ticket, person = found.get("t"), found.get("p")
        return (ticket, person) if isinstance(ticket, int) and isinstance(person, str) else None


def secret_of(settings: Settings) -> str | None:
    """What links are signed with: the setting; in the demo a key made once and kept in the data folder; else None."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value() or None
    return _kept(settings.home / "secret") if settings.demo else None


def _kept(file: Path) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text(encoding="ascii")
    with os.fdopen(handle, "w", encoding="ascii") as new:
        new.write(secrets.token_urlsafe(32))
    return file.read_text(encoding="ascii")


def linker(settings: Settings, links: Links | None) -> Linker:
    """The address on the card, as the handlers ask for it; no address where links are off."""
    if links is None:
        return no_link
    base = settings.public_url.rstrip("/")
    return lambda ticket, person: f"{base}/task/{links.make(ticket, person)}"
