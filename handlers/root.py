"""The order in which handlers are asked about a message."""

from handlers.context import Context
from handlers.corrections import corrections
from handlers.duty import duty
from handlers.feedback import feedback
from handlers.intake import intake
from handlers.matters import SILENT
from handlers.progress import progress
from handlers.questions import questions, taught
from handlers.router import Router

root = Router("root")
for router in (taught, corrections, duty, progress, feedback, intake, questions):
    root.include(router)


def handle(ctx: Context) -> str:
    """Let the handlers decide. Returns the outcome for the inbox row; what they want said is in `ctx.take()`."""
    return root.handle(ctx) or SILENT
