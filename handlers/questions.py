"""Questions to the bot: answered from config/faq.yaml, or handed to a human."""

import re
from dataclasses import dataclass

from config.tables import TableError, mapping, once
from handlers import dispatch
from handlers.assembly import rank
from handlers.context import Context
from handlers.filters import QUESTION, direct, intent, to_bot, unread
from handlers.place import HOME, locate
from handlers.progress import stands
from handlers.router import Router
from handlers.texts import say, word
from models.person import LEVELS_OF_STAFF, Role
from nlu.normalize import normalize

questions = Router("questions")
at_once = Router("at_once")  # what is plain without the heads, which may take a button's words for something else
taught = Router("taught")  # words the bot itself teaches: asked before anything else
SURE = 0.34
CERTAIN = 0.6
ASIDE = 0.85
# Words that the bot itself teaches people to say: they work whatever the heads think.
HUMAN = re.compile(r"^(?:转|找|要|叫)?(?:个|一个)?(?:人工|真人)(?:客服|服务)?[。！!]*$|^转人工")
MENTION = re.compile(r"@\S+\s?")
SURELY_TALK = 0.8
# What a button of the account's menu says for who presses it (config/wechat_menu.yaml), and whoever types the same.
REPORTS = re.compile(r"^我?(?:想|要|想要)?(?:反映|上报)(?:一?个|一下|点)?(?:问题|情况|事情?)[。！!]*$")
WHO = re.compile(r"网格[员长]是谁[。？?！!]*$|^谁是我们?(?:这里)?的?微?网格[员长][。？?！!]*$")
THANKS = re.compile(r"谢谢|感谢|辛苦|好的|收到|麻烦了|多谢|嗯嗯")
IN_CHARGE = "@in_charge"
_NOISE = re.compile(
    r"@\S+\s?|[\s,，。？?！!、~～]|请问|问一下|问下|想问|麻烦|谢谢|你好|您好|啊|呀|呢|吗|嘛|哈|咱|我们|俺|阿拉"
)
GREETING = re.compile(r"^(你好|您好|在吗|在不在|hi|hello|有人吗|喂|哈喽|邻声)[?？!！。~ ]*$")


@dataclass(frozen=True)
class Answer:
    """One entry of faq.yaml, with the bigrams of every way to ask."""

    name: str
    answer: str
    grams: tuple[frozenset[str], ...]


def _grams(text: str) -> frozenset[str]:
    plain = _NOISE.sub("", normalize(text))
    return frozenset(plain[i : i + 2] for i in range(len(plain) - 1)) or frozenset(plain)


@once
def _answers() -> tuple[Answer, ...]:
    out = []
    for number, row in enumerate(mapping("faq.yaml").get("faq") or [], 1):
        if not isinstance(row, dict) or not row.get("ask") or not row.get("answer"):
            raise TableError(f"faq.yaml: entry {number}: needs `ask` and `answer`")
        out.append(Answer(row.get("name", str(number)), row["answer"], tuple(_grams(ask) for ask in row["ask"])))
    return tuple(out)


def answer_to(text: str, sure: float = SURE) -> str | None:
    """The answer whose question is nearest (Dice over character pairs), or None when none is as near as `sure`."""
    mine = _grams(text)
    scored = [
        (2 * len(mine & grams) / (len(mine) + len(grams)), answer.answer)
        for answer in _answers()
        for grams in answer.grams
        if mine
    ]
    best = max(scored, default=(0.0, ""))
    return best[1] if best[0] >= sure else None


def plain(ctx: Context) -> str:
    """The message's words without whom they mention."""
    return MENTION.sub("", ctx.message.text).strip()


@questions.on(intent("ask", "order"), to_bot)
def asked(ctx: Context) -> str:
    """A service question or order to the bot: answered from the table, else handed to the community's staff."""
    found = answer_to(ctx.message.text) if ctx.understanding.p("ask") >= ctx.understanding.p("order") else None
    if found == IN_CHARGE:
        in_charge(ctx)
    elif found:
        ctx.post(ctx.message.channel, ctx.message.chat, found)
    else:
        hand_over(ctx, "ordered" if ctx.understanding.p("order") > ctx.understanding.p("ask") else "handed_over")
    return "ask"


@questions.on(intent("ask"), lambda ctx: ctx.understanding.p("ask") >= ctx.decisions.open)
def asked_around(ctx: Context) -> str | None:
    """A service question to nobody in particular: answered only when the table is sure, else silence."""
    found = answer_to(ctx.message.text)
    if found is None or found == IN_CHARGE or ctx.understanding.p("ask") < ASIDE:
        return None
    ctx.post(ctx.message.channel, ctx.message.chat, found)
    return "ask"


def in_charge(ctx: Context) -> None:
    """一牌通示: who is responsible where she names a place; else where the sender lives in the chat's grid, else in the
    chat's own. Where none of it is known she is asked: whoever has the whole town is not her gridworker."""
    home = _home_grid(ctx)
    named = locate(ctx.town, ctx.where())
    grid = home if home and (ctx.grid is None or ctx.town.within(home, ctx.grid)) else ctx.grid or home
    grid = named.grid if named.weight > HOME else grid
    there = dispatch.responsible(ctx.town, grid, ctx.now)
    first = [duty.person for code in ctx.town.chain(grid) for duty in ctx.town.on_duty(code, Role.LEADER)][:1]
    leaders = "、".join(ctx.town.people[code].name for code in first if code in ctx.town.people)
    worker = ctx.town.people[there.person].name if there else ""
    sentence = "in_charge_where" if grid is None else "in_charge" if leaders else "in_charge_alone"
    if grid is not None and not worker:  # a deployment without anybody
        hand_over(ctx, "handed_over")
    elif ctx.direct:
        ctx.say(sentence, workers=worker, leaders=leaders)
    # Names never stand in a group: the answer goes to the direct chat where there is one.
    elif not ctx.whisper(sentence, workers=worker, leaders=leaders):
        hand_over(ctx, "handed_over")


@at_once.on(direct, unread)
def asks_for_words(ctx: Context) -> str:
    """A card, a note, a record of pictures only: whoever sent it is told that nobody has read it."""
    ctx.say("unread")
    return "unread"


@taught.on(to_bot, lambda ctx: not ctx.is_worker and bool(GREETING.match(normalize(plain(ctx)))))
def greeted(ctx: Context) -> str:
    """你好: what the bot is for."""
    ctx.say("help")
    return "help"


@at_once.on(to_bot, lambda ctx: bool(REPORTS.search(plain(ctx))))
def wants_to_report(ctx: Context) -> str:
    """我要反映问题: what, and where? There is nothing yet that anybody could deal with."""
    ctx.say("ask_report")
    return "help"


@at_once.on(direct, lambda ctx: bool(WHO.search(plain(ctx))))
def wants_to_know_who(ctx: Context) -> str:
    """我们这里的网格员是谁."""
    in_charge(ctx)
    return "ask"


@taught.on(lambda ctx: intent("human")(ctx) or bool(HUMAN.search(plain(ctx))), to_bot)
def wants_human(ctx: Context) -> str:
    """转人工."""
    hand_over(ctx, "handed_over")
    return "human"


@questions.on(intent("work"), direct, lambda ctx: not ctx.is_worker)
def passes_on(ctx: Context) -> str | None:
    """A leader or resident tells the bot how a matter goes: its worker gets the words."""
    ranked = rank(ctx, ctx.understanding.matters[0], locate(ctx.town, ctx.where()))
    best = next((linked.ticket for linked in ranked if linked.points >= ctx.decisions.link.suggest), None)
    if best is None:
        return None
    ctx.news(best, "alert_more", "note", words=ctx.message.words)
    ctx.say("passed_on", best)
    return "work"


@questions.on(to_bot, lambda ctx: not ctx.is_worker)
def spoken_to(ctx: Context) -> str | None:
    """The bot is spoken to and nothing else fits: thanks get silence, a question gets a human."""
    u = ctx.understanding
    text = plain(ctx)
    asks = QUESTION.search(text) is not None
    found = answer_to(text, SURE if asks else CERTAIN)
    if found is None and (not text or not (asks or _mentions(ctx)) or (u.p("chatter") > SURELY_TALK and not asks)):
        return None
    if found:
        if found == IN_CHARGE:
            in_charge(ctx)
        else:
            ctx.post(ctx.message.channel, ctx.message.chat, found)
        return "ask"
    if asks and (outcome := stands(ctx)):
        return outcome
    if THANKS.search(text):
        return None
    hand_over(ctx, "handed_over")
    return "human"


def _mentions(ctx: Context) -> bool:
    return "bot" in ctx.message.mentions


def _home_grid(ctx: Context) -> str | None:
    home = ctx.town.places.get(ctx.person.home or "") if ctx.person else None
    return home.grid if home else ctx.person.grid if ctx.person else None


def hand_over(ctx: Context, name: str) -> None:
    """To the staff of the community: they get the words, the sender hears that they have them."""
    ctx.say(name)
    grid = ctx.grid or _home_grid(ctx) or ctx.town.root
    where = ctx.chat.name if ctx.chat and not ctx.direct else word("private_chat")
    for role in LEVELS_OF_STAFF:
        staff = dispatch.staff_above(ctx.town, grid, role, ctx.now)
        if staff:
            who = (ctx.person.name if ctx.person else "") or ctx.message.sender_name or word("somebody")
            text = say("alert_relay", who=who, where=where, words=ctx.words)
            ctx.alert(staff[0].person, None, text, "question")
            return
