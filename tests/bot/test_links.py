"""The signed link on a task card."""

import stat
from pathlib import Path

import pytest

from bot import links
from bot.links import Links, linker, secret_of
from config.settings import load_settings


def test_a_token_says_what_it_was_made_for() -> None:
    token = Links("key").make(42, "W01")
    assert Links("key").read(token) == (42, "W01")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "eyJ0IjogMX0"])
def test_what_we_did_not_sign_is_nothing(token: str) -> None:
    assert Links("key").read(token) is None


def test_a_token_of_another_key_is_nothing() -> None:
    assert Links("key").read(Links("other").make(42, "W01")) is None


def test_a_changed_token_is_nothing() -> None:
    token = Links("key").make(42, "W01")
    assert Links("key").read(("A" if token[0] != "A" else "B") + token[1:]) is None


def test_a_token_grows_old(monkeypatch: pytest.MonkeyPatch) -> None:
    token = Links("key").make(42, "W01")
    monkeypatch.setattr(links, "MAX_AGE", -1)
    assert Links("key").read(token) is None


def test_the_address_on_the_card() -> None:
    settings = load_settings(public_url="https://grid.example/")
    made = Links("key")
    address = linker(settings, made)(42, "W01")
    assert address.startswith("https://grid.example/task/")
    assert made.read(address.rsplit("/", maxsplit=1)[1]) == (42, "W01")
    assert linker(settings, None)(42, "W01") == ""


def test_the_demo_keeps_a_key_of_its_own(tmp_path: Path) -> None:
    settings = load_settings(demo=True, home=tmp_path / "home")
    first = secret_of(settings)
    assert first
    assert len(first) > 30
    assert secret_of(settings) == first
    assert stat.S_IMODE((tmp_path / "home" / "secret").stat().st_mode) == 0o600


def test_without_a_key_there_are_no_links(tmp_path: Path) -> None:
    assert secret_of(load_settings(demo=False, home=tmp_path)) is None
    assert secret_of(load_settings(demo=False, home=tmp_path, secret_key="k")) == "k"  # noqa: S106
    assert list(tmp_path.iterdir()) == []
