"""One live server for all tests. Without it they are skipped; with CI=true they fail instead."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.rasa_client import RasaClient
from bot.rasa_engine import RasaEngine
from config.tables import leaves
from nlu.embedded import EmbeddedEngine
from tests.rasa.server import NoRasa, Server
from tests.trained import trained_home


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    try:
        started = Server()
    except NoRasa as why:
        if os.environ.get("CI") == "true":
            pytest.fail(str(why), pytrace=False)
        pytest.skip(str(why))
    yield started
    started.stop()


@pytest.fixture(scope="session")
def own() -> EmbeddedEngine:
    """The embedded engine, trained once a machine."""
    return EmbeddedEngine.ready(Path(trained_home()), leaves())


@pytest.fixture
def client(server: Server) -> Iterator[RasaClient]:
    made = RasaClient(server.settings(), server.token, leaves())
    yield made
    made.close()


@pytest.fixture
def engine(client: RasaClient, own: EmbeddedEngine) -> RasaEngine:
    return RasaEngine(client, own)
