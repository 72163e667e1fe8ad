"""`linsheng person link`, `merge`, `split`, `code`, `erasures`: who is who on the channels, as staff know it."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import sqlalchemy as sa
import typer
from sqlmodel import Session, col

from bot.cli import kf, show, wechat
from bot.cli.opened import database, looked_at
from bot.cli.scenes import sealed, secret_for
from bot.proving import PLATFORMS
from config.settings import load_settings
from handlers.corrected import NotYours
from models import binding, whois
from models import person as people
from models.base import utc_now
from models.person import STAFF, Duty, Link, Origin, Person
from models.privacy import Erasure
from models.whois import BadLink

NEWEST = 50
CHANNELS = (*PLATFORMS, "onebot", "archive", "web")  # where people write


class Qr(StrEnum):
    """Channels with QR codes that can carry a one-time code."""

    WECHAT_MP = "wechat_mp"
    WECOM_KF = "wecom_kf"


Code = Annotated[str, typer.Argument(help="Her code, as in people.csv.")]
Channel = Annotated[str, typer.Argument(help="The channel's name, such as wechat_mp.")]
User = Annotated[str, typer.Argument(help="Her user id there.")]
By = Annotated[str, typer.Option("--by", help="Who says so: a code of staff, as in people.csv.")]


def register(app: typer.Typer) -> None:
    """Put the commands beside those of `linsheng person`."""
    for command in (link, merge, split, code, erasures):
        app.command()(command)


def link(person: Code, channel: Channel, user: User, by: By) -> None:
    """A user id on a channel is this person's. Running workers notice by themselves."""
    user = user.strip()
    if channel not in CHANNELS:
        raise BadLink(f"there is no channel {channel!r} on which people write; choose from {', '.join(CHANNELS)}.")
    if not user:
        raise BadLink("the user id is empty.")
    _do(by, lambda session, now: whois.link(session, person, (channel, user), Link.STAFF, by, now))
    typer.echo(f"{person} is reached on {channel}, too.")


def merge(gone: Code, kept: Code, by: By) -> None:
    """Two entries are one person: the second one takes over tickets, ratings, home, duties, chats and user ids."""
    found: list[str] = []
    _do(by, lambda session, now: found.append(whois.merge(session, gone, kept, Link.STAFF, by, now).code))
    typer.echo(f"{gone} is {found[0]} now.")


def split(
    person: Code, channel: Channel, user: User, by: By,
    to: Annotated[str | None, typer.Option(help="Whose it is; without, somebody's whom nobody knows.")] = None,
) -> None:  # fmt: skip
    """A user id is not this person's after all: what was told under it goes with it."""
    _do(by, lambda session, now: whois.split(session, person, [(channel, user)], by, now, to))
    typer.echo(f"that user id on {channel} is {to or 'nobody'}'s.")


def code(
    person: Code, by: By,
    qr: Annotated[Qr | None, typer.Option(help="Also as a QR code of this channel, to scan instead.")] = None,
) -> None:  # fmt: skip
    """A one-time code to give to somebody in person: she says it to the bot in her direct chat within ten minutes, and
    then that it is hers."""
    settings = load_settings()
    if qr is not None:  # before a code is given out that is no good for it
        secret_for(settings)
        (wechat if qr == Qr.WECHAT_MP else kf).ready(settings)
    given: list[str] = []

    def work(session: Session, now: datetime) -> None:
        given.append(binding.issue(session, now, person=whois.current(session, person).code))

    _do(by, work)
    typer.echo(f"绑定 {given[0][:4]} {given[0][4:]}")
    if qr is not None:
        made = sealed(settings, f"code:{given[0]}")
        with database(settings) as db:
            on_account = qr == Qr.WECHAT_MP
            typer.echo(
                wechat.picture(settings, db, made, binding.VALID) if on_account else kf.address(settings, db, made)
            )


def erasures() -> None:
    """Deletions that residents asked for: when, how much, whether all is done; never whose. Then the codes that the
    town pack should not name any more."""
    settings = load_settings()

    def read(session: Session) -> tuple[list[tuple[object, ...]], list[str]]:
        rows = session.scalars(sa.select(Erasure).order_by(sa.desc(col(Erasure.id))).limit(NEWEST))
        left = sa.select(col(Person.code)).where(
            col(Person.erased_at).is_not(None), col(Person.origin) == Origin.REGISTER
        )
        return [_line(row) for row in rows], list(session.scalars(left.order_by(col(Person.code))))

    with looked_at(settings) as db:
        rows, codes = db.tx(read)
    show.table(("id", "at", "tickets", "still open then", "messages", "all done"), rows)
    if codes:
        typer.echo(f"take out of people.csv: {', '.join(codes)}")


def _line(row: Erasure) -> tuple[object, ...]:
    done = f"{row.done_at:%Y-%m-%d %H:%M}" if row.done_at else "not yet"
    return row.id, f"{row.at:%Y-%m-%d %H:%M}", row.tickets, row.held, row.messages, done


def _do(by: str, work: Callable[[Session, datetime], object]) -> None:
    """Raises NotYours unless `by` is staff; NoSuchPerson, BadLink."""

    def run(session: Session) -> None:
        people.get(session, by)
        roles = session.scalars(sa.select(col(Duty.role)).where(col(Duty.person) == by)).all()
        if not STAFF & set(roles):
            raise NotYours(f"{by} is no staff (社区, 街道, 区): only staff say who is who.")
        work(session, utc_now())

    with database(load_settings()) as db:
        db.tx(run)
