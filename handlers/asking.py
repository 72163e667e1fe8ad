"""The one short question where a matter is. It holds nothing back: its answer refines a ticket that is open already."""

from datetime import datetime
from typing import NamedTuple

from handlers.context import Context
from handlers.place import CHAT, Placement
from models.chat import Question
from models.ticket import Ticket

# Kinds that are about the community as a whole, or about a person: no question where exactly.
NOWHERE_IN_PARTICULAR = ("suggestion", "dispute", "welfare", "security.fraud", "utility", "city.construction")


class Asked(NamedTuple):
    """name: of the sentence. options: codes of the places that it offers."""

    name: str
    options: list[str]

    def names(self, ctx: Context) -> str:
        """The places, as the sentence shows them."""
        return "、".join(ctx.town.places[code].name for code in self.options)


def asked(ticket: Ticket, placement: Placement) -> Asked | None:
    """What to ask; None where that is known, would help nobody, or costs time that an urgent matter has not got."""
    if ticket.urgent or ticket.category.startswith(NOWHERE_IN_PARTICULAR):
        return None
    if placement.unsure:
        return Asked("opened_which", list(placement.options))
    return Asked("opened_nowhere", []) if placement.weight <= CHAT else None


def remember(
    ctx: Context, ticket: Ticket, question: Asked, channel: str, chat: str, sender: str, *, at: datetime
) -> None:  # fmt: skip
    """That it was put to `sender`, in this chat: what she says there next may be the answer."""
    ctx.session.add(
        Question(
            channel=channel, chat=chat, sender=sender, ticket=ticket.id or 0, about="place", options=question.options,
            asked_at=at,
        )
    )  # fmt: skip
