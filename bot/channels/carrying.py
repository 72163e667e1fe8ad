"""Words for where nothing can be said now: they become a row of another channel, once however often that is tried."""

from collections.abc import Collection
from datetime import datetime

from sqlmodel import Session

from handlers.town import Town
from models import outbox
from models.message import Outgoing
from models.whois import addresses


def elsewhere(
    session: Session, town: Town, out: Outgoing, person: str, *, but: str, only: Collection[str] | None = None
) -> Outgoing | None:
    """The message for somebody's direct chat on another channel than `but`, the first that was linked; None where none
    reaches her. only: channels that may carry it."""
    for channel, user in addresses(session, person):
        if channel != but and (only is None or channel in only):
            chat = town.direct_chat(channel, person, user)
            change = {"channel": channel, "chat": chat, "to_person": person, "trigger": None}
            return out.model_copy(update=change)
    return None


def hand_on(session: Session, client_id: str, out: Outgoing, now: datetime, *, at: datetime | None = None) -> None:
    """Put the message into the outbox under a key of its own. client_id: of the message that it was. at: not before."""
    outbox.put(session, [(f"{client_id}>carried", out)], now, at=at)
