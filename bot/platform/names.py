"""Ids and secrets of the platform's accounts, all out of one seed: with the same seed a restarted platform is the same
one to a bot that was set up for it."""

import base64
import hashlib
import secrets

from bot.platform.crypto import ALPHABET


class Names:
    """Everything that accounts are called. seed: none for names that nobody can guess."""

    def __init__(self, seed: str | None = None) -> None:
        self._seed = seed or secrets.token_hex(16)

    def bytes(self, what: str, length: int) -> bytes:
        """Bytes of this name, the same for the same seed."""
        return hashlib.shake_256(f"{self._seed} {what}".encode()).digest(length)

    def word(self, what: str, length: int) -> str:
        """Letters and digits."""
        return "".join(ALPHABET[byte % len(ALPHABET)] for byte in self.bytes(what, length))

    def hex(self, what: str, length: int) -> str:
        """Hexadecimal digits."""
        return self.bytes(what, length).hex()[:length]

    def key(self, what: str) -> str:
        """An EncodingAESKey: 43 characters of base64."""
        return base64.b64encode(self.bytes(what, 32)).decode().rstrip("=")
