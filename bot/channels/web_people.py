"""Who may sit in which web chat. The demo lets anybody be anybody, but only where that body belongs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlmodel import Session

from bot.channels.web_fault import Fault
from models.chat import Chat, ChatKind
from models.grid import Grid, Place
from models.person import Duty, Identity, Person, Role

CHANNEL = "web"
# Neighbours sit in the groups of their grid and above it; whoever serves an area also sits in the groups below it.
NEIGHBOURS = frozenset({Role.RESIDENT, Role.LEADER})
# Residents go no higher than the community (社区) or village (村): the groups above are for those who work there.
COMMUNITY = frozenset({"社区", "村"})


@dataclass(frozen=True)
class Member:
    """Somebody with a user id on this channel. roles: of all her duties; home: the place's name, or ""."""

    code: str
    name: str
    user: str
    home: str = ""
    roles: tuple[Role, ...] = field(default=())

    def view(self) -> dict[str, object]:
        """As the page sees her."""
        return {
            "code": self.code,
            "name": self.name,
            "user": self.user,
            "home": self.home,
            "roles": [role.value for role in self.roles],
        }


def members(session: Session, code: str | None = None) -> list[Member]:
    """Everybody that this channel knows, or only the person with this code; by code."""
    statement = (
        sa.select(Person.code, Person.name, Identity.user, Place.name)  # type: ignore[call-overload]
        .join(Identity, sa.and_(Identity.person == Person.code, Identity.channel == CHANNEL))  # type: ignore[arg-type]
        .outerjoin(Place, Place.code == Person.home)
        .order_by(Person.code, Identity.id)
    )
    duties = sa.select(Duty.person, Duty.role).order_by(Duty.id)  # type: ignore[call-overload]
    if code is not None:
        statement = statement.where(Person.code == code)
        duties = duties.where(Duty.person == code)
    roles: dict[str, dict[Role, None]] = {}
    for person, role in session.execute(duties):
        roles.setdefault(person, {})[role] = None
    found: dict[str, Member] = {}
    for person, name, user, home in session.execute(statement):
        # A person with two user ids speaks with the first.
        found.setdefault(person, Member(person, name, user, home or "", tuple(roles.get(person, ()))))
    return list(found.values())


def member(session: Session, code: str) -> Member:
    """The person with this code. Raises Fault 404."""
    found = members(session, code) if code and "\0" not in code else []
    if not found:
        raise Fault(404, "there is no such person on this channel", "person")
    return found[0]


def chats_of(session: Session, who: Member) -> list[Chat]:
    """Her direct chat with the bot (made on first use), then her groups, the smallest area first."""
    duties = session.execute(sa.select(Duty.role, Duty.grid).where(Duty.person == who.code)).all()  # type: ignore[call-overload]
    level = _grids_of(session, duties)
    groups = session.scalars(
        sa.select(Chat).where(
            Chat.channel == CHANNEL,  # type: ignore[arg-type]
            Chat.kind == ChatKind.GROUP,  # type: ignore[arg-type]
            Chat.grid.in_(level),  # type: ignore[union-attr]
        )
    ).all()
    return [direct_chat(session, who), *sorted(groups, key=lambda chat: (-level[chat.grid or ""], chat.code))]


def enter(session: Session, who: Member, code: str) -> Chat:
    """The chat with this code, if she sits in it. Raises Fault 404 (no such chat) or 403 (not hers)."""
    for chat in chats_of(session, who):
        if chat.code == code:
            return chat
    known = "\0" not in code and session.scalar(
        sa.select(sa.exists().where(Chat.channel == CHANNEL, Chat.code == code))  # type: ignore[arg-type]
    )
    if known:
        raise Fault(403, "this person does not sit in this chat", "chat")
    raise Fault(404, "there is no such chat", "chat")


def direct_chat(session: Session, who: Member) -> Chat:
    """Her chat with the bot. A chat `d-<user>` that an import left without a person becomes hers."""
    hers = sa.select(Chat).where(
        Chat.channel == CHANNEL,  # type: ignore[arg-type]
        Chat.kind == ChatKind.DIRECT,  # type: ignore[arg-type]
        Chat.person == who.code,  # type: ignore[arg-type]
    )
    found = session.scalars(hers.order_by(Chat.id).limit(1)).first()  # type: ignore[arg-type]
    if found is not None:
        return found
    code = f"d-{who.user}"[:128]
    chat = session.scalars(sa.select(Chat).where(Chat.channel == CHANNEL, Chat.code == code)).first()  # type: ignore[arg-type]
    if chat is None:
        chat = Chat(channel=CHANNEL, code=code, kind=ChatKind.DIRECT, person=who.code, name=who.name)
        try:
            with session.begin_nested():
                session.add(chat)
                session.flush()
        except sa.exc.IntegrityError:  # another request made it in the same moment
            return session.scalars(hers).one()
    elif chat.person is None:
        chat.person = who.code
        session.flush()
    return chat


def _grids_of(session: Session, duties: Iterable[Sequence[object]]) -> dict[str, int]:
    """Code → level of every grid whose group she sits in."""
    parents: dict[str, str | None] = {}
    children: dict[str | None, list[str]] = {}
    levels: dict[str, int] = {}
    communities: set[str] = set()
    for code, parent, level, kind in session.execute(sa.select(Grid.code, Grid.parent, Grid.level, Grid.kind)):  # type: ignore[call-overload]
        if kind in COMMUNITY:
            communities.add(code)
        parents[code] = parent
        children.setdefault(parent, []).append(code)
        levels[code] = level
    inside: set[str] = set()
    for role, grid in duties:
        above: str | None = str(grid)
        while above is not None:
            inside.add(above)
            if role is Role.RESIDENT and above in communities:
                break
            above = parents.get(above)
        below = [] if role in NEIGHBOURS else list(children.get(str(grid), ()))
        while below:
            code = below.pop()
            inside.add(code)
            below.extend(children.get(code, ()))
    return {code: levels[code] for code in inside}
