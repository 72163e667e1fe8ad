"""Each training town by an engine that has never seen it, and all of them counted as one."""

from config.tables import leaves
from nlu import corpus
from nlu.embedded import EmbeddedEngine
from nlu.train import train
from tests.benchmarks.result import Bench, Figure, Result
from tests.benchmarks.scoring import floors, play, score


def run(bench: Bench) -> Result:
    """What a stranger's town may hope for: a town that was learnt from says too much."""
    known = leaves()
    figures: list[Figure] = []
    with bench.folder() as folder:
        played = []
        for number, town in enumerate(corpus.towns(), 1):
            heads = train(corpus.everything(frozenset(known), without=frozenset({town.name})), known)
            played.append(play(town, EmbeddedEngine(heads), folder))
            found = score(played[-1:])
            bench.say(f"{number}/{len(corpus.towns())} {town.name}: ticket F1 {found['ticket F1']:.2f}")
            figures.append(Figure(_line(town.name, found), found["ticket F1"], "F1"))
        return Result([*figures, *floors("all towns", score(played))])


def _line(name: str, found: dict[str, float]) -> str:
    return (
        f"{name}: first time {found['right first time (of gold)']:.2f}, "
        f"dispatchable {found['dispatchable (of gold)']:.2f}, "
        f"false replies {found['false replies per 1,000 chatter']:.0f}, "
        f"urgent {found['urgent recall (of gold)']:.2f}"
    )
