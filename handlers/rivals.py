"""What speaks against a candidate because of the others: several matters are talked of here at once, or another one's
place is named."""

from collections.abc import Sequence

MOST = 4.0  # matters talked of just now; more is all alike


def rivals(weighed: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """For the signs of each candidate, further ones; those that are missing are 0.

    weighed: the signs of all candidates of one message (`handlers.ties`).
    """
    fresh = sum(signs["chat"] for signs in weighed)
    named = sorted((signs.get("place same", 0.0) for signs in weighed), reverse=True)
    return [_against(signs, fresh - signs["chat"], named) for signs in weighed]


def _against(signs: dict[str, float], others: float, named: Sequence[float]) -> dict[str, float]:
    """others: how much else is talked of here. named: how surely the place of each candidate is named, surest first."""
    found = {"rivals": min(others, MOST) / MOST}
    own = signs.get("place same", 0.0)
    if (more := named[0] - own) > 0:
        found["a rival's place"] = more
    return found
