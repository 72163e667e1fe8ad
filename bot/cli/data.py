"""`linsheng nlu data`: what the training data hold, and what is wrong with them."""

from collections import Counter
from typing import Annotated

import typer

from bot.cli import show
from config.tables import leaves
from models.townpack import BadPack, read_pack
from nlu import corpus, tally
from nlu.audit import Fault
from nlu.corpus import Example
from nlu.tally import Data

BAR = 48  # cells of the longest bar


def data(
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail also on copies, and where there are too few lines.")
    ] = False,
    near: Annotated[bool, typer.Option("--near", help="Show the near-duplicates themselves.")] = False,
) -> None:
    """What the engine learns from, counted and checked; ends with 1 where something is annotated wrongly."""
    known = leaves()
    with show.bar("data") as bar:
        found = tally.gather(frozenset(known), progress=bar.share)
        faults = sorted([*found.faults, *_packs()])
        pairs = tally.near_pairs(found)
    short = _counts(found, known)
    _lengths(found)
    show.table(
        ("town", "messages", "talk", "matters", "categories", "urgent", "sensitive", "withdrawn", "addressed"),
        tally.per_town(found.towns),
    )
    copies = _near(pairs, near)
    for fault in faults:
        typer.echo(str(fault), err=True)
    few = f"{short} categories and intents have fewer than {tally.ENOUGH} lines"
    typer.echo(f"Faults: {len(faults)}. Copies: {copies}. {few}.", err=bool(faults))
    if faults or (strict and (copies or short)):
        raise typer.Exit(1)


def _packs() -> list[Fault]:
    """Faults in the tables of the towns, as an import would find them."""
    found = []
    for folder in corpus.towns():
        try:
            read_pack(folder)
        except BadPack as error:
            found += [Fault(f"towns/{folder.name}/{f.file}", f.line, f.column, f.message) for f in error.faults]
    return found


def _counts(found: Data, known: list[str]) -> int:
    """The tables of lines (said in towns, written alone, made from frames); how many rows have too few."""
    by_leaf, by_intent = tally.per_leaf(found, known), tally.per_intent(found)
    rarest: list[tally.LeafRow] = sorted(by_leaf, key=lambda row: -row.missing)
    show.table(
        ("category", "matters", "said", "written", "made", "lines", "missing"),
        rarest,
    )
    show.table(("intent", "said", "written", "lines", "missing"), by_intent)
    show.table(("mark", "said", "written"), tally.per_mark(found))
    return sum(row.missing > 0 for row in by_leaf) + sum(row.missing > 0 for row in by_intent)


def _lengths(found: Data) -> None:
    parts = {
        "utterances": [line.example.text for line in found.lines],
        "towns": [example.text for examples in found.towns.values() for example in examples],
    }
    columns = ("characters", *(f"{share:.0%}" for share in tally.QUANTILES))
    show.table(columns, [(name, *tally.lengths(texts)) for name, texts in parts.items() if texts])
    bars = tally.histogram(text for texts in parts.values() for text in texts)
    most = max(1, *(count for _, count in bars))
    show.table(("characters", "lines", ""), [(label, n, "█" * round(BAR * n / most)) for label, n in bars])


def _near(pairs: list[tuple[Example, Example, float, bool]], listed: bool) -> int:
    """The near-duplicates; how many of them are copies."""
    kinds = {0: "two utterances", 1: "an utterance and a town", 2: "two towns"}
    counts = Counter(bool(one.town) + bool(two.town) for one, two, _, _ in pairs)
    copies = Counter(bool(one.town) + bool(two.town) for one, two, _, copy in pairs if copy)
    show.table(("near-duplicates between", "pairs", "copies"), [(kinds[i], counts[i], copies[i]) for i in kinds])
    if listed:
        show.table(
            ("alike", "copy", "where", "what", "is", "text"),
            [
                (round(share, 2) if e is one else "", ("yes" if copy else "") if e is one else "", *_cells(e))
                for one, two, share, copy in pairs
                for e in (one, two)
            ],
        )
    return sum(copies.values())


def _cells(example: Example) -> tuple[str, str, str, str]:
    where = f"{example.town}: {example.source}" if example.town else example.source
    return where, "/".join(filter(None, (example.intent, example.leaf))), "urgent" * example.urgent, example.text
