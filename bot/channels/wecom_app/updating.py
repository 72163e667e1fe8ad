"""Keeps the cards on all other screens true: somebody accepted, it was done by words, the resident took it back.

The tickets are compared with what each card shows, so nothing is missed, and any number of processes may look. A card's
code is good for one change: it is forgotten once it was used, or may have been. A card that cannot be changed any more,
or that the change did not reach (`invaliduser`), is recalled, so that nobody acts on it. Platform pages 94867, 94888.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from pydantic import ValidationError
from sqlmodel import Session, col

from bot.channels.api import ApiClient, ApiError
from bot.channels.base import SendFailed, Uncertain
from bot.channels.cards import BadCard
from bot.channels.pressed import AGAIN
from bot.channels.replies import NOT_LISTED, RATE_LIMITED, TOKEN_REFUSED
from bot.channels.wecom_app import faces
from bot.channels.wecom_app.codes import Codes
from bot.channels.wecom_app.faces import ACCEPTED, LIVE, Change
from bot.channels.wecom_app.letters import NAME
from config.wecom_app import WecomAppSettings
from models import appcard, outbox
from models.appcard import AppCard
from models.base import Clock
from models.database import Database
from models.outbox import Outbox
from models.ticket import Ticket

log = structlog.get_logger(__name__)
LEASE = timedelta(minutes=2)  # longer than one call with all its tries
AGAIN_AFTER = timedelta(seconds=30)
CODE_LIFE = timedelta(hours=72)
RECALL = timedelta(hours=24)
KEPT = timedelta(days=7)  # of a card's row: longer than code and recall, and no longer than it is good for
BATCH = 20
FOR_NOW = RATE_LIMITED | TOKEN_REFUSED | NOT_LISTED  # the platform has not looked at the code


@dataclass(frozen=True)
class Plan:
    """What is to be done about one card. lease: `look_at` while it is ours to do. status, worker, label: what the card
    then says. code: for the change. message: to be recalled where there is no change."""

    row: int
    lease: datetime
    user: str
    status: str
    worker: str
    label: str
    change: Change | None = None
    code: str = field(default="", repr=False)
    message: str = ""


class Updating:
    """Looks, and changes."""

    def __init__(self, settings: WecomAppSettings, db: Database, api: ApiClient, codes: Codes, clock: Clock) -> None:
        self._settings = settings
        self._db = db
        self._api = api
        self._codes = codes
        self._clock = clock

    async def step(self) -> int:
        """Look once, at `BATCH` cards at most, each leased when its turn comes: nobody else takes one that waits.
        Returns how many were behind."""
        for count in range(BATCH):
            plan = await self._db.run(self._look)
            if plan is None:
                return count
            await self._carry_out(plan)
        return BATCH

    async def forget(self) -> int:
        """Remove rows of cards that nothing can be changed about any more."""
        return await self._db.run(lambda session: appcard.forget(session, self._clock() - KEPT))

    # --- what is to be done -----------------------------------------------------------------------------------------

    def _look(self, session: Session) -> Plan | None:
        row = appcard.behind(session, now=self._clock(), lease=LEASE)
        return self._plan(session, row) if row is not None else None

    def _plan(self, session: Session, row: AppCard) -> Plan:
        now, ticket = self._clock(), session.get_one(Ticket, row.ticket, populate_existing=True)
        label = faces.label_of(session, ticket, row) or row.label
        plan = Plan(row.id or 0, row.look_at, row.user, ticket.status.value, ticket.worker or "", label)
        if label == row.label:
            return plan
        code = self._codes.open(row.code) if row.code_until is not None and now < row.code_until else ""
        key = row.key.removesuffix(AGAIN)
        sent = session.scalars(sa.select(Outbox).where(col(Outbox.dedup_key) == key)).first()
        shown = self._shown(session, sent, row.key, label) if sent is not None else None
        # Its buttons can be pressed and lead nowhere; a card that is hers and accepted does no harm.
        stale = row.label in (LIVE, ACCEPTED) and label != ACCEPTED and now - row.sent_at < RECALL
        return replace(plan, change=shown if code else None, code=code, message=row.message if stale else "")

    def _shown(self, session: Session, sent: Outbox, key: str, label: str) -> Change | None:
        try:
            out = outbox.read(sent)
            faces.go_on(session, out, key, label, self._settings, self._clock())
            return faces.change(out, key, label, self._settings)
        except (ValidationError, BadCard) as error:  # one card that cannot be made holds up no other
            log.error("card.not_made", channel=NAME, outbox=sent.id, error=type(error).__name__)
            return None

    def _settle(self, session: Session, plan: Plan) -> None:
        """The card says what it is to say, or nothing more can be done about it."""
        row = session.get(AppCard, plan.row, populate_existing=True, with_for_update=True)
        if row is None:
            return
        if row.look_at == plan.lease:
            row.status, row.worker, row.label, row.look_at = plan.status, plan.worker, plan.label, self._clock()
            if plan.change is not None:
                row.code, row.code_until = "", None
        elif plan.change is not None:
            # A press meanwhile said what the card shows, and brought a newer code: it knows better. But which of the
            # two came last nobody knows: the card may show ours, and is looked at once more.
            row.status, row.label = "", plan.label

    def _later(self, session: Session, plan: Plan) -> None:
        row = session.get(AppCard, plan.row, populate_existing=True, with_for_update=True)
        if row is not None and row.look_at == plan.lease:
            row.look_at = self._clock() + AGAIN_AFTER

    # --- doing it ---------------------------------------------------------------------------------------------------

    async def _carry_out(self, plan: Plan) -> None:
        done = True
        try:
            await self._called(plan)
        except (SendFailed, Uncertain) as error:
            # Where nobody knows whether it came, the same once more does no harm: at worst its code is refused.
            done = isinstance(error, ApiError) and error.code not in FOR_NOW
            log.warning("card.not_changed", channel=NAME, card=plan.row, final=done, reason=str(error))
        await self._db.run(lambda session: (self._settle if done else self._later)(session, plan))

    async def _called(self, plan: Plan) -> None:
        if plan.change is not None:
            try:
                if await self._change(plan, plan.change):
                    return
            except ApiError as error:
                if error.code in FOR_NOW or not plan.message:
                    raise
                log.warning("card.code_refused", channel=NAME, card=plan.row, reason=str(error))
        if plan.message:
            await self._api.call("/cgi-bin/message/recall", {"msgid": plan.message})
            log.info("card.recalled", channel=NAME, card=plan.row)

    async def _change(self, plan: Plan, change: Change) -> bool:
        """False where the platform took the change, and yet not for her: her screen is as it was."""
        body: dict[str, Any] = {"userids": [plan.user], "agentid": self._settings.agent_id, "response_code": plan.code}
        if change.card is not None:
            body["template_card"] = change.card
        else:
            body["button"] = {"replace_name": change.words}
        answer = await self._api.call("/cgi-bin/message/update_template_card", body)
        if plan.user.lower() in (str(user).lower() for user in answer.get("invaliduser") or ()):
            log.warning("card.change_missed", channel=NAME, card=plan.row)
            return False
        log.info("card.changed", channel=NAME, card=plan.row)
        return True
