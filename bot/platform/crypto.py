"""The platform's half of the encrypted callbacks, written apart from the app's.

Source: 企业微信 加解密方案说明 (90968), 公众号 消息加解密说明. AES-256-CBC, IV = the key's first 16 bytes; inside
stand 16 random bytes, the length (uint32, big-endian), the letter in UTF-8 and the receiver; padded (PKCS#7) to 32.
"""

import base64
import hashlib
import secrets

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

BLOCK = 32
ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class BadEnvelope(Exception):
    """What the app answered cannot be opened; the message says why."""


def random_word(length: int) -> str:
    """Letters and digits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def new_key() -> str:
    """An EncodingAESKey: 43 characters, 32 bytes."""
    return base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def signature(*parts: str) -> str:
    """SHA-1 over the sorted parts, as hex."""
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()  # noqa: S324 - the platform's own signature


def lock(key: bytes, plain: bytes) -> bytes:
    """Pad and encrypt. key: 32 bytes."""
    fill = BLOCK - len(plain) % BLOCK
    machine = Cipher(AES(key), CBC(key[:16])).encryptor()
    return machine.update(plain + bytes([fill]) * fill) + machine.finalize()


def unlock(key: bytes, sealed: bytes) -> bytes:
    """Decrypt and take the padding off. Raises BadEnvelope."""
    if not sealed or len(sealed) % 16:
        raise BadEnvelope("no whole blocks")
    machine = Cipher(AES(key), CBC(key[:16])).decryptor()
    plain = machine.update(sealed) + machine.finalize()
    fill = plain[-1]
    if not 1 <= fill <= BLOCK or plain[-fill:] != bytes([fill]) * fill:
        raise BadEnvelope("the padding is wrong: another key?")
    return plain[:-fill]


class Sealer:
    """Letters of one account. receiver: app id, corp id, or "" for an AI bot."""

    def __init__(self, token: str, aes_key: str, receiver: str) -> None:
        self.token = token
        self.receiver = receiver
        self.key = base64.b64decode(aes_key + "=")

    def seal(self, letter: str) -> str:
        """Base64 of the encrypted letter."""
        raw = letter.encode()
        plain = secrets.token_bytes(16) + len(raw).to_bytes(4, "big") + raw + self.receiver.encode()
        return base64.b64encode(lock(self.key, plain)).decode()

    def sign(self, timestamp: str, nonce: str, sealed: str) -> str:
        """The msg_signature that belongs to a sealed letter."""
        return signature(self.token, timestamp, nonce, sealed)

    def open(self, sealed: str, given: str, timestamp: str, nonce: str) -> str:
        """The letter of an answer. given: its signature. Raises BadEnvelope."""
        if self.sign(timestamp, nonce, sealed) != given:
            raise BadEnvelope("the signature is wrong")
        try:
            plain = unlock(self.key, base64.b64decode(sealed, validate=True))
            length = int.from_bytes(plain[16:20], "big")
            letter, receiver = plain[20 : 20 + length].decode(), plain[20 + length :].decode()
        except ValueError as error:
            raise BadEnvelope(f"not readable ({type(error).__name__})") from None
        if len(plain) < 20 + length:
            raise BadEnvelope("the length is wrong")
        if receiver != self.receiver:
            raise BadEnvelope("it is for another receiver")
        return letter
