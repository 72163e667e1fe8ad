"""What staff put right about a ticket: its kind, its place, how urgent and how private it is, that it is none.

Each function checks who asks, changes the ticket, writes its history, keeps the correction, and tells those to whom it
matters. Nothing is said in a group but a corrected place, which its reporters can contradict.
"""

import difflib
from collections.abc import Iterable

from config.decisions import decisions
from config.tables import categories, leaves
from handlers import dispatch
from handlers.aliases import propose
from handlers.corrected import BadCorrection, NotYours, keep_correction, made_of
from handlers.desk import Desk, tier_of
from handlers.place import NAMED, Placement, said
from handlers.reading import CALMED
from handlers.retime import retime
from handlers.texts import say
from handlers.workflow import Actor, NotAllowed, may, move, record
from models.correction import CorrectionKind
from models.person import Role
from models.ticket import Status, Ticket


def check(desk: Desk, ticket: Ticket, by: str, *, staff_only: bool = False) -> None:
    """Raises NotYours, or BadCorrection where the ticket has gone into another one."""
    if not dispatch.may_correct(desk.town, by, ticket.grid, ticket.worker, ticket.category, staff_only=staff_only):
        raise NotYours(f"{by} has no duty to correct {ticket.number}.")
    if ticket.status == Status.MERGED:
        into = desk.session.get_one(Ticket, ticket.merged_into or 0).number
        message = f"{ticket.number} was merged into {into}: that is the one to correct"
        raise BadCorrection("ticket", message, "worker_is_merged", before=ticket.number, number=into)


def near(name: str, known: Iterable[str]) -> str:
    """` Did you mean "…"?`, or nothing."""
    found = difflib.get_close_matches(name, list(known), 1, 0.6)
    return f' Did you mean "{found[0]}"?' if found else ""


def check_category(code: str, field: str = "category") -> None:
    """Raises BadCorrection for what is no leaf of config/categories.csv."""
    if code not in leaves():
        message = f'there is no category "{code}" that a ticket may have.{near(code, leaves())}'
        raise BadCorrection(field, message, "worker_no_category")


def check_place(desk: Desk, code: str, field: str = "place") -> None:
    """Raises BadCorrection for what is no place of the town."""
    if code not in desk.town.places:
        message = f'there is no place "{code}".{near(code, desk.town.places)}'
        raise BadCorrection(field, message, "worker_no_place")


def category(desk: Desk, ticket: Ticket, code: str, by: str) -> None:
    """Another kind of matter: another tier, so another deadline. A kind that is private or urgent by its nature makes
    the ticket so.

    code: a leaf's. Raises NotYours, BadCorrection; nothing has changed then.
    """
    check(desk, ticket, by)
    check_category(code)
    if code == ticket.category:
        raise BadCorrection("category", f"{ticket.number} is {code} already", "worker_unchanged", number=ticket.number)
    before = {"category": ticket.category, "tier": ticket.tier}
    ticket.category, ticket.tier = code, tier_of(code)
    desk.session.add(ticket)
    after = {"category": code, "tier": ticket.tier}
    keep_correction(desk, ticket, CorrectionKind.CATEGORY, by, before, after)
    # The kinds that the engine could not tell apart are shown to the worker; now somebody has told them apart.
    ticket.reading = {name: value for name, value in ticket.reading.items() if name not in ("kinds", "votes")}
    record(desk.session, ticket, "set_category", by, desk.now, f"{before['category']} → {code}")
    rules = decisions()
    if code in rules.sensitive_kinds and not ticket.sensitive:
        _set_sensitive(desk, ticket, by, on=True)
    if code in rules.urgent_kinds and not ticket.urgent and ticket.is_open:
        _raise(desk, ticket, by)
        return
    if not ticket.urgent:  # an urgent matter has its minutes whatever its tier
        retime(desk, ticket, by)
    _tell_worker(desk, ticket, by)


def place(desk: Desk, ticket: Ticket, by: str, *, code: str | None = None, grid: str | None = None) -> None:
    """Another place, or only another grid: whoever is responsible there gets the ticket, unless its worker is too.

    code: a place's; grid: a grid's, the place's own where it is None. The reporters hear of a place. Names that the
    gazetteer did not know are proposed as nicknames. Raises NotYours, BadCorrection; nothing has changed then.
    """
    check(desk, ticket, by)
    if code is not None:
        check_place(desk, code)
        grid = grid or desk.town.places[code].grid
    if grid is None:
        raise BadCorrection("place", "a place or a grid is needed", "worker_no_place")
    if grid not in desk.town.grids:
        message = f'there is no grid "{grid}".{near(grid, desk.town.grids)}'
        raise BadCorrection("grid", message, "worker_no_place")
    if (code, grid) == (ticket.place, ticket.grid):
        raise BadCorrection("place", f"{ticket.number} is there already", "worker_unchanged", number=ticket.number)
    before = {"place": ticket.place, "grid": ticket.grid}
    found = Placement(grid, code, NAMED, evidence=(f"corrected by {by}: {code or grid}",))
    ticket.spot = ""  # the stairs of the wrong building
    desk.place_ticket(ticket, found)
    kept = keep_correction(desk, ticket, CorrectionKind.PLACE, by, before, {"place": code, "grid": grid})
    record(desk.session, ticket, "set_place", by, desk.now, code or grid)
    if code is not None:
        texts = [row.text for row in made_of(desk, ticket)]
        propose(desk, kept, texts, wrong=before["place"], right=code, places=said(ticket.evidence))
        if ticket.is_open:
            desk.tell_supporters(ticket, "place_corrected")
    if ticket.is_open:
        _dispatch_anew(desk, ticket, by)


def _dispatch_anew(desk: Desk, ticket: Ticket, by: str) -> None:
    """Its worker keeps it where her duties reach; else it goes to who is responsible there."""
    worker = ticket.worker
    if worker and dispatch.may_act(desk.town, worker, ticket.grid, None, ticket.category):
        _tell_worker(desk, ticket, by)
        return
    there = dispatch.responsible(desk.town, ticket.grid, desk.now)
    if worker and (there is None or there.person != worker):
        desk.alert_worker(ticket, "alert_taken", "moved to another grid")
    desk.assign(ticket, there)


def urgent(desk: Desk, ticket: Ticket, by: str, *, on: bool) -> None:
    """Life is at stake after all: minutes count from now, worker and community are alerted at once. Or it is not: the
    tier's limit counts again. Raises NotYours, BadCorrection; nothing has changed then."""
    check(desk, ticket, by)
    if not ticket.is_open:
        raise BadCorrection("urgent", f"{ticket.number} has ended", "worker_ended", number=ticket.number)
    _check_change(ticket, "urgent", ticket.urgent, on)
    keep_correction(desk, ticket, CorrectionKind.URGENT, by, {"urgent": ticket.urgent}, {"urgent": on})
    if on:
        _raise(desk, ticket, by)
        return
    ticket.urgent = False
    ticket.reading = ticket.reading | {CALMED: True}  # what was said up to now has been weighed
    desk.session.add(ticket)
    record(desk.session, ticket, "calmed", by, desk.now)
    retime(desk, ticket, by)
    _tell_worker(desk, ticket, by)


def _raise(desk: Desk, ticket: Ticket, by: str) -> None:
    ticket.urgent = True
    desk.session.add(ticket)
    record(desk.session, ticket, "urgent", by, desk.now)
    retime(desk, ticket, by)
    text = say("alert_urgent", **desk.facts(ticket))
    told = {by}
    if ticket.worker and ticket.worker not in told:
        desk.alert(ticket.worker, ticket, text, "urgent")
        told.add(ticket.worker)
    for other in dispatch.staff_above(desk.town, ticket.grid, Role.COMMUNITY, desk.now):
        if other.person not in told:
            desk.alert(other.person, ticket, text, "urgent")


def sensitive(desk: Desk, ticket: Ticket, by: str, *, on: bool) -> None:
    """Not for the group from now on, or for it again. Nobody is told. Raises NotYours, BadCorrection."""
    check(desk, ticket, by)
    _check_change(ticket, "sensitive", ticket.sensitive, on)
    keep_correction(desk, ticket, CorrectionKind.SENSITIVE, by, {"sensitive": ticket.sensitive}, {"sensitive": on})
    _set_sensitive(desk, ticket, by, on=on)


def _set_sensitive(desk: Desk, ticket: Ticket, by: str, *, on: bool) -> None:
    ticket.sensitive = on
    desk.session.add(ticket)
    record(desk.session, ticket, "hidden" if on else "shown", by, desk.now)


def _check_change(ticket: Ticket, field: str, now: bool, wanted: bool) -> None:
    if now == wanted:
        message = f"{ticket.number} is {field} already" if now else f"{ticket.number} is not {field}"
        raise BadCorrection(field, message, "worker_unchanged", number=ticket.number)


def dismiss(desk: Desk, ticket: Ticket, by: str, note: str = "") -> None:
    """非诉求: looked at, and nothing to do; who was told that it is dealt with hears so. Whoever may work on the ticket
    may say it. Raises NotYours, NotAllowed where the ticket has ended; nothing has changed then."""
    if not dispatch.may_act(desk.town, by, ticket.grid, ticket.worker, ticket.category):
        raise NotYours(f"{by} has no duty to dismiss {ticket.number}.")
    if not may(ticket, Status.DISMISSED, Actor.WORKER):
        raise NotAllowed(f"{ticket.number} is {ticket.status.value}: it cannot be dismissed.")
    before = {"status": ticket.status.value, "category": ticket.category}
    move(desk.session, ticket, Status.DISMISSED, Actor.WORKER, by, desk.now, note=note)
    keep_correction(desk, ticket, CorrectionKind.DISMISSED, by, before, {"status": ticket.status.value, "note": note})
    desk.tell_supporters(ticket, "dismissed")


def _tell_worker(desk: Desk, ticket: Ticket, by: str) -> None:
    if ticket.is_open and ticket.worker != by:
        desk.alert_worker(ticket, "alert_corrected", "corrected", card=True, due=desk.due_text(ticket))


def named(code: str) -> str:
    """A category for an answer: its leaf's name."""
    known = categories().get(code)
    return known.name if known else code
