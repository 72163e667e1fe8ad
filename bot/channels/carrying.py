"""Words for where nothing can be said now: they become a row of another channel, once however often that is tried."""

from collections.abc import Collection
from datetime import datetime

from sqlmodel import Session

from handlers.town import MUTE, Town
from models import outbox
from models.message import Outgoing
from models.whois import addresses


def elsewhere(
    session: Session, town: Town, out: Outgoing, person: str, *, only: Collection[str] | None = None
) -> Outgoing | None:
    """The message for somebody's direct chat on another channel, the first linked of those where it has not been yet;
    None where none reaches her. only: channels that may carry it."""
    never = {*MUTE, *out.been, out.channel}
    for channel, user in addresses(session, person):
        if channel not in never and (only is None or channel in only):
            carried = out.by(channel, town.direct_chat(channel, person, user))
            return carried.model_copy(update={"to_person": person, "trigger": None})
    return None


def hand_on(session: Session, client_id: str, out: Outgoing, now: datetime, *, at: datetime | None = None) -> None:
    """Put the message into the outbox under a key of its own. client_id: of the message that it was. at: not before."""
    outbox.put(session, [(f"{client_id}{outbox.CARRIED}", out)], now, at=at)
