"""查询我的信息, 删除我的信息: in every direct chat, about who writes and nobody else. Source: PIPL 44, 45, 47."""

import re

import sqlalchemy as sa
from sqlmodel import col

from config.privacy import privacy
from handlers.binding import channel_name, masked, words
from handlers.context import Context
from handlers.erasing import ERASED, HELD, erase, told_by
from handlers.filters import intent, to_bot
from handlers.masking import mobiles
from handlers.questions import hand_over, plain
from handlers.router import Found, Router
from handlers.texts import word
from models import privacy as kept
from models.inbox import Inbox
from models.person import Role
from models.ticket import Attachment, Ticket, TicketMessage
from models.whois import hers
from nlu.types import MATTER, Utterance

aboutme = Router("aboutme")
_ALL_MINE = r"我的?(?:所有|全部|一切)?的?(?:个人)?(?:信息|资料|数据|记录)"
ABOUT_ME = re.compile(
    rf"(?:查询|查看|查一?下|查查|删除|删掉|删|清除|清空|注销)(?:一下)?{_ALL_MINE}"
    rf"|把?{_ALL_MINE}(?:都|全|全部)?(?:删|清)(?:除|掉|空|了)*"
)
# What may stand around the wish without saying anything else, and wishes that are the whole message.
AROUND = re.compile(
    r"(?:请|麻烦|帮我?|给我|我?想|我?要|可以|能不能|能|你好|您好|谢谢|一下|都|了|吧|吗|嘛|呀|啊|哦|哈|顺便|现在|马上|立即|立刻|\W)*"
)
ALONE = re.compile(r"我?要?注销(?:账号|帐号)?|(?:我要)?(?:撤回|撤销)(?:同意|授权)")
DELETES = re.compile(r"删|注销|清除|清空|抹掉|销掉|(?:撤回|撤销)(?:授权|同意)|别存|不要存|别再记录")
YES = re.compile(r"^确认删除$")
SHOWN = 10  # ticket numbers


@aboutme.on(to_bot, lambda ctx: bool(YES.match(words(ctx))))
def confirmed(ctx: Context) -> str:
    """确认删除: done now, if she asked in this chat a moment ago; else she is told what to say first."""
    m = ctx.message
    if not ctx.direct:
        ctx.say("ask_in_private")
        return "privacy"
    asked = kept.wished(ctx.session, m.channel, m.sender, ctx.now - privacy().confirm_within)
    if not asked or ctx.roles - {Role.RESIDENT}:
        ctx.say("privacy_ask_first")
        return "privacy"
    held = erase(ctx, ctx.addresses, ctx.person)
    ctx.say("privacy_erased_held" if held else "privacy_erased", options=_numbers(held))
    return ERASED


def _besides(ctx: Context) -> Found | None:
    """What else a message says that holds the wish, too."""
    rest = ABOUT_ME.sub(" ", plain(ctx)).strip()
    return {"rest": rest} if rest != plain(ctx).strip() and not AROUND.fullmatch(rest) else None


def _wish(ctx: Context) -> bool:
    said = words(ctx)
    return intent("privacy")(ctx) or bool(ABOUT_ME.search(said)) or bool(ALONE.fullmatch(said))


@aboutme.on(to_bot, _besides)
def told_besides(ctx: Context, rest: str) -> str | None:
    """电梯坏了关人了，顺便查询我的信息: what somebody must deal with comes first, and is read without the wish."""
    if ctx.again is None:
        return None
    before, ctx.understanding = ctx.understanding, ctx.again(Utterance(rest, ctx.known.heard.context))
    if ctx.understanding.p(*MATTER) >= ctx.least or ctx.is_urgent():
        ctx.joined = rest
        return None
    ctx.understanding = before
    return asked(ctx)


@aboutme.on(_wish, to_bot)
def asked(ctx: Context) -> str | None:
    """What is kept is shown; a deletion is asked back once. People with a duty go to staff: their entry is no wish."""
    if ctx.joined:
        return None  # there is more in it, which comes first
    m = ctx.message
    if not ctx.direct:
        ctx.say("ask_in_private")
    elif not DELETES.search(m.text):
        _show(ctx)
    elif ctx.roles - {Role.RESIDENT}:
        hand_over(ctx, "privacy_delete")
    else:
        tickets = told_by(ctx.session, ctx.addresses)
        kept.wish(ctx.session, m.channel, m.sender, ctx.now)
        held = [ticket for ticket in tickets if ticket.status in HELD]
        name = "privacy_confirm_held" if held else "privacy_confirm"
        ctx.say(name, count=len(tickets), options=_numbers(held), minutes=int(privacy().confirm_minutes))
    return "privacy"


def _numbers(tickets: list[Ticket]) -> str:
    more = "…" if len(tickets) > SHOWN else ""
    return "、".join(ticket.number for ticket in tickets[-SHOWN:]) + more


def _show(ctx: Context) -> None:
    """How much there is of what; names and phones masked, her home down to the building."""
    tickets = told_by(ctx.session, ctx.addresses)
    mine = hers(col(TicketMessage.channel), col(TicketMessage.sender), ctx.addresses)
    said = ctx.session.execute(sa.select(col(TicketMessage.message), col(TicketMessage.text)).where(mine)).all()
    pictures = sa.select(sa.func.count(col(Attachment.id).distinct())).join(
        TicketMessage,
        sa.and_(
            col(TicketMessage.ticket) == col(Attachment.ticket), col(TicketMessage.message) == col(Attachment.message)
        ),
    )
    waiting = hers(col(Inbox.channel), col(Inbox.sender), ctx.addresses)
    phones = sorted({phone for _, text in said for phone in mobiles(text)})
    none = word("nothing_kept")
    ctx.say(
        "privacy_shown",
        called=masked(ctx.person.name) if ctx.person and ctx.person.name else none,
        home=_home(ctx) or none,
        phones=word("kinds_joined").join(phones) or none,
        channels=word("kinds_joined").join(dict.fromkeys(channel_name(channel) for channel, _ in ctx.addresses)),
        count=len(tickets),
        options=_numbers(tickets) or none,
        messages=ctx.session.scalar(sa.select(sa.func.count()).select_from(Inbox).where(waiting)) or 0,
        pictures=ctx.session.scalar(pictures.where(mine)) or 0,
        days=privacy().message_days,
    )


def _home(ctx: Context) -> str:
    if ctx.person is None:
        return ""
    place = ctx.town.places.get(ctx.person.home or "")
    grid = ctx.town.grids.get(ctx.person.grid or "")
    return place.name if place else grid.name if grid else ""
