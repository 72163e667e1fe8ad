"""Somebody comes in by the door: she follows the account, opens the chat, or scans a QR code in her stairway (楼道码).

The scene of a code says where it hangs, not who scans it. It gives somebody whom the register does not know a home, for
placing what she tells; it never changes the register's, and gives no power. Channels hand over only scenes whose
signature they have checked (`bot.scenes`), in `Incoming.platform`, which nobody can write into from outside.
"""

from handlers import binding
from handlers.context import Context
from handlers.router import Router
from models.person import Link, Origin, get
from models.whois import enrol, link

arrival = Router("arrival")
SCENE, ENTER = "scene", "enter"
PLACE, GRID, CODE = "place", "grid", "code"


@arrival.on(lambda ctx: ctx.direct and SCENE in ctx.message.platform)
def scanned(ctx: Context) -> str:
    """A QR code: `place:P-LA-B03`, `grid:QX-01`, or `code:12345678` (a one-time code of staff, as if it was said)."""
    kind, _, value = ctx.message.platform[SCENE].partition(":")
    if kind == CODE:
        return binding.said(ctx, value, meant=True) or "bind"
    place = ctx.town.places.get(value) if kind == PLACE else None
    grid = ctx.town.grids.get(value) if kind == GRID else None
    if place is None and grid is None:
        ctx.say("help")
        return "arrived"
    _settle(ctx, place.code if place else None, grid.code if grid else None)
    ctx.say("scanned", where=place.name if place else grid.name if grid else "")
    return "arrived"


@arrival.on(lambda ctx: ctx.direct and ENTER in ctx.message.platform)
def entered(ctx: Context) -> str:
    """She follows the account or opens the chat for the first time. `first`: only then does the bot begin to speak."""
    if ctx.message.platform[ENTER] == "first":
        ctx.say("help")
    return "arrived"


def _settle(ctx: Context, home: str | None, grid: str | None) -> None:
    if ctx.person is None:
        person = enrol(ctx.session, ctx.now, home=home, grid=grid)
        link(ctx.session, person.code, (ctx.message.channel, ctx.message.sender), Link.SCENE, Link.SCENE, ctx.now)
    elif ctx.person.origin == Origin.SELF:
        person = get(ctx.session, ctx.person.code)
        person.home, person.grid = home, grid  # the newest code counts: people move
        ctx.session.add(person)
