"""The demo town with the real engine in it, for tests that read as chats."""

import re
from collections.abc import Iterator

import pytest

from config.tables import leaves
from handlers.masking import masked
from handlers.town import Town
from models.database import Database
from nlu.embedded import EmbeddedEngine
from tests.conftest import HandClock
from tests.scenario.chat import Scene
from tests.scenario.phone import CHANNEL, Make, Phone
from tests.trained import trained_home

SAID = re.compile(r"LS\d+|110/119/120")
# Of its own accord the bot says even less than may be shown: no bare number that could be a flat's, and no count of 户.
PERHAPS = re.compile(r"(?<![\d:])\d{3,4}(?![\d:])|\d\s?[室户]|\d-\d+-\d")


@pytest.fixture(scope="session")
def engine() -> EmbeddedEngine:
    """The embedded engine, trained once a machine for the data and code as they are; processes wait for one another."""
    return EmbeddedEngine.ready(trained_home(), leaves())


@pytest.fixture
def chat(town_db: Database, demo_town: Town, engine: EmbeddedEngine, clock: HandClock) -> Iterator[Scene]:
    """One story in the demo town. However it goes, no group may have been told a name, a phone or a room."""
    scene = Scene(town_db, demo_town, engine, clock)
    yield scene
    assert told_too_much(scene) == []


@pytest.fixture
def phone(chat: Scene) -> Make:
    """`phone(user, channel)`: somebody's phone, on a Monday evening."""
    chat.at("2026-03-02 19:46")
    return lambda user, channel=CHANNEL: Phone(chat, user, channel)


def told_too_much(scene: Scene) -> list[str]:
    """The bot's lines in groups that hold a person's name of the town, a phone number or a room number."""
    groups = scene.chats()
    places = " ".join(f"{place.name}|{place.aliases}" for place in scene.town.places.values())
    # A shopkeeper may be called as her shop is; the shop may be named.
    names = [person.name for person in scene.town.people.values() if person.name not in places]
    found = []
    for line in scene.lines():
        if line.chat not in groups:
            continue
        plain = SAID.sub("", line.text)
        private = any(name in plain for name in names) or masked(plain) != plain or PERHAPS.search(plain)
        if line.is_alert or private:
            found.append(line.text)
    return found
