"""Voices that nobody can hear: whoever spoke is asked to type, where that disturbs nobody."""

from datetime import datetime, timedelta

from sqlmodel import Session

from handlers.desk import Desk
from handlers.texts import say
from models.message import Incoming
from models.voices import asked_lately, left_alone

ONCE = timedelta(hours=24)  # in a group most voices are talk: one word a day is enough
# Who speaks often types right behind it, or takes back what was pressed by mistake: she is given the time.
PATIENCE = timedelta(minutes=3)
TOO_LATE = timedelta(minutes=30)


def ask_to_type(desk: Desk, voice: Incoming, *, direct: bool) -> bool:
    """In a direct chat there; for a voice in a group in the sender's direct chat, at most once a day, and never in the
    group itself. False when nothing was said: no channel reaches her, or she was asked already."""
    if direct:
        desk.post(voice.channel, voice.chat, say("voice"))
        return True
    person = desk.town.identities.get((voice.channel, voice.sender))
    if person is None or asked_lately(desk.session, voice, ONCE):
        return False
    return desk.tell(person, say("voice_in_group"))


def waiting(session: Session, now: datetime, *, heard: bool) -> list[tuple[int, Incoming]]:
    """(row, message) of voices whose senders had the time to type and did not. heard: see `models.voices`."""
    return left_alone(session, after=now - TOO_LATE, before=now - PATIENCE, heard=heard)
