"""Imports every table once, so that the metadata is whole."""

from models.alias import AliasProposal, AliasState
from models.base import metadata
from models.chat import Chat, ChatKind, Question
from models.correction import Correction, CorrectionKind
from models.deadline import Deadline
from models.grid import Grid, Place, Route
from models.inbox import Inbox
from models.mark import Mark
from models.outbox import Outbox
from models.person import Duty, Identity, Person, Role
from models.sample import Sample, SampleState
from models.suggestion import Suggestion, SuggestionState
from models.ticket import Attachment, Status, Supporter, Ticket, TicketEvent, TicketMessage
from models.webchat import WebMessage

__all__ = [
    "AliasProposal", "AliasState", "Attachment", "Chat", "ChatKind", "Correction", "CorrectionKind", "Deadline", "Duty",
    "Grid", "Identity", "Inbox", "Mark", "Outbox", "Person", "Place", "Question", "Role", "Route", "Sample",
    "SampleState", "Status", "Suggestion", "SuggestionState", "Supporter", "Ticket", "TicketEvent", "TicketMessage",
    "WebMessage", "metadata",
]  # fmt: skip
