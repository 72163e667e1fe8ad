"""Both engines on the same messages: how well (on what neither has learned from), how fast, and at what price."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bot.process import spare_the_collector
from bot.rasa_client import RasaClient
from bot.rasa_engine import RasaEngine
from config.tables import leaves
from nlu import corpus
from nlu.corpus import Example
from nlu.embedded import EmbeddedEngine
from nlu.gazetteer import NOWHERE
from nlu.types import Context, Engine, Understanding, Utterance
from tests.benchmarks.bench_nlu import Town, chat
from tests.benchmarks.result import Bench, Figure, Result, percentile
from tests.rasa.scores import scores
from tests.rasa.server import NoRasa, Server, unseen

BATCH = 32  # messages, as a worker takes them
ALONE = 300  # messages asked one by one
BESIDE = "the embedded engine, same utterances, same run"
CHATTED = "the embedded engine, same chats, same run"
EVERY = 5  # of the training towns, whose chats are read for the time alone: whole chats, most of it talk


def run(bench: Bench) -> Result:
    """How well: the utterances of the regression set, as if told to the bot alone: a lone line has no chat around it.
    How fast: these one by one, and whole chats in batches, as a deployment reads them."""
    before = _megabytes()
    begun = time.perf_counter()
    own = EmbeddedEngine.ready(bench.home, leaves())
    loaded, grown = time.perf_counter() - begun, _megabytes() - before
    examples = unseen()
    bench.say("starting Rasa")
    try:
        server = Server()
    except NoRasa as why:
        return Result(skipped=str(why))
    client = RasaClient(server.settings(), server.token, leaves())
    try:
        chats = [chat(list(corpus.town(folder))) for folder in corpus.towns()[::EVERY]]
        told = sum(len(asked) for _, asked in chats)
        bench.say(f"{len(examples):,} utterances one by one, {told:,} messages in batches of {BATCH}")
        rasa = RasaEngine(client, own)
        ours, theirs = _measured(own, examples, chats), _measured(rasa, examples, chats, server.cpu)
        figures = _figures(examples, ours, theirs)
        return Result(
            [
                *figures,
                Figure("memory of its process", server.megabytes(), "MB", grown, "what loading the heads adds", True),
                Figure("time to ready, trained", server.ready, "s", loaded, "loading the heads", True),
            ],
            faults=[f"{sum(answer.engine != 'rasa' for answer in theirs.answers)} not answered by Rasa"]
            if any(answer.engine != "rasa" for answer in theirs.answers)
            else [],
        )
    finally:
        client.close()
        server.stop()


class _Measured:
    """answers: to each example. rate: messages of whole chats a second, in batches. cpu: ms of each such message.
    alone: seconds of each example, one by one."""

    def __init__(self, answers: list[Understanding], rate: float, alone: list[float], cpu: float) -> None:
        self.answers = answers
        self.rate = rate
        self.alone = alone
        self.cpu = cpu


def _asked(examples: Sequence[Example]) -> list[Utterance]:
    return [Utterance(example.text, Context(direct=True)) for example in examples]


def _measured(
    engine: Engine, examples: Sequence[Example], chats: Sequence[Town], cpu: Callable[[], float] = time.process_time
) -> _Measured:
    answers = [found for batch in _batches(_asked(examples)) for found in engine.parse(batch, NOWHERE)]  # warms, too
    alone = []
    for one in _asked(examples)[:ALONE]:
        begun = time.perf_counter()
        engine.parse([one], NOWHERE)
        alone.append(time.perf_counter() - begun)
    spare_the_collector()  # as `linsheng worker` does
    for _ in range(2):  # the first round warms up, as in `bench_nlu`
        spent, begun = cpu(), time.perf_counter()
        for names, asked in chats:
            for batch in _batches(asked):
                engine.parse(batch, names)
    told = sum(len(asked) for _, asked in chats)
    return _Measured(answers, told / (time.perf_counter() - begun), alone, 1_000 * (cpu() - spent) / told)


def _batches(asked: Sequence[Utterance]) -> Iterator[Sequence[Utterance]]:
    return (asked[at : at + BATCH] for at in range(0, len(asked), BATCH))


def _figures(examples: Sequence[Example], ours: _Measured, theirs: _Measured) -> list[Figure]:
    mine, rasas = scores(examples, ours.answers), scores(examples, theirs.answers)

    def milliseconds(share: float) -> tuple[float, str, float]:
        return 1_000 * percentile(theirs.alone, share), "ms", 1_000 * percentile(ours.alone, share)

    return [
        Figure("intent macro-F1", rasas.intent, "", mine.intent, BESIDE),
        Figure("intent accuracy", rasas.accuracy, "", mine.accuracy, BESIDE),
        Figure("category macro-F1, of reports", rasas.category, "", mine.category, BESIDE),
        Figure("span F1, exact", rasas.span, "", mine.span, BESIDE),
        Figure("messages of whole chats, in batches", theirs.rate, "/s", ours.rate, CHATTED),
        Figure("p50 a message", *milliseconds(0.5), BESIDE, True),
        Figure("p99 a message", *milliseconds(0.99), BESIDE, True),
        Figure("processor time a message, in batches", theirs.cpu, "ms", ours.cpu, CHATTED, True),
    ]


def _megabytes() -> float:
    """What this process holds now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
