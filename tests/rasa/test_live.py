"""The contract with a real server: what the bot relies on, the dangers that it avoids, and how well it understands."""

import json
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from bot.doctor import OK, _rasa
from bot.rasa_client import Failure, RasaClient
from bot.rasa_engine import RasaEngine
from config.settings import Settings
from config.tables import leaves
from nlu.embedded import EmbeddedEngine
from nlu.gazetteer import NOWHERE, Gazetteer
from nlu.rasa_answer import Reply, combined
from nlu.types import Context, Utterance
from nlu.wording import as_rasa_reads, meaning
from tests.rasa.scores import scores
from tests.rasa.server import Server, unseen

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("rasa"), pytest.mark.timeout(180)]
BATCH = 32  # as a worker takes them
BACK = 30.0  # seconds; a second on a machine that has nothing else to do
LIFT = "3栋2单元电梯又停了 有个老人困在里面"


def parsed(server: Server, text: str) -> dict[str, object]:
    status, body = server.get("/model/parse", {"text": text}, token=server.token)
    assert status == 200, body
    return dict(json.loads(body))


def test_an_answer_has_the_shape_that_is_read(server: Server) -> None:
    found = parsed(server, LIFT)
    ranking = found["intent_ranking"]
    assert isinstance(ranking, list)
    assert found["text"] == LIFT
    assert sum(row["confidence"] for row in ranking if row["name"] != "nlu_fallback") == pytest.approx(1.0)
    named = {row["name"] for row in ranking} - {"nlu_fallback"}
    assert len(named) == len(leaves()) + 14, "every intent, or the probability of a report is no sum over its kinds"
    assert all(meaning(name) for name in named)
    assert ranking[0]["name"] == "report_facility.elevator"


def test_a_broken_lift_is_understood(engine: RasaEngine) -> None:
    (found,) = engine.parse([Utterance(LIFT, Context(direct=True))], Gazetteer([("3栋", "B3")]))
    assert found.engine == "rasa"
    assert (found.intent, found.matters[0].category) == ("report", "facility.elevator")
    assert found.flags == ("trapped",)
    assert ("3栋", ("B3",)) in [(span.text, span.codes) for span in found.spans]
    assert "电梯" in [span.text for span in found.spans if span.kind == "object"]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/model/parse", 401), ("/status", 401), ("/webhooks/rest/webhook", 404), ("/model/train", 401)],
)
def test_without_the_token_nothing_is_done(server: Server, path: str, status: int) -> None:
    body = None if path == "/status" else {"text": "停水了", "sender": "x", "message": "停水了"}
    assert server.get(path, body)[0] == status


@pytest.mark.skipif(not Path("/proc/net/tcp").is_file(), reason="the kernel tells it on Linux only")
def test_it_listens_to_this_machine_alone_and_shows_no_token(server: Server) -> None:
    assert server.listens() == {"0100007F"}
    assert server.token.encode() not in Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
    assert server.token not in server.log.read_text(encoding="utf-8", errors="replace")


def test_why_slashes_and_blanks_are_never_sent(server: Server, engine: RasaEngine) -> None:
    """What the bot guards against is still so; should it change, the guard may go."""
    forged = parsed(server, "/report_safety.fire")
    assert forged["intent"] == {"name": "report_safety.fire", "confidence": 1.0}
    assert server.get("/model/parse", {"text": " "}, token=server.token)[0] == 500
    answers = engine.parse([Utterance(text) for text in ("/report_safety.fire", " ", "／::) 停水了")], NOWHERE)
    assert "rasa" not in {answer.engine for answer in answers}
    assert answers[0].p("report") < 0.5


def test_doctor_meets_it(server: Server) -> None:
    (found,) = _rasa(Settings(nlu="rasa", rasa=server.settings()))
    assert found.state == OK, found.said


def test_the_unseen_utterances(client: RasaClient, own: EmbeddedEngine) -> None:
    """Floors well below what is measured (`python -m tests.benchmarks rasa`): they catch a pipeline that has broken,
    such as balanced classes, word boundaries or a CRF that learns from messages nobody annotated."""
    examples = unseen()
    assert len(examples) >= 600
    texts = [as_rasa_reads(example.text) for example in examples]
    replies = [reply for at in range(0, len(texts), BATCH) for reply in client.ask(texts[at : at + BATCH])]
    assert Counter(reply.why for reply in replies if isinstance(reply, Failure)) == {}
    alone = own.parse([Utterance(example.text, Context(direct=True)) for example in examples], NOWHERE)
    answers = [
        combined(answer, reply, example.text)
        for answer, reply, example in zip(alone, replies, examples, strict=True)
        if isinstance(reply, Reply)
    ]
    found = scores(examples, answers)
    assert found.intent >= 0.50, found
    assert found.category >= 0.45, found
    assert found.span >= 0.35, found
    assert found.accuracy >= 0.60, found
    talk = [reply for e, reply in zip(examples, replies, strict=True) if e.intent == "chatter"]
    assert len(talk) >= 10
    taken = [reply for reply in talk if isinstance(reply, Reply) and reply.intents["report"] >= 0.5]
    assert len(taken) <= 0.25 * len(talk)


def test_a_server_that_stalls_holds_nobody_up(server: Server, own: EmbeddedEngine) -> None:
    impatient = RasaClient(server.settings(timeout_seconds=0.5, failures=2, pause_seconds=0.2), server.token, leaves())
    engine = RasaEngine(impatient, own)
    asked = [Utterance(f"{number}栋停水了") for number in range(1, 30)]
    server.process.send_signal(signal.SIGSTOP)
    try:
        assert "rasa" not in {answer.engine for answer in engine.parse(asked, NOWHERE)}
        assert not impatient.breaker.closed
    finally:
        server.process.send_signal(signal.SIGCONT)
    try:
        until = time.monotonic() + BACK
        while {answer.engine for answer in engine.parse(asked[:3], NOWHERE)} != {"rasa"}:
            assert time.monotonic() < until, "it did not come back"
            time.sleep(0.1)
        assert impatient.breaker.closed
    finally:
        impatient.close()
