"""What gridworkers and staff say and press: 接单, 到场, 办结, 转派, 非诉求, and questions about their own work."""

import re
from collections.abc import Callable, Sequence

from config.tables import category_name
from handlers import correct, dispatch
from handlers.chosen import NUMBER, in_hand, meant
from handlers.context import Context
from handlers.filters import from_worker
from handlers.intake import open_matter
from handlers.matters import held_media, keep
from handlers.place import locate
from handlers.router import Router
from handlers.texts import say
from handlers.workflow import Actor, NotAllowed, may, move, record
from models.ticket import Status, Ticket
from nlu.types import Matter

duty = Router("duty")
MANY = 12
PICTURES = ("image/jpeg", "image/png")  # as all are kept
WORDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("transfer", re.compile(r"转派|转给|转(?!发|账|弯|角|人工|了)|派给|移交|退回|不归我")),
    ("dismiss", re.compile(r"非诉求|不是诉求|误报|无效")),
    ("done", re.compile(r"办结(?!的|多少|了吗|没)|办完|处理(好|完)|搞定|修好了|完成|结单|已解决|已处理")),
    ("arrive", re.compile(r"到场|到现场|(?<![收听接看找拿等])到了|在现场")),
    ("accept", re.compile(r"接单|接了|我去|马上(去|到)|收到|处理中|在处理|安排(上|了)")),
)
LIST = re.compile(r"几件|多少件|哪些|待办|清单|列表|没办(?!法)|未办|手上|还有(啥|什么|几)")


BACK = re.compile(r"退回|退单|不归我|不是我们管")
QUESTION = re.compile(r"[?？吗么]$|[?？]|了没|到了没|发我|查一下|查下|帮我查|啥时候|什么时候|登记过什么")
# Just before a command these say that it is not done, or not yet.
NOT_YET = re.compile(
    r"(?:没|未|不|别|无法|难|快|明天|后天|下午|晚上|下周|等|才|准备|打算|争取|尽快|马上就?)[^\s,，。;；!！]{0,5}$"
)
SOUNDS = re.compile(r"[嗯啊哦噢喔哎诶欸唉喂嗨哈呵嘿呃额哟呀哇嘛\W]*")  # and no word
IDLE = 0.65  # of what workers write about their work nothing in the training data sounds so idle
FOUND = 0.6
# Of report and chatter alone, since nearly all that workers write to the bot is work. At 0.003 97% of the shortest
# reports of the training data are finds, and 4% of the shortest chatter (12% without).
TOLD = 0.003


def said_command(text: str) -> str | None:
    """The command in a worker's words; none where they say that it is not so yet: 还没到场, 明天办结, 不能接单."""
    for name, words in WORDS:
        for match in words.finditer(text):
            if not NOT_YET.search(text[: match.start()]):
                return name
    return None


@duty.on(lambda ctx: ctx.message.action is not None)
def pressed(ctx: Context) -> str:
    """A button on a task card. Its key names a ticket and proves nothing: the one who pressed it is checked."""
    name, _, number = (ctx.message.action or "").partition(":")
    number, _, extra = number.partition(":")
    ticket = ctx.session.get(Ticket, int(number)) if number.isdigit() and len(number) < 16 else None
    if ticket is None or name not in ACTIONS:
        _tell(ctx, "worker_refused")
        return "refused"
    return _act(ctx, name, ticket, extra)


@duty.on(from_worker, lambda ctx: ctx.direct or "bot" in ctx.message.mentions)
def commanded(ctx: Context) -> str | None:
    """A worker's words to the bot: a command for one of her tickets, a list, or the facts of a matter."""
    text = ctx.message.text
    command = said_command(text)
    u = ctx.understanding
    if LIST.search(text) and u.p("work", "status", "ask") >= 0.3:
        _list(ctx)
        return "work"
    if u.p("report") > max(u.p("work"), ctx.decisions.open) and not NUMBER.search(text):
        return None  # her own find on patrol
    asks = QUESTION.search(text) is not None
    if command is None and not asks and u.p("chatter") > IDLE:
        return None
    chosen, clear = meant(ctx)
    if command is None and not asks and not clear and (kind := _find(ctx)):
        return open_matter(ctx, kind, locate(ctx.town, ctx.where()), held_media(ctx))
    if chosen is None or not _allowed(ctx, chosen):
        return _unclear(ctx, chosen, command is not None or asks)
    return _carry_out(ctx, chosen, None if asks else command, clear=clear, asks=asks)


def _carry_out(ctx: Context, chosen: Ticket, command: str | None, *, clear: bool, asks: bool) -> str:
    """Her words are for `chosen`: a question about it, a command, or a note for its history."""
    if asks:
        _tell(ctx, "worker_line", chosen, due=ctx.due_text(chosen))
    elif command is not None and clear:
        return _act(ctx, command, chosen, ctx.message.text)
    elif command is not None:
        _tell(ctx, "worker_which", options=_numbers(ctx))
    else:
        keep(ctx, chosen, ctx.message, "work")
        record(ctx.session, chosen, "note", ctx.who, ctx.now, ctx.message.text)
        _tell(ctx, "worker_noted", chosen)
    return "work"


def _find(ctx: Context) -> Matter | None:
    """What she found on patrol: a kind of matter is plain from her words, and none of her tickets fits.

    Of 你好 the kinds are asked in vain, and one of them may seem plain all the same: so the words must not be such as
    people only chat in.
    """
    if SOUNDS.fullmatch(ctx.message.text):
        return None
    u, matter = ctx.understanding, ctx.understanding.matters[0]
    report, chatter = u.p("report"), u.p("chatter")
    idle = report < TOLD * (report + chatter) and not ctx.is_urgent(matter)
    return None if idle or matter.categories[0][1] < FOUND else matter


def _tell(ctx: Context, name: str, ticket: Ticket | None = None, **values: object) -> None:
    """Answer a worker: in her direct chat, also when she spoke in a group; what she works on is no group's business."""
    if ctx.direct:
        ctx.say(name, ticket, more=False, **values)
    elif not ctx.whisper(name, ticket, **values):
        ctx.say("worker_in_private")


def _unclear(ctx: Context, chosen: Ticket | None, wanted: bool) -> str | None:
    if not wanted:
        return None
    if chosen is not None:
        _tell(ctx, "worker_refused")
    elif in_hand(ctx):
        _tell(ctx, "worker_which", options=_numbers(ctx))
    else:
        _tell(ctx, "worker_none")
    return "work"


def _numbers(ctx: Context) -> str:
    return "、".join(ticket.number for ticket in in_hand(ctx)[:MANY])


def _allowed(ctx: Context, ticket: Ticket) -> bool:
    person = ctx.person.code if ctx.person else ""
    return bool(person) and dispatch.may_act(ctx.town, person, ticket.grid, ticket.worker, ticket.category)


def _list(ctx: Context) -> None:
    mine = in_hand(ctx)
    if not mine:
        _tell(ctx, "worker_none")
        return
    lines = [say("worker_line", **ctx.facts(ticket), due=ctx.due_text(ticket)) for ticket in mine[:MANY]]
    _tell(ctx, "worker_list", count=len(mine), options="\n".join(lines))


def _act(ctx: Context, name: str, ticket: Ticket, extra: str) -> str:
    """Do it if she may. A refusal changes nothing."""
    if not _allowed(ctx, ticket):
        record(ctx.session, ticket, "refused", ctx.who, ctx.now, name)
        _tell(ctx, "worker_refused")
        return "refused"
    try:
        ACTIONS[name](ctx, ticket, extra)
    except NotAllowed:
        _tell(ctx, "worker_cannot", ticket)
        return "refused"
    return "work"


def accept(ctx: Context, ticket: Ticket, _extra: str) -> None:
    """接单: the ticket is hers, the chat hears that somebody is at it."""
    if ticket.status == Status.ACCEPTED and ticket.worker == ctx.who:
        _tell(ctx, "worker_accepted", ticket)
        return
    move(ctx.session, ticket, Status.ACCEPTED, Actor.WORKER, ctx.who, ctx.now)
    if ticket.worker != ctx.who:
        ctx.alert_worker(ticket, "alert_taken", "taken over")
    ticket.worker = ctx.who
    ticket.quiet = False
    _tell(ctx, "worker_accepted", ticket)
    ctx.tell_supporters(ticket, "accepted")


def arrive(ctx: Context, ticket: Ticket, _extra: str) -> None:
    """到场: on the spot; accepts the ticket if nobody has."""
    if ticket.status != Status.ACCEPTED:
        move(ctx.session, ticket, Status.ACCEPTED, Actor.WORKER, ctx.who, ctx.now)
        ticket.worker = ctx.who
    record(ctx.session, ticket, "arrived", ctx.who, ctx.now)
    _tell(ctx, "worker_arrived", ticket)
    ctx.tell_supporters(ticket, "arrived")


def done(ctx: Context, ticket: Ticket, extra: str) -> None:
    """办结: settled; everybody who told of it is asked to rate."""
    move(ctx.session, ticket, Status.RESOLVED, Actor.WORKER, ctx.who, ctx.now, note=extra)
    if ctx.message.media:
        keep(ctx, ticket, ctx.message, "work")  # the picture of the work done (办结照片)
    _tell(ctx, "worker_resolved", ticket)
    shown = next((media.path for media in ctx.message.media if media.mime in PICTURES), "")
    ctx.tell_supporters(ticket, "resolved", picture=shown)


def dismiss(ctx: Context, ticket: Ticket, extra: str) -> None:
    """非诉求: looked at, and nothing to do; who was told that it is dealt with hears so. Kept to learn from."""
    if not may(ticket, Status.DISMISSED, Actor.WORKER):
        raise NotAllowed(f"{ticket.number}: {ticket.status} cannot be dismissed")
    _tell(ctx, "worker_dismissed", ticket)
    correct.dismiss(ctx, ticket, ctx.who, extra)


def transfer(ctx: Context, ticket: Ticket, extra: str) -> None:
    """转派: to the department she names or the routes name; 退回: to the staff of the level above."""
    if not may(ticket, Status.ASSIGNED, Actor.WORKER):
        raise NotAllowed(f"{ticket.number}: {ticket.status} cannot be handed on")
    here = set(ctx.town.chain(ticket.grid))
    known = sorted({route.department for route in ctx.town.routes if route.grid in here})
    named = next((name for name in sorted(known, key=len, reverse=True) if name in extra), None) or _near(extra, known)
    back = named is None and BACK.search(extra) is not None
    department = None if back else named or dispatch.department(ctx.town, ticket.category, ticket.grid)
    people = dispatch.department_people(ctx.town, department, ticket.grid, ctx.now) if department else []
    people = [one for one in people if one.person != ctx.who]
    if not people:
        department = None
        people = [
            one
            for role in dispatch.LEVELS
            for one in dispatch.staff_above(ctx.town, ticket.grid, role, ctx.now)
            if one.person != ctx.who
        ]
    if not people:
        _tell(ctx, "worker_transfer_whom", ticket, options=" / ".join(known[:6]) or category_name(ticket.category))
        return
    to = department or ctx.town.people[people[0].person].name
    record(ctx.session, ticket, "transferred", ctx.who, ctx.now, to)
    _tell(ctx, "worker_transferred", ticket, department=to)
    ctx.assign(ticket, people[0], name="alert_transferred")
    if department:
        ctx.tell_supporters(ticket, "transferred", department=department)


def _near(extra: str, known: Sequence[str]) -> str | None:
    """转给物业 means 柳岸物业: the only department one of whose endings is named."""
    hits = [name for name in known if any(name[-size:] in extra for size in (4, 3, 2) if len(name) > size)]
    return hits[0] if len(hits) == 1 else None


ACTIONS: dict[str, Callable[[Context, Ticket, str], None]] = {
    "accept": accept,
    "arrive": arrive,
    "done": done,
    "dismiss": dismiss,
    "transfer": transfer,
}
