"""What speaks against a candidate because of the others: several matters are talked of here at once, and the message
fits one as well as the other."""

from collections.abc import Sequence

MOST = 4.0  # matters talked of just now; more is all alike
AS_WELL = 0.1  # shares of a kind that lie so near are the same
POINTED = ("quoted", "number", "asked")  # whoever says which one is meant, means it


def rivals(weighed: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """For the signs of each candidate, the sign of its rivals: the open matters whose kind fits the message as well,
    each as much as it is talked of here just now.

    weighed: the signs of all candidates of one message (`handlers.ties`).
    """
    alive = [signs for signs in weighed if "moved on" not in signs]
    return [{"rivals": 0.0 if any(name in signs for name in POINTED) else _beside(signs, alive)} for signs in weighed]


def _beside(signs: dict[str, float], alive: Sequence[dict[str, float]]) -> float:
    least = signs["category"] - AS_WELL
    others = sum(other["chat"] for other in alive if other is not signs and other["category"] >= least)
    return min(others, MOST) / MOST
