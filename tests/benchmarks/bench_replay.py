"""A fortnight of a town's talk through the whole product: how long it takes, and how much of it is understood."""

from config.tables import leaves
from nlu.embedded import EmbeddedEngine
from tests.benchmarks.result import SHARED, Bench, Figure, Result
from tests.benchmarks.scoring import floors, play, score
from tests.databases import DEMO

CEILING = 15.0  # seconds


def run(bench: Bench) -> Result:
    """The town to develop on where it is at hand, else the demo town, which ships with the product."""
    town = SHARED / "bench" / "towns" / "jiangnan"
    if not town.is_dir():
        town = DEMO
    engine = EmbeddedEngine.ready(bench.home, leaves())
    with bench.folder() as folder:
        bench.say(f"replaying {town.name}")
        played = play(town, engine, folder)
        seconds = Figure(
            f"replay of {played.messages} messages, {town.name}", played.seconds, "s", CEILING, "ceiling", True, True
        )
        return Result([seconds, *floors(town.name, score([played]))])
