"""What becomes of the bot's words where it only reads: they go to somebody who can speak there, by another channel."""

from sqlmodel import Session

from bot.channels.archive.records import NAME
from bot.channels.base import SendFailed
from bot.channels.carrying import elsewhere
from bot.channels.known import Known
from config.side_channels import ArchiveSettings
from handlers import dispatch
from handlers.masking import masked
from handlers.texts import say
from handlers.town import Town
from models.base import Clock
from models.chat import Chat
from models.message import Outgoing
from models.person import Role


class Answers:
    """Finds the channel and chat that carry a message of this one."""

    def __init__(self, known: Known, settings: ArchiveSettings, clock: Clock) -> None:
        self._known = known
        self._settings = settings
        self._clock = clock

    def carried(self, session: Session, out: Outgoing) -> Outgoing | None:
        """The message as another channel takes it; None when it is dropped. Raises SendFailed when nobody is there."""
        town = self._known.town(session)
        group = self._known.group_in(session, NAME, out.chat)
        if group is None:  # somebody's own chat, which she cannot be written to in either
            person = out.to_person or town.identities.get((NAME, out.chat), "")
            if (found := self._to(session, town, person, out)) is None:
                raise SendFailed("no other channel reaches this person", final=True)
            return found
        return None if self._settings.answers == "none" else self._to_leader(session, town, group, out)

    def _to_leader(self, session: Session, town: Town, group: Chat, out: Outgoing) -> Outgoing:
        """To the nearest 微网格长 who is there and can be reached; else to the gridworker who is responsible."""
        now = self._clock()
        leaders = [
            duty.person for grid in town.chain(group.grid or town.root) for duty in town.on_duty(grid, Role.LEADER)
        ]
        worker = dispatch.responsible(town, group.grid, now)
        here = [person for person in leaders if dispatch.present(town, person, now)]
        text = say("archive_pass_on", group=group.name or group.code, words=masked(out.text))
        for person in [*here, *([worker.person] if worker else [])]:
            if (found := self._to(session, town, person, out.model_copy(update={"text": text}))) is not None:
                return found
        raise SendFailed("nobody can be asked to pass it on", final=True)

    def _to(self, session: Session, town: Town, person: str, out: Outgoing) -> Outgoing | None:
        """On the carrier, if one is set."""
        only = {self._settings.carrier} if self._settings.carrier else None
        return elsewhere(session, town, out, person, only=only)
