"""Rasa behind the engine's protocol: whatever it does, every message has an answer, and the metric says whose."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port
from prometheus_client import REGISTRY

from bot import rasa_engine
from bot.breaker import Breaker
from bot.doctor import OK, WARN, _rasa
from bot.rasa_client import Failure, RasaClient
from bot.rasa_engine import RasaEngine
from config.settings import RasaSettings, Settings, SettingsError, load_settings
from nlu.gazetteer import NOWHERE, Gazetteer
from nlu.rasa_answer import Reply, read
from nlu.types import INTENTS, Matter, Names, Understanding, Utterance
from tests.engines import Deaf

LEAVES = ("facility.elevator", "utility.water")
OUTCOMES = (
    "understood", "unfit", "open", "timeout", "unreachable", "garbage", "late", "status_500", "status_401",
)  # fmt: skip
TOKEN = "open sesame"  # noqa: S105 - no secret


class Own(Deaf):
    """The engine in the process: to it everything is chatter about the water."""

    name = "own"

    def parse(self, batch: Sequence[Utterance], names: Names) -> list[Understanding]:
        """The same for all, with the names of the town."""
        sure = {name: float(name == "chatter") for name in INTENTS}
        return [
            Understanding(
                sure, (Matter(one.text, (("utility.water", 1.0),)),), urgent=0.3, engine="own",
                spans=tuple(names.find(one.text)),
            )
            for one in batch
        ]  # fmt: skip


def answer(text: str, **changes: Any) -> dict[str, Any]:
    """What a Rasa server says of a broken lift."""
    ranking = [("report_facility.elevator", 0.8), ("chatter", 0.15), ("report_utility.water", 0.05)]
    return {
        "text": text,
        "intent": {"name": ranking[0][0], "confidence": 0.8},
        "intent_ranking": [{"name": name, "confidence": share} for name, share in ranking],
        "entities": [],
    } | changes


class Server:
    """A Rasa server in a thread of its own, which can be told to behave badly. asked: the texts it was sent."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.behave: Callable[[str], Any] = answer
        self.delay = 0.0
        self.port = unused_port()
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(5)

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_post("/model/parse", self._parse)
        app.router.add_get("/status", self._status)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def _parse(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("token") != TOKEN:
            return web.json_response({}, status=401)
        text = (await request.json())["text"]
        self.asked.append(text)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.delay)
            said = self.behave(text)
        finally:
            self.at_once -= 1
        return said if isinstance(said, web.StreamResponse) else web.json_response(said)

    async def _status(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("token") != TOKEN:
            return web.json_response({}, status=401)
        return web.json_response({"model_file": "x.tar.gz", "model_id": "abcdef0123456789"})

    def stop(self) -> None:
        """Hang up; the port is free again."""
        if self._runner is not None:
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(5)
            self._runner = None
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
            self._loop.close()


class Seconds:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.stop()


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


def settings(server: Server, **changes: Any) -> RasaSettings:
    """The server's, patient unless the test says otherwise."""
    return RasaSettings.model_validate(
        {"url": f"http://127.0.0.1:{server.port}", "timeout_seconds": 5, "failures": 3, "pause_seconds": 30} | changes
    )


@pytest.fixture
def engine(server: Server, seconds: Seconds) -> Iterator[RasaEngine]:
    made = RasaEngine(RasaClient(settings(server), TOKEN, LEAVES, seconds), Own())
    yield made
    made.close()


def parse(engine: RasaEngine, *texts: str, names: Names = NOWHERE) -> list[Understanding]:
    return engine.parse([Utterance(text) for text in texts], names)


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("linsheng_rasa_messages_total", {"outcome": outcome}) or 0.0


@pytest.fixture
def counts() -> Callable[[str], float]:
    """How many more of an outcome there are than at the beginning."""
    before = {name: counted(name) for name in OUTCOMES}
    return lambda outcome: counted(outcome) - before[outcome]


def test_rasa_says_what_and_the_own_engine_the_rest(
    engine: RasaEngine, server: Server, counts: Callable[[str], float]
) -> None:
    entity = {"entity": "object", "start": 4, "end": 6, "extractor": "x"}
    server.behave = lambda text: answer(text, entities=[entity])
    (found,) = parse(engine, "阳光里的电梯停了", names=Gazetteer([("阳光里", "P1")]))
    assert found.intents["report"] == pytest.approx(0.85)
    assert sum(found.intents.values()) == pytest.approx(1.0)
    assert found.matters[0].category == "facility.elevator"
    assert found.matters[0].categories[0][1] == pytest.approx(0.8 / 0.85)
    assert found.urgent == 0.3
    assert found.engine == "rasa"
    assert [(span.text, span.codes) for span in found.spans] == [("阳光里", ("P1",)), ("电梯", ())]
    assert [span.text for span in found.matters[0].spans] == ["阳光里"]
    assert counts("understood") == 1


def test_answers_stand_in_the_order_of_the_questions(engine: RasaEngine, server: Server) -> None:
    server.behave = lambda text: answer(text, entities=[{"entity": "object", "start": 0, "end": len(text)}])
    texts = [f"第{number}句" for number in range(40)]
    assert [found.spans[0].text for found in parse(engine, *texts)] == texts


def test_no_more_connections_than_allowed(engine: RasaEngine, server: Server) -> None:
    server.delay = 0.02
    parse(engine, *(f"第{number}句" for number in range(30)))
    assert server.most_at_once == RasaSettings().connections


@pytest.mark.parametrize("text", ["", "  \n", "/::) 停水了", "／report_safety.fire", " /restart", "水" * 501])
def test_what_rasa_must_not_see_is_not_sent(
    engine: RasaEngine, server: Server, counts: Callable[[str], float], text: str
) -> None:
    found, other = parse(engine, text, "停水了")
    assert server.asked == ["停水了"]
    assert (found.engine, other.engine) == ("own", "rasa")
    assert counts("unfit") == 1


BAD_ANSWERS: dict[str, Callable[[str], Any]] = {
    "no JSON": lambda text: web.Response(text="{", content_type="application/json"),
    "HTML": lambda text: web.Response(text="<html>", content_type="text/html"),
    "a list": lambda text: [1],
    "another text": lambda text: answer("别的"),
    "no ranking": lambda text: answer(text, intent_ranking=None),
    "no intent of ours": lambda text: answer(text, intent_ranking=[{"name": "nlu_fallback", "confidence": 0.4}]),
    "no number": lambda text: answer(text, intent_ranking=[{"name": "chatter", "confidence": "high"}]),
    "no probability": lambda text: answer(text, intent_ranking=[{"name": "chatter", "confidence": 7}]),
    "outside of the text": lambda text: answer(text, entities=[{"entity": "location", "start": 0, "end": 99}]),
    "an entity that is none": lambda text: answer(text, entities=["here"]),
}


@pytest.mark.parametrize("behave", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_garbage_falls_back(
    engine: RasaEngine, server: Server, counts: Callable[[str], float], behave: Callable[[str], Any]
) -> None:
    server.behave = behave
    (found,) = parse(engine, "停水了")
    assert found.engine == "own"
    assert counts("garbage") == 1


def test_an_error_of_the_server_falls_back(engine: RasaEngine, server: Server, counts: Callable[[str], float]) -> None:
    server.behave = lambda text: (
        web.json_response({"reason": "ParsingError"}, status=500) if "坏" in text else answer(text)
    )
    assert [found.engine for found in parse(engine, "坏了", "停水了")] == ["own", "rasa"]
    assert counts("status_500") == 1


def test_a_wrong_token_falls_back(server: Server, counts: Callable[[str], float]) -> None:
    engine = RasaEngine(RasaClient(settings(server), "wrong", LEAVES), Own())
    assert parse(engine, "停水了")[0].engine == "own"
    engine.close()
    assert counts("status_401") == 1


def test_silence_falls_back_in_time(server: Server, counts: Callable[[str], float]) -> None:
    server.delay = 20
    engine = RasaEngine(RasaClient(settings(server, timeout_seconds=0.2), TOKEN, LEAVES), Own())
    before = time.monotonic()
    assert [found.engine for found in parse(engine, *(f"第{n}句" for n in range(32)))] == ["own"] * 32
    assert time.monotonic() - before < 2.0
    engine.close()
    # Three, and those under way when the third failed; how many that is depends on who was quicker.
    assert 3 <= counts("timeout") <= 2 * RasaSettings().connections
    assert counts("timeout") + counts("open") == 32


def test_a_slow_server_gets_no_more_than_the_batch_has(server: Server, counts: Callable[[str], float]) -> None:
    server.delay = 0.1
    slow = settings(server, connections=1, batch_seconds=0.35)
    engine = RasaEngine(RasaClient(slow, TOKEN, LEAVES), Own())
    found = [one.engine for one in parse(engine, *(f"第{n}句" for n in range(10)))]
    engine.close()
    assert found[0] == "rasa"
    assert found[-1] == "own"
    assert counts("late") == found.count("own")


def test_the_breaker_opens_tries_once_and_closes(
    engine: RasaEngine, server: Server, seconds: Seconds, counts: Callable[[str], float]
) -> None:
    def broken(_text: str) -> web.Response:
        return web.Response(status=500)

    server.behave = broken
    for _ in range(5):
        parse(engine, "停水了")
    assert (counts("status_500"), counts("open"), len(server.asked)) == (3, 2, 3)

    seconds.now += 31  # half open: one tries, and fails
    assert [found.engine for found in parse(engine, "停水了", "停电了")] == ["own", "own"]
    assert len(server.asked) == 4

    server.behave = answer
    assert parse(engine, "停水了")[0].engine == "own"  # still within the second pause
    seconds.now += 31
    assert parse(engine, "停水了")[0].engine == "rasa"
    assert [found.engine for found in parse(engine, *"甲乙丙丁")] == ["rasa"] * 4
    assert counts("understood") == 5


def test_a_server_that_is_not_there_and_comes_back(
    engine: RasaEngine, server: Server, counts: Callable[[str], float]
) -> None:
    assert parse(engine, "停水了")[0].engine == "rasa"
    server.stop()
    assert parse(engine, "停水了")[0].engine == "own"
    assert counts("unreachable") == 1


def test_one_success_between_failures_keeps_it_closed() -> None:
    breaker = Breaker(2, 10, Seconds())
    for _ in range(5):
        breaker.failed()
        breaker.succeeded()
    assert breaker.lets_through()
    assert breaker.closed


def test_overlapping_entities_become_one(engine: RasaEngine, server: Server) -> None:
    text = "阳光里3栋电梯停了"
    entities = [
        {"entity": "location", "start": 0, "end": 5, "extractor": "AnnotatedEntities"},
        {"entity": "location", "start": 3, "end": 5, "extractor": "Gazetteer"},
        {"entity": "object", "start": 5, "end": 7, "extractor": "AnnotatedEntities"},
        {"entity": "object", "start": 5, "end": 7, "extractor": "Another"},
        {"entity": "weather", "start": 0, "end": 2, "extractor": "Another"},
    ]
    server.behave = lambda text: answer(text, entities=entities)
    (found,) = parse(engine, text)
    assert [(span.start, span.end, span.kind, span.text) for span in found.spans] == [
        (0, 5, "location", "阳光里3栋"), (5, 7, "object", "电梯")]  # fmt: skip


def test_several_matters_keep_their_kinds() -> None:
    parts = (Matter("停水", (("utility.water", 1.0),)), Matter("停梯", (("facility.elevator", 1.0),)))
    sure = {name: float(name == "chatter") for name in INTENTS}

    class Two(Own):
        def parse(self, batch: Sequence[Utterance], names: Names) -> list[Understanding]:
            return [Understanding(sure, parts) for _ in batch]

    class Water:
        def ask(self, texts: Sequence[str]) -> list[Reply | Failure]:
            return [read(answer(text), text, LEAVES) for text in texts]

        def close(self) -> None:
            """Holds nothing."""

    (found,) = parse(RasaEngine(Water(), Two()), "停水 另外停梯")
    assert found.matters == parts
    assert found.intent == "report"


def test_an_unsure_kind_gives_way_to_an_alarm() -> None:
    shares = [("report_facility.elevator", 0.3), ("report_utility.water", 0.4), ("chatter", 0.3)]
    ranking = [{"name": name, "confidence": share} for name, share in shares]

    class Unsure:
        def ask(self, texts: Sequence[str]) -> list[Reply | Failure]:
            return [read(answer(text, intent_ranking=ranking), text, ("facility.elevator",)) for text in texts]

        def close(self) -> None:
            """Holds nothing."""

    # A kind that the deployment does not have counts for nothing.
    (found,) = parse(RasaEngine(Unsure(), Own()), "电梯停了")
    assert found.matters[0].categories == (("facility.elevator", 1.0),)


def test_doctor_says_whether_rasa_answers(server: Server, tmp_path: Any) -> None:
    def said(**values: object) -> list[tuple[str, str]]:
        rasa = {"url": f"http://127.0.0.1:{server.port}", "token": TOKEN} | values
        found = _rasa(Settings(home=tmp_path, nlu="rasa", rasa=RasaSettings.model_validate(rasa)))
        return [(one.state, one.said) for one in found]

    assert list(_rasa(Settings(home=tmp_path))) == []
    assert said()[0][0] == OK
    assert "abcdef012345" in said()[0][1]
    state, words = said(token="wrong")[0]  # noqa: S106 - no secret
    assert state == WARN
    assert "token" in words
    server.stop()
    state, words = said()[0]
    assert state == WARN
    assert "make rasa-serve" in words


def test_the_token_is_the_settings_or_the_servers_own(tmp_path: Any) -> None:
    assert rasa_engine.token(Settings(home=tmp_path)) == ""
    rasa_engine.token_file(tmp_path).parent.mkdir()
    rasa_engine.token_file(tmp_path).write_text("made by serve\n", encoding="ascii")
    assert rasa_engine.token(Settings(home=tmp_path)) == "made by serve"
    given = RasaSettings.model_validate({"token": "given"})
    assert rasa_engine.token(Settings(home=tmp_path, rasa=given)) == "given"


def test_the_engine_is_chosen_by_the_settings(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("LINSHENG_HOME", str(tmp_path))
    own = Own()
    with rasa_engine.chosen(load_settings(), own) as engine:
        assert engine is own
    monkeypatch.setenv("LINSHENG_NLU", "rasa")
    monkeypatch.setenv("LINSHENG_RASA__URL", f"http://127.0.0.1:{server.port}/")
    monkeypatch.setenv("LINSHENG_RASA__TOKEN", TOKEN)
    with rasa_engine.chosen(load_settings(), own) as engine:
        assert engine.parse([Utterance("停水了")], NOWHERE)[0].engine == "rasa"
    monkeypatch.setenv("LINSHENG_NLU", "roza")
    with pytest.raises(SettingsError, match="LINSHENG_NLU"):
        load_settings()
    monkeypatch.setenv("LINSHENG_NLU", "rasa")
    monkeypatch.setenv("LINSHENG_RASA__URL", "localhost:5005")
    with pytest.raises(SettingsError, match="LINSHENG_RASA__URL"):
        load_settings()
