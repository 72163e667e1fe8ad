"""Voices that nobody can hear: whoever spoke is asked to type, where that disturbs nobody."""

from datetime import timedelta

from handlers.desk import Desk
from handlers.texts import say
from models.message import Incoming
from models.voices import asked_lately

ONCE = timedelta(hours=24)  # in a group most voices are talk: one word a day is enough


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
