"""The second engine: Rasa's intents, kinds and entities over the embedded engine, which answers alone when Rasa does
not. A message is never lost or kept waiting for Rasa's sake."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import structlog

from bot import metrics
from bot.rasa_client import Failure, RasaClient
from config.settings import Settings
from config.tables import leaves
from nlu.rasa_answer import Reply, combined
from nlu.types import Engine, Names, Understanding, Utterance
from nlu.wording import as_rasa_reads, fits

log = structlog.get_logger(__name__)
UNDERSTOOD, UNFIT = "understood", "unfit"


class Asked(Protocol):
    """Who answers for Rasa: `RasaClient`, or a double."""

    def ask(self, texts: Sequence[str]) -> list[Reply | Failure]:
        """See `RasaClient.ask`."""
        ...

    def close(self) -> None:
        """See `RasaClient.close`."""
        ...


class RasaEngine:
    """An `nlu.types.Engine`; blocks while it asks, as the worker's thread may."""

    name = "rasa"

    def __init__(self, rasa: Asked, own: Engine) -> None:
        """own: the engine in this process, for what Rasa does not say and for when it says nothing."""
        self._rasa = rasa
        self._own = own
        self._answering = True

    def parse(self, batch: Sequence[Utterance], names: Names) -> list[Understanding]:
        """See `nlu.types.Engine`. Every failure of Rasa is counted, and the embedded engine's answer stands instead."""
        found = self._own.parse(batch, names)
        texts = [as_rasa_reads(utterance.text) for utterance in batch]
        asked = [place for place, text in enumerate(texts) if fits(text)]
        metrics.rasa.labels(UNFIT).inc(len(batch) - len(asked))
        for place, reply in zip(asked, self._rasa.ask([texts[place] for place in asked]), strict=True):
            if isinstance(reply, Failure):
                metrics.rasa.labels(reply.why).inc()
                self._tell(False, reply.why)
            else:
                metrics.rasa.labels(UNDERSTOOD).inc()
                self._tell(True)
                found[place] = combined(found[place], reply, batch[place].text)
        return found

    def again(self, words: Utterance, names: Names) -> Understanding:
        """See `nlu.types.Engine`. Nobody waits for Rasa inside a transaction: the own engine answers."""
        return self._own.again(words, names)

    def close(self) -> None:
        """Let go of the server."""
        self._rasa.close()

    def _tell(self, answering: bool, why: str = "") -> None:
        """Once when Rasa goes, and once when it is back; the metric has each message."""
        if answering and not self._answering:
            log.info("rasa.back")
        elif self._answering and not answering:
            log.warning("rasa.silent", why=why)
        self._answering = answering


def token(settings: Settings) -> str:
    """The token of the settings, else the one that `make rasa-serve` left in the data folder, else none."""
    if settings.rasa.token is not None:
        return settings.rasa.token.get_secret_value()
    file = token_file(settings.home)
    return file.read_text(encoding="ascii").strip() if file.is_file() else ""


def token_file(home: Path) -> Path:
    """Where `make rasa-serve` keeps the token that it made."""
    return home / "rasa" / "token"


def over(settings: Settings, own: Engine) -> RasaEngine:
    """The engine of the settings over the embedded one. Connects to nothing yet."""
    return RasaEngine(RasaClient(settings.rasa, token(settings), leaves()), own)


@contextmanager
def chosen(settings: Settings, own: Engine) -> Iterator[Engine]:
    """The engine that the settings choose, for as long as a command lasts."""
    if settings.nlu == "embedded":
        yield own
        return
    engine = over(settings, own)
    try:
        yield engine
    finally:
        engine.close()
