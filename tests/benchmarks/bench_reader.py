"""The second reader over the embedded engine: towns that neither has seen, replayed without it, with it where the
engine is unsure, and with it for everything; and what it costs.

Takes the reader of LINSHENG_HOME, which `linsheng nlu train --reader` makes.
"""

import lzma
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from config.settings import SettingsError, load_settings
from config.tables import leaves
from nlu import corpus
from nlu.corpus import Example
from nlu.embedded import EmbeddedEngine
from nlu.reader.run import MODEL, SecondReader
from nlu.reader.wanted import ALL, OFF, UNCERTAIN, folder_of, wanted
from nlu.types import MATTER, Context, Utterance
from tests.benchmarks.result import SHARED, Bench, Figure, Result
from tests.benchmarks.scoring import play, score

TOWNS = Path(__file__).parent / "towns"
VISIBLE = SHARED / "bench" / "towns" / "jiangnan"
SHOWN = (
    ("right first time (of gold)", False), ("dispatchable (of gold)", False), ("ticket F1", False),
    ("message links F1", False), ("urgent recall (of gold)", False), ("sensitive recall (of gold)", False),
    ("false replies per 1,000 chatter", True),
)  # fmt: skip
FAST = {UNCERTAIN: 800.0, ALL: 150.0}  # messages a second and core
ALLOWED = 15.0  # minutes of tuning
WARM = 50
MB = 1e6
# The embedded engine and its libraries are there before: only what the reader brings is counted.
GROWTH = """
import os, sys
from pathlib import Path
from nlu import embedded
from nlu.reader.run import SecondReader
from nlu.reader.words import Asked
def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
before = held()
SecondReader.load(Path(sys.argv[1])).read([Asked("某楼电梯坏了")] * 20)
print(held() - before)
"""


def run(bench: Bench) -> Result:
    """Each figure beside that of the engine alone."""
    home, known = load_settings().home, leaves()
    try:
        readers = {mode: wanted(mode, home, known) for mode in (OFF, UNCERTAIN, ALL)}
    except SettingsError as why:
        return Result(skipped=str(why.__cause__))
    engines = {
        mode: EmbeddedEngine.ready(bench.home, known, second=reader) for mode, reader in readers.items()
    }  # fmt: skip
    towns = sorted(folder for folder in TOWNS.iterdir() if folder.is_dir())
    figures = _replays(bench, engines, towns, "exam towns")
    if VISIBLE.is_dir():
        figures += _replays(bench, engines, [VISIBLE], VISIBLE.name)
    messages = _messages(bench, towns)
    figures += [_speed(bench, mode, engine, messages) for mode, engine in engines.items()]
    asked = _share_asked(engines[OFF], readers[UNCERTAIN], messages)
    figures.append(Figure(f"asked about, {UNCERTAIN}", asked, "of messages"))
    return Result([*figures, *_costs(folder_of(home), readers[ALL])])


def _replays(
    bench: Bench, engines: dict[str, EmbeddedEngine], towns: Sequence[Path], name: str
) -> list[Figure]:  # fmt: skip
    found: dict[str, dict[str, float]] = {}
    for mode, engine in engines.items():
        bench.say(f"{name}, the second reader {mode}")
        with bench.folder() as folder:
            found[mode] = score([play(town, engine, folder) for town in towns])
    return [
        Figure(f"{key}, {name}, {mode}", found[mode][key], "", found[OFF][key], "the engine alone", less)
        for key, less in SHOWN
        for mode in FAST
    ]


def _messages(bench: Bench, towns: Sequence[Path]) -> list[Example]:
    """What was said, each with its context. The intents are not known here, and nothing asks for them."""
    found: list[Example] = []
    with bench.folder() as folder:
        for town in towns:
            copy = folder / town.name
            shutil.copytree(town, copy)
            (copy / "labels.csv").write_text("id,intent\n", encoding="utf-8")
            found += corpus.town(copy)
    return found


def _speed(bench: Bench, mode: str, engine: EmbeddedEngine, messages: Sequence[Example]) -> Figure:
    """One message at a time. Of the processor, all threads: others at work on the machine do not count."""
    bench.say(f"{len(messages):,} messages one by one, the second reader {mode}")
    asked = [(Utterance(one.text, one.context or Context()), one.names) for one in messages]
    for utterance, names in asked[:WARM]:
        engine.parse([utterance], names)
    begun = time.process_time()
    for utterance, names in asked:
        engine.parse([utterance], names)
    speed = len(asked) / (time.process_time() - begun)
    if mode == OFF:
        return Figure(f"messages, {mode}", speed, "/s")
    return Figure(f"messages, {mode}", speed, "/s", FAST[mode], "floor", floor=True)


def _share_asked(alone: EmbeddedEngine, reader: SecondReader | None, messages: Sequence[Example]) -> float:
    found = [
        reader.asks(sum(answer.intents[name] for name in MATTER))
        for one in messages
        for answer in alone.parse([Utterance(one.text, one.context or Context())], one.names)
        if reader is not None
    ]
    return sum(found) / len(found)


def _costs(folder: Path, reader: SecondReader | None) -> list[Figure]:
    graph = (folder / MODEL).read_bytes()
    facts = reader.facts if reader is not None else {}
    agreement = facts.get("agreement", {})
    return [
        Figure("graph", len(graph) / MB, "MB"),
        Figure("graph, packed by xz", len(lzma.compress(graph)) / MB, "MB"),
        Figure("memory beside the engine's", _memory(folder) / MB, "MB"),
        Figure("tuning", float(facts["minutes"]), "min", ALLOWED, "what was allowed", True, True),
        *(Figure(f"7-bit graph agrees with 32-bit floats, {k}", v, "") for k, v in agreement.items()),
    ]


def _memory(folder: Path) -> float:
    """Bytes that a fresh process has more of in memory once it has loaded the reader and read a message."""
    here = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    said = subprocess.run(  # noqa: S603
        [sys.executable, "-P", "-c", GROWTH, str(folder)], check=True, capture_output=True, text=True, env=here
    )
    return float(said.stdout)
