"""Routes a message to the first handler whose filters all say yes. A filter may hand over what it found, by name."""

from collections.abc import Callable
from typing import Any

from handlers.context import Context

Found = dict[str, Any]
Filter = Callable[[Context], Found | bool | None]
Handler = Callable[..., str | None]


class Router:
    """Handlers in the order in which they were registered; the first that fits decides."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._handlers: list[tuple[tuple[Filter, ...], Handler]] = []
        self._children: list[Router] = []

    def on(self, *filters: Filter) -> Callable[[Handler], Handler]:
        """Register a handler. It returns the outcome's name, or None to pass the message on to the next handler."""

        def register(handler: Handler) -> Handler:
            self._handlers.append((filters, handler))
            return handler

        return register

    def include(self, router: "Router") -> None:
        """Ask another router after this one's own handlers."""
        self._children.append(router)

    def handle(self, ctx: Context) -> str | None:
        """The outcome, or None when nobody wanted the message."""
        for filters, handler in self._handlers:
            found: Found = {}
            for question in filters:
                answer = question(ctx)
                if not answer:
                    break
                if isinstance(answer, dict):
                    found |= answer
            else:
                if (outcome := handler(ctx, **found)) is not None:
                    return outcome
        for child in self._children:
            if (outcome := child.handle(ctx)) is not None:
                return outcome
        return None
