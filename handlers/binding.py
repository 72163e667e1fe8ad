"""绑定: the same person on another channel. The bot gives a code in one direct chat, she says it in the other one, and
says once more that it is hers.

Never in a group. A code moves no powers: people with a duty are linked by staff, and so are two of the register.
"""

import re

from config.tables import TableError
from handlers.context import Context
from handlers.filters import direct, to_bot
from handlers.questions import hand_over, plain
from handlers.router import Found, Router
from handlers.texts import say, word
from models import binding as codes
from models.binding import BindCode, Said
from models.person import Link, NoSuchPerson, Origin, Person, Role
from models.whois import Address, current, enrol, link, merge, owner, split, who_are
from nlu.normalize import normalize

binding = Router("binding")
ASKS = re.compile(
    r"^(?:怎么|怎样|如何|我要|我想|帮我)?(?:绑定|关联)(?:一下)?(?:我的)?(?:账号|帐号|微信|企业微信|身份)?(?:[吗呢啊]|怎么弄)?[?？]?$"
)
CODE = re.compile(r"^(?P<meant>绑定|关联|绑定码)?[\s::]*(?P<one>\d{4})[\s-]?(?P<two>\d{4})$")
YES = re.compile(r"^确认绑定$")
UNDO = re.compile(r"^(?:解除|取消)(?:绑定|关联)$")
_END = " 。！!.,，~～“”‘’\"'「」"
_BLANKS = re.compile(r"(?<=[^\x00-\x7f])\s+(?=[^\x00-\x7f])")


def words(ctx: Context) -> str:
    """What was said, without whom it mentions, the marks around it (the bot writes “绑定”, and people copy that) and
    blanks between its characters."""
    return _BLANKS.sub("", normalize(plain(ctx)).strip(_END))


def _code(ctx: Context) -> Found | None:
    found = CODE.match(words(ctx)) if ctx.message.text else None
    return {"code": found["one"] + found["two"], "meant": bool(found["meant"])} if found else None


@binding.on(to_bot, lambda ctx: bool(ASKS.match(words(ctx))))
def asked(ctx: Context) -> str:
    """绑定: a code for the other chat."""
    if not ctx.direct:
        ctx.say("ask_in_private")
    elif _has_duty(ctx, ctx.person):
        hand_over(ctx, "bind_by_staff")
    else:
        m = ctx.message
        code = codes.issue(ctx.session, ctx.now, channel=m.channel, user=m.sender, chat=m.chat)
        ctx.say("bind_code", code=f"{code[:4]} {code[4:]}", minutes=int(codes.VALID.total_seconds() // 60))
    return "bind"


@binding.on(_code)
def said(ctx: Context, code: str, meant: bool) -> str | None:
    """A code. Eight bare digits that are none pass on: they may be a telephone number; they count as a guess."""
    m = ctx.message
    if not ctx.direct:
        codes.burn(ctx.session, code, ctx.now)  # whoever reads it here could say it
        if not meant:
            return None
        ctx.say("ask_in_private")
        return "bind"
    if not meant and not codes.waiting(ctx.session, ctx.now):
        return None
    found, row = codes.say(ctx.session, code, m.channel, m.sender, ctx.now)
    if found in (Said.WRONG, Said.LOCKED) and not meant:
        return None
    if row is None:
        ctx.say("bind_locked" if found == Said.LOCKED else "bind_wrong")
    elif found == Said.OWN:
        ctx.say("bind_elsewhere")
    elif _same(ctx.person, giver := _giver(ctx, row)):
        codes.use(ctx.session, row)
        ctx.say("bind_already")
    elif not _may(ctx, row):
        codes.use(ctx.session, row)
        hand_over(ctx, "bind_by_staff")
    elif row.person is not None:
        ctx.say("bind_confirm_register", who=masked(giver.name if giver else ""))
    else:
        ctx.say("bind_confirm", channel=channel_name(row.channel))
    return "bind"


@binding.on(direct, lambda ctx: bool(YES.match(words(ctx))))
def confirmed(ctx: Context) -> str | None:
    """确认绑定, after a right code: the two are one person, and the other chat hears of it."""
    m = ctx.message
    row = codes.claimed(ctx.session, m.channel, m.sender, ctx.now)
    if row is None or not _may(ctx, row) or not codes.use(ctx.session, row):
        return None
    _join(ctx, row)
    ctx.say("bind_done")
    if row.chat:
        ctx.post(row.channel, row.chat, say("bind_done_there", channel=channel_name(m.channel)))
    return "bind"


@binding.on(direct, lambda ctx: bool(UNDO.match(words(ctx))))
def undone(ctx: Context) -> str:
    """解除绑定: the last link that a code made is undone, said in either chat."""
    rows = [row for one in ctx.addresses if (row := owner(ctx.session, *one)) is not None and row.how == Link.CODE]
    last = max(rows, key=lambda row: (row.since is not None, row.since), default=None)
    if ctx.person is None or last is None or len(ctx.addresses) == 1:
        ctx.say("bind_none")
    elif _has_duty(ctx, ctx.person):
        hand_over(ctx, "bind_by_staff")
    else:
        taken: list[Address] = [(row.channel, row.user) for row in rows if row.since == last.since]
        split(ctx.session, ctx.person.code, taken, Link.CODE, ctx.now)
        ctx.say("bind_undone")
    return "bind"


def _join(ctx: Context, row: BindCode) -> None:
    """Nobody's user ids go to whom we know; of two whom we know the register's entry stays."""
    session, now, m = ctx.session, ctx.now, ctx.message
    mine = ctx.person
    other = _giver(ctx, row)
    if mine is not None and other is not None:
        gone, kept = (other, mine) if mine.origin == Origin.REGISTER else (mine, other)
        merge(session, gone.code, kept.code, Link.CODE, Link.CODE, now)
        return
    person = mine or other or enrol(session, now)
    for address in ((m.channel, m.sender), (row.channel, row.user)):
        if address[1] and owner(session, *address) is None:
            link(session, person.code, address, Link.CODE, Link.CODE, now)


def _may(ctx: Context, row: BindCode) -> bool:
    """Staff gave it out for somebody without any other entry, or nobody with a duty and one entry at most is in it."""
    mine, other = ctx.person, _giver(ctx, row)
    both = mine is not None and other is not None and mine.origin == other.origin == Origin.REGISTER
    if row.person is not None:
        return not both and not _has_duty(ctx, mine)
    return not both and not _has_duty(ctx, mine) and not _has_duty(ctx, other)


def _giver(ctx: Context, row: BindCode) -> Person | None:
    """Who was given the code; None where nobody knows her."""
    if row.person is None:
        own = (row.channel, row.user)
        return who_are(ctx.session, [own])[own].person
    try:
        return current(ctx.session, row.person)
    except NoSuchPerson:  # she had her data deleted since
        return None


def _same(one: Person | None, other: Person | None) -> bool:
    return one is not None and other is not None and one.code == other.code


def _has_duty(ctx: Context, person: Person | None) -> bool:
    return bool(ctx.town.roles(person.code if person else None) - {Role.RESIDENT})


def masked(name: str) -> str:
    """张伟 → 张**: enough to know oneself by. Source: PIPL 25, the platforms' own habit."""
    return f"{name[:1]}**" if name else word("somebody")


def channel_name(channel: str) -> str:
    """The channel as people call it."""
    try:
        return word(f"channel_{channel}")
    except TableError:
        return word("channel_other")
