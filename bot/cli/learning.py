"""`linsheng nlu retrain`, `gate`, `promote`, `rollback`, `history`: learning from corrections, behind a gate."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from bot import gate_report, retraining
from bot.cli import show
from bot.cli.opened import is_filled, looked_at
from bot.learning import counted
from bot.retraining import Judged, Retrained
from bot.towns import names_of
from bot.training import alone
from config.settings import Settings, load_settings
from config.tables import leaves
from models.base import utc_now
from nlu import artefact, store
from nlu.gazetteer import NOWHERE
from nlu.store import NotPossible
from nlu.types import Names

REPORT = "gate.html"
Candidate = Annotated[str, typer.Argument(help="A candidate of `history`; unset: the newest.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Put the commands beside those of `linsheng nlu`."""
    for command in (retrain, gate, promote, rollback, history):
        app.command()(command)


def retrain() -> None:
    """Make a candidate from the data that ship and the corrections of this deployment. Nothing changes by it."""
    settings = load_settings()
    with show.bar("candidate") as bar:
        found = _retrained(settings, bar)
    rows: list[tuple[str, object]] = [("candidate", found.id)]
    for name, lessons in (("to learn from", found.learned), ("kept for the gate", found.held)):
        kinds = "  ".join(f"{intent} {count}" for intent, count in counted(lessons).items())
        rows.append((name, f"{len(lessons)}  {kinds}".strip()))
    rows += [("older candidates removed", " ".join(found.removed))] if found.removed else []
    show.table(("", ""), rows, title="" if found.fresh else "The same data and corrections: it was there already.")
    typer.echo(f"Next: linsheng nlu gate {found.id}")


def _retrained(settings: Settings, bar: show.Bar) -> Retrained:
    known, now = leaves(), utc_now()
    if not is_filled(settings):
        return retraining.retrain(settings.home, known, None, now, bar.share)
    with looked_at(settings) as db:
        return retraining.retrain(settings.home, known, db, now, bar.share)


def gate(
    candidate: Candidate = "",
    town: Annotated[
        list[Path] | None, typer.Option(help="A pack with transcript and gold.json, to be measured on too.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="The page; unset: gate.html beside the candidate.")] = None,
) -> None:
    """Compare a candidate with the engine in force; ends with 1 where it may not be promoted."""
    settings = load_settings()
    home, id_ = settings.home, _named(settings.home, candidate)
    with show.bar("gate") as bar:
        found = retraining.judge(home, leaves(), id_, _names(settings), town or (), bar.share)
    page = report or store.folder_of(home, id_) / REPORT
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(gate_report.render(found, _when(settings, utc_now())), encoding="utf-8")
    page.chmod(0o600)
    show.table(("", "check", "on", "in force", "candidate", "allowed"), _verdicts(found), title=_title(found))
    typer.echo(f"Report: {page}")
    if not found.passed:
        typer.echo(f"{id_} may not be promoted.", err=True)
        raise typer.Exit(1)
    typer.echo(f"Next: linsheng nlu promote {id_}")


def _verdicts(found: Judged) -> list[tuple[str, ...]]:
    return [
        (("ok" if v.passed else "fail") if v.judged else "", v.check, v.part, v.current, v.candidate, v.limit)
        for v in found.verdicts
    ]


def _title(found: Judged) -> str:
    return f"{found.id} against {found.against}"


def promote(candidate: Candidate = "") -> None:
    """Put a candidate in force that has passed its gate. Running workers take it within a minute."""
    home = load_settings().home
    id_ = _named(home, candidate)
    before = retraining.promote(home, leaves(), id_, utc_now())
    typer.echo(f"{id_} is in force; before it was {before}. `linsheng nlu rollback` takes it back.")


def rollback() -> None:
    """Put in force again what was before the last promotion. Running workers take it within a minute."""
    home = load_settings().home
    with alone(home):
        store.rollback(home, leaves(), utc_now())
        typer.echo(f"{store.running(home, leaves()).name} is in force.")


def history() -> None:
    """The candidates, and what was promoted and taken back, the newest first."""
    settings = load_settings()
    home, known = settings.home, leaves()
    running, shipped = store.running(home, known).name, artefact.fingerprint(known)
    rows = []
    for id_ in store.candidates(home):
        facts = store.about(home, id_)
        state = "in force" if id_ == running else store.unfit(home, id_, known)
        older = "" if facts["shipped"] == shipped else "the data that ship are newer: retrain"
        at = _when(settings, datetime.fromisoformat(facts["at"]))
        rows.append((id_, at, facts["learned"], facts["held"], "; ".join(filter(None, (state, older)))))
    rows.append((shipped, "", "", "", "ships" + (", in force" if running == shipped else "")))
    show.table(("artefact", "made", "learned", "held", ""), rows)
    changes = [
        (_when(settings, datetime.fromisoformat(one.at)), one.action, one.before or "ships", one.id or "ships")
        for one in reversed(store.history(home))
    ]
    show.table(("at", "", "from", "to"), changes)


def _named(home: Path, candidate: str) -> str:
    """The candidate that is meant. Raises NotPossible."""
    if candidate:
        store.about(home, candidate)
        return candidate
    found = store.candidates(home)
    if not found:
        raise NotPossible("there is no candidate: `linsheng nlu retrain` makes one.")
    return found[0]


def _names(settings: Settings) -> Names:
    if not is_filled(settings):
        return NOWHERE
    with looked_at(settings) as db:
        return names_of(db) or NOWHERE


def _when(settings: Settings, at: datetime) -> str:
    return f"{at.astimezone(settings.zone):%Y-%m-%d %H:%M}"
