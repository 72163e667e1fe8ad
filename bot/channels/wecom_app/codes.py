"""A response_code in the database: sealed with a key made of the app's secret, so that the database alone has none."""

import base64

import structlog
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

log = structlog.get_logger(__name__)


class Codes:
    """Seals and opens."""

    def __init__(self, secret: str) -> None:
        """secret: the app's."""
        key = HKDF(SHA256(), 32, salt=None, info=b"wecom_app response_code").derive(secret.encode())
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def seal(self, code: str) -> str:
        """As it may be kept; "" for none."""
        return self._fernet.encrypt(code.encode()).decode() if code else ""

    def open(self, sealed: str) -> str:
        """The code; "" for none, and for one of another secret."""
        if not sealed:
            return ""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            log.info("wecom_app.code_of_another_secret")
            return ""
