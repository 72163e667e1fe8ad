"""A room (应用群聊) for each urgent matter: its worker and the community's staff, told step by step what happens.

Read off the tickets' histories (`bot.channels.histories`). No room for a sensitive matter. Names, phones, flats and
residents' words are never told, and before every line whoever has no more to do with the matter leaves the room.
Whoever the platform does not know is left out, and the matter's history says so; two who are known make a room.
Platform pages 90244 to 90248: 2 to 2,000 members, no template cards; 90313 全局返回码.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from itertools import combinations, islice

import sqlalchemy as sa
import structlog
from sqlmodel import Session, col

from bot.channels import render
from bot.channels.api import ApiClient, ApiError
from bot.channels.base import SendFailed
from bot.channels.histories import Histories, Told
from bot.channels.known import Known
from bot.channels.wecom_app.letters import NAME
from handlers import dispatch
from handlers.desk import SYSTEM, Desk
from handlers.texts import say, word
from handlers.workdays import WorkCalendar
from handlers.workflow import record
from models.base import Clock
from models.database import Database
from models.message import Outgoing, Purpose
from models.person import Role
from models.ticket import Ticket, TicketEvent

log = structlog.get_logger(__name__)
PREFIX = "room:"  # of a chat in the outbox; a user id holds no colon
NO_SUCH_ROOM = frozenset({86001, 86003})  # chatid 不合法, 不存在
ROOM_IS_THERE = 86215  # 会话ID已经存在
UNKNOWN = frozenset({60111, 81013, 86101, 86216})  # UserID不存在, 不合法的群成员, 存在非法会话成员ID
PAIRS = 28  # tried for the first two of a room: all of eight members
NAME_CHARS = 50
LEFT_OUT = "left_out"  # of a ticket's history: somebody is not in its room
LINES = {
    "opened": "room_urgent", "urgent": "room_urgent", "assigned": "room_assigned", "accepted": "room_accepted",
    "arrived": "room_arrived", "resolved": "room_resolved", "reopened": "room_reopened",
    "escalated": "room_escalated", "withdrawn": "room_over", "dismissed": "room_over",
}  # fmt: skip


class Rooms:
    """Puts what happens into the outbox, and sends it into rooms that it opens."""

    def __init__(self, db: Database, api: ApiClient, calendar: WorkCalendar, corp_id: str, clock: Clock) -> None:
        self._db = db
        self._api = api
        self._known = Known(db)
        self._calendar = calendar
        self._corp_id = corp_id
        self._clock = clock
        self._histories = Histories(db, LINES, self._told, clock)

    # --- what happens -----------------------------------------------------------------------------------------------

    async def look(self) -> int:
        """Look once. Returns how many lines were new."""
        return await self._histories.look()

    def _told(self, session: Session, event: TicketEvent, ticket: Ticket) -> Told:
        if not ticket.urgent or ticket.sensitive or (event.what == "assigned" and not _handed_on(session, event)):
            return Told()
        if len(self._members(session, ticket)) < 2:
            return Told(again=ticket.is_open)
        name = LINES[event.what]
        which = "" if name == "room_urgent" else f":{event.id}"  # a matter is urgent once, however often it is said
        out = Outgoing(
            channel=NAME, chat=f"{PREFIX}{ticket.id}", text=say(name, **self._facts(session, ticket)),
            purpose=Purpose.ALERT, ticket=ticket.id, why="urgent",
        )  # fmt: skip
        return Told([(f"{NAME}:{name}:{ticket.id}{which}", out)])

    def _facts(self, session: Session, ticket: Ticket) -> dict[str, object]:
        desk = Desk(session, self._known.town(session), self._clock(), self._calendar, "")
        # A home that only the register knows is not told, so `public`.
        told = desk.public(ticket)
        return told | {"place": told["place"] or word("unknown_place"), "due": desk.due_text(ticket)}

    def _members(self, session: Session, ticket: Ticket) -> dict[str, str]:
        """Those who work on it, user id to person: its worker first, then the community's staff."""
        town = self._known.town(session)
        staff = dispatch.staff_above(town, ticket.grid, Role.COMMUNITY, self._clock())
        people = [person for person in (ticket.worker, *(one.person for one in staff)) if person]
        reached = [[one.user for one in town.addresses(person) if one.channel == NAME][:1] for person in people]
        return {user: person for person, users in zip(people, reached, strict=True) for user in users}

    # --- into the room ----------------------------------------------------------------------------------------------

    async def send(self, out: Outgoing) -> str:
        """One line into the ticket's room, which is opened or filled up first. Raises SendFailed, Uncertain."""
        name, members = await self._db.run(lambda session: self._about(session, out.ticket))
        if len(members) < 2:
            raise SendFailed("there is no room for this ticket", final=True)
        room = self._room(out.ticket or 0)
        if unknown := await self._open(room, name, list(members)):
            log.warning("room.left_out", channel=NAME, ticket=out.ticket, members=len(unknown))
            people = [members[user] for user in unknown]
            await self._db.run(partial(self._left_out, number=out.ticket or 0, people=people))
        content = render.text(out, most=1, group=True)
        if not content:
            raise SendFailed("the message is empty", final=True)
        letter = {"chatid": room, "msgtype": "text", "text": {"content": content[0]}, "safe": 0}
        answer = await self._api.call("/cgi-bin/appchat/send", letter)
        return str(answer.get("msgid", ""))

    def _about(self, session: Session, number: int | None) -> tuple[str, Mapping[str, str]]:
        ticket = session.get(Ticket, number) if number is not None else None
        if ticket is None or ticket.sensitive:  # it may have become so since the line was put
            return "", {}
        return say("room_name", **self._facts(session, ticket))[:NAME_CHARS], self._members(session, ticket)

    def _left_out(self, session: Session, number: int, people: Sequence[str]) -> None:
        """The history says who is missing, once for each: the task page shows it to whoever may put it right."""
        ticket = session.get_one(Ticket, number, with_for_update=True)  # two lines may leave at the same time
        said = sa.select(col(TicketEvent.note)).where(
            col(TicketEvent.ticket) == number, col(TicketEvent.what) == LEFT_OUT
        )
        known = set(session.scalars(said))
        for person in people:
            if person not in known:
                record(session, ticket, LEFT_OUT, SYSTEM, self._clock(), person)

    def _room(self, ticket: int) -> str:
        """The room's id: ours, so that two processes open one room."""
        return f"LS{hashlib.sha256(f'{self._corp_id}:{ticket}'.encode()).hexdigest()[:24]}"

    async def _open(self, room: str, name: str, users: Sequence[str]) -> Sequence[str]:
        """Those and nobody else are in the room when it returns, or it raises. Returns who of them the platform does
        not know, and who is therefore in no room."""
        there = await self._there(room)
        if there is None:
            there = await self._made(room, name, users)
        # One after the other, so that the room is never too small, and its new owner is in it.
        unknown = await self._added(room, _without(users, there))
        inside = _without(users, unknown)
        if len(inside) < 2:
            raise SendFailed("the platform knows fewer than two of this ticket's people", final=True)
        if gone := _without(there, users):
            body = {"chatid": room, "owner": inside[0], "del_user_list": gone}
            await self._api.call("/cgi-bin/appchat/update", body)
        return unknown

    async def _there(self, room: str) -> Sequence[str] | None:
        """Who is in the room; None where there is none."""
        try:
            told = await self._api.get("/cgi-bin/appchat/get", {"chatid": room})
        except ApiError as error:
            if error.code in NO_SUCH_ROOM:
                return None
            raise
        info = told.get("chat_info")
        users = info.get("userlist", []) if isinstance(info, dict) else []
        return [str(user) for user in users]

    async def _made(self, room: str, name: str, users: Sequence[str]) -> Sequence[str]:
        """Open the room with all of them; else with any two whom the platform knows. Returns who is in it.

        The platform does not say in a way to rely on whom it does not know (its page: errmsg may change), so the two
        are found by trying; whoever else is unknown shows when the rest is added.
        """
        for some in (users, *islice(combinations(users, 2), PAIRS if len(users) > 2 else 0)):
            try:
                body = {"chatid": room, "name": name, "owner": some[0], "userlist": list(some)}
                await self._api.call("/cgi-bin/appchat/create", body)
                return some
            except ApiError as error:
                if error.code == ROOM_IS_THERE:  # another process was faster
                    return await self._there(room) or users
                if error.code not in UNKNOWN:
                    raise
        raise SendFailed("the platform knows fewer than two of this ticket's people", final=True)

    async def _added(self, room: str, users: Sequence[str]) -> list[str]:
        """Take them into the room; by halves where the platform does not know somebody. Returns whom it does not."""
        if not users:
            return []
        try:
            await self._api.call("/cgi-bin/appchat/update", {"chatid": room, "add_user_list": list(users)})
        except ApiError as error:
            if error.code not in UNKNOWN:
                raise
            if len(users) == 1:
                return [*users]
            half = len(users) // 2
            return [*await self._added(room, users[:half]), *await self._added(room, users[half:])]
        return []


def _handed_on(session: Session, event: TicketEvent) -> bool:
    """Whether the matter was somebody else's before this line; its note begins with the worker (`Desk.assign`)."""
    earlier = sa.select(col(TicketEvent.note)).where(
        col(TicketEvent.ticket) == event.ticket, col(TicketEvent.what) == event.what, col(TicketEvent.id) < event.id
    )
    before = session.scalars(earlier.order_by(sa.desc(col(TicketEvent.id))).limit(1)).first()
    return before is not None and before.split()[:1] != event.note.split()[:1]


def _without(users: Sequence[str], others: Collection[str]) -> list[str]:
    """The platform takes user ids in either case, and may give them back in another than the town pack has."""
    known = {user.lower() for user in others}
    return [user for user in users if user.lower() not in known]
