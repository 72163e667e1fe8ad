"""Kinds of values that several settings share, each with the sentence that says what is wrong."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

_AES_KEY = re.compile(r"[A-Za-z0-9+/]{43}")


def _is_aes_key(value: SecretStr) -> SecretStr:
    if not _AES_KEY.fullmatch(value.get_secret_value()):
        raise ValueError("an EncodingAESKey has 43 characters: letters, digits, + and /")
    return value


def _address(value: str, schemes: tuple[str, ...], example: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"must be an address like {example}")
    return value.rstrip("/")


def _is_http(value: str) -> str:
    return _address(value, ("http", "https"), "https://example.cn or http://127.0.0.1:8080")


def _is_socket(value: str) -> str:
    return _address(value, ("ws", "wss"), "wss://example.cn")


AesKey = Annotated[SecretStr, AfterValidator(_is_aes_key)]
HttpAddress = Annotated[str, AfterValidator(_is_http)]
SocketAddress = Annotated[str, AfterValidator(_is_socket)]
