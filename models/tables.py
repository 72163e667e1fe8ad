"""Imports every table once, so that the metadata is whole."""

from models.alias import AliasProposal, AliasState
from models.apitoken import ApiToken
from models.appcard import AppCard
from models.base import metadata
from models.binding import BindCode
from models.chat import Chat, ChatKind, Question
from models.correction import Correction, CorrectionKind
from models.deadline import Deadline
from models.fetching import Fetching
from models.grid import Grid, Place, Route
from models.inbox import Inbox
from models.mark import Mark
from models.outbox import Outbox
from models.person import Duty, Identity, Person, Role
from models.privacy import Erasure, Linkage, Notice, Owed, Remnant, Wish
from models.pull import Pull
from models.quota import Quota
from models.replay import Replay
from models.sample import Sample, SampleState
from models.standing import Standing
from models.suggestion import Suggestion, SuggestionState
from models.ticket import Attachment, Status, Supporter, Ticket, TicketEvent, TicketMessage
from models.webchat import WebMessage

__all__ = [
    "AliasProposal", "AliasState", "ApiToken", "AppCard", "Attachment", "BindCode", "Chat", "ChatKind", "Correction",
    "CorrectionKind", "Deadline", "Duty", "Erasure", "Fetching", "Grid", "Identity", "Inbox", "Linkage", "Mark",
    "Notice", "Outbox", "Owed", "Person", "Place", "Pull", "Question", "Quota", "Remnant", "Replay", "Role", "Route",
    "Sample", "SampleState", "Standing", "Status", "Suggestion", "SuggestionState", "Supporter", "Ticket",
    "TicketEvent", "TicketMessage", "WebMessage", "Wish", "metadata",
]  # fmt: skip
