"""`linsheng train` and `linsheng nlu …`: the engine's training, its answers, and how often they are right."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from bot import evaluation
from bot.cli import data, fit, learning, show
from bot.evaluation import Scores
from bot.rasa_engine import chosen
from bot.towns import names_of
from bot.training import NotTrained, alone
from config.settings import Settings, load_settings
from config.tables import category_name, leaves
from models.database import Database, is_there
from models.townpack import read_pack
from nlu import corpus, store
from nlu.embedded import EmbeddedEngine
from nlu.export import CHATTER, export
from nlu.gazetteer import NOWHERE
from nlu.reader.run import SecondReader
from nlu.reader.wanted import folder_of, wanted
from nlu.types import Context, Names, Understanding, Utterance

app = typer.Typer(no_args_is_help=True, help="Ask the engine, and measure it.")
app.add_typer(fit.app, name="fit")
app.command()(data.data)
learning.register(app)


@app.command()
def train(
    force: Annotated[bool, typer.Option("--force", help="Even if the artefact is there.")] = False,
    reader: Annotated[
        bool, typer.Option("--reader", help="Tune the second reader too: minutes; needs the extra `reader-train`.")
    ] = False,
) -> None:
    """Train the embedded engine on the data that ship; takes seconds, and is kept in the data folder."""
    make = _maker() if reader else None  # what is missing is said before the heads are trained
    home, known = load_settings().home, leaves()
    folder = store.shipped(home, known)
    with alone(home), show.bar("engine") as bar:
        if force:
            from nlu.train import train as train_heads  # noqa: PLC0415 - a second of imports nothing else needs

            heads = train_heads(corpus.everything(frozenset(known)), known, progress=bar.share)
            (folder / "heads.json").unlink(missing_ok=True)  # or an end in between leaves an old half beside a new one
            heads.save(folder)
        engine = EmbeddedEngine.shipped(home, known, bar.share)
    show.table(("fact", "value"), [*engine.heads.facts.items(), ("folder", folder)])
    if make is not None:
        tuned = folder_of(home)
        with show.bar("reader") as bar:  # not alone: a start that must train the engine first would wait for minutes
            facts = make(corpus.everything(frozenset(known)), known, tuned, progress=bar.share)
        show.table(("fact", "value"), [*facts.items(), ("folder", tuned)], title="second reader")


def _maker() -> Callable[..., dict[str, object]]:
    """`nlu.reader.make.make`. Raises NotTrained when something it needs is not installed."""
    try:
        from nlu.reader.make import make  # noqa: PLC0415 - torch, an extra
        from nlu.reader.weights import NoBase, base_file  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise NotTrained(f"{missing.name} is not installed: pip install 'linsheng[reader-train]'") from missing
    try:
        base_file()
    except NoBase as missing:
        raise NotTrained(str(missing)) from missing
    return make


@app.command()
def parse(
    texts: Annotated[list[str], typer.Argument(help="Messages, each in quotes.")],
    direct: Annotated[bool, typer.Option("--direct", help="As if told to the bot alone.")] = False,
) -> None:
    """What the engine makes of some messages; the names are those of the deployment's town, if there is one."""
    settings = load_settings()
    with show.bar("engine") as bar:
        own = EmbeddedEngine.ready(settings.home, leaves(), bar.share, _second(settings))
    with chosen(settings, own) as engine:
        answers = engine.parse([Utterance(text, Context(direct=direct)) for text in texts], _names(settings.url))
    for text, answer in zip(texts, answers, strict=True):
        show.table(("", ""), _lines(answer), title=text)


def _second(settings: Settings) -> SecondReader | None:
    return wanted(settings.reader, settings.home, leaves())


def _names(url: str) -> Names:
    if not is_there(url):
        return NOWHERE
    db = Database(url)
    try:
        return names_of(db) or NOWHERE
    finally:
        db.close()


def _lines(answer: Understanding) -> list[tuple[str, str]]:
    likeliest = sorted(answer.intents.items(), key=lambda item: -item[1])[:3]
    lines = [("engine", answer.engine), ("intent", "  ".join(f"{name} {share:.2f}" for name, share in likeliest))]
    for number, matter in enumerate(answer.matters, 1):
        kinds = "  ".join(f"{category_name(code)} {share:.2f}" for code, share in matter.categories[:3])
        lines.append(("category" if len(answer.matters) == 1 else f"matter {number}", kinds))
    spans = [span for span in answer.spans if span.kind == "location"]
    places = [f"{span.text} ({' '.join(filter(None, span.codes)) or 'by its form'})" for span in spans]
    lines += [
        ("places", "  ".join(places) or "none"),
        ("urgent", f"{answer.urgent:.2f}"),
        ("sensitive", f"{answer.sensitive:.2f}"),
    ]
    return [*lines, ("flags", " ".join(answer.flags))] if answer.flags else lines


@app.command()
def evaluate(
    town: Annotated[
        list[Path] | None, typer.Option(help="A pack with transcript and gold.json: the engine that ships, on it.")
    ] = None,
) -> None:
    """How often the engine is right: on each training town after learning from the others, or on given packs."""
    known = leaves()
    found: list[Scores] = []
    with show.bar("engine") as bar:
        if town:
            settings = load_settings()
            own = EmbeddedEngine.ready(settings.home, known, bar.share, _second(settings))
            with chosen(settings, own) as engine:
                found = [evaluation.of_pack(engine, folder) for folder in town]
        else:
            folders = corpus.towns()
            for number, folder in enumerate(folders):
                bar.share(f"without {folder.name}", number / len(folders))
                found.append(evaluation.left_out(folder, known))
    if len(found) > 1:
        found.append(evaluation.together(found))
    show.table(
        ("town", "said", "reports", "precise", "found", "category", "urgent", "found"),
        [(s.name, s.messages, s.reports, s.precision, s.recall, s.category, s.urgent, s.urgent_recall) for s in found],
    )


@app.command("export")
def export_(
    out: Annotated[Path, typer.Option(help="The folder for nlu.yml and domain.yml.")],
    town: Annotated[Path | None, typer.Option(help="A town pack; unset: the town of LINSHENG_TOWN.")] = None,
    chatter: Annotated[int, typer.Option(help="Lines of the towns' talk that are kept.", min=0)] = CHATTER,
) -> None:
    """Write the training data as Rasa reads them, with the names of the deployment's town as its lookup table."""
    pack = town or load_settings().town
    places = read_pack(pack).places if pack else ()
    names = [name for place in places for name in [place.name, *place.aliases.split("|")] if name]
    written = export(out, leaves(), names, chatter=chatter)
    show.table(
        ("what", "count"),
        [
            ("lines", written.intents.total()),
            ("intents", len(written.intents)),
            ("chatter among them", written.intents["chatter"]),
            ("left out by the caps", written.left_out),
            ("names in the lookup table", written.names),
        ],
        title=str(out),
    )
