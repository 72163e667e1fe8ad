"""The order in which handlers are asked about a message."""

from handlers.aboutme import aboutme
from handlers.arrival import arrival
from handlers.binding import binding
from handlers.context import Context
from handlers.corrections import corrections
from handlers.duty import duty
from handlers.feedback import feedback
from handlers.intake import intake
from handlers.matters import SILENT
from handlers.orders import orders
from handlers.patrol import patrol
from handlers.picked import picked
from handlers.progress import progress
from handlers.questions import at_once, questions, taught
from handlers.router import Router

root = Router("root")
everything = (
    orders, arrival, patrol, at_once, binding, aboutme, taught, corrections, picked, duty, progress, feedback, intake,
    questions,
)  # fmt: skip
for router in everything:
    root.include(router)


def handle(ctx: Context) -> str:
    """Let the handlers decide. Returns the outcome for the inbox row; what they want said is in `ctx.take()`."""
    return root.handle(ctx) or SILENT
