"""隐私告知: at her first contact somebody hears once what is kept of her, why, how long, and how to have it deleted.

Once by person and version of the notice (config/privacy.yaml), on whichever channel she came first. It stands at the
end of the first answer, because platforms count messages. Source: PIPL 14, 17.
"""

from config.privacy import privacy
from handlers.context import Context
from handlers.erasing import ERASED
from handlers.texts import say
from models import privacy as kept
from models.message import Purpose


def notify(ctx: Context, outcome: str) -> bool:
    """Give the notice, if this is a first contact. True when it was given.

    In a group nobody is told anything: whoever reports there hears it in her direct chat, if this channel has one.
    outcome: of the message.
    """
    rules = privacy()
    m = ctx.message
    if m.channel in rules.without or ctx.is_worker or outcome == ERASED:
        return False
    chat = m.chat if ctx.direct else _private(ctx) if outcome == "report" else None
    if chat is None or kept.noticed(ctx.session, list(ctx.addresses), rules.version):
        return False
    person = ctx.person.code if ctx.person else None
    if not kept.note(ctx.session, m.channel, m.sender, person, rules.version, ctx.now):
        return False
    text = notice()
    here = [i for i, out in enumerate(ctx.spoken) if (out.channel, out.chat) == (m.channel, chat) and _plain(ctx, i)]
    if here:
        ctx.amend(here[-1], text)
    else:
        ctx.post(m.channel, chat, text)
    ctx.informs(here[-1] if here else len(ctx.spoken) - 1, m.channel, m.sender)
    return True


def notice() -> str:
    """The words of the notice."""
    rules = privacy()
    return say("privacy_notice", keeper=rules.keeper, days=rules.message_days)


def _plain(ctx: Context, index: int) -> bool:
    out = ctx.spoken[index]
    return out.purpose == Purpose.REPLY and out.card is None


def _private(ctx: Context) -> str | None:
    """Her direct chat on the channel of the group, where she can be written to there.

    Somebody whom nobody knows can be where she has written herself before: then she heard a notice there. Platforms
    refuse to write to all others first, and what never arrives must not count as told (ADR 0028).
    """
    m = ctx.message
    if ctx.person is None:
        wrote = kept.noticed(ctx.session, [(m.channel, m.sender)])
        return ctx.town.direct_chat(m.channel, "", m.sender) if wrote else None
    reached = next((user for other, user in ctx.addresses if other == m.channel), None)
    return ctx.town.direct_chat(m.channel, ctx.person.code, reached) if reached else None
