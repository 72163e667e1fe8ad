"""Engines that make the same of every message: no training where the words do not matter."""

from collections.abc import Sequence

from nlu.types import INTENTS, Matter, Names, Understanding, Utterance


class Deaf:
    """Everything is chatter."""

    name = "deaf"
    intent = "chatter"
    category = "facility.lighting"

    def parse(self, batch: Sequence[Utterance], names: Names) -> list[Understanding]:
        """The same answer for all."""
        shares = {name: float(name == self.intent) for name in INTENTS}
        return [Understanding(shares, (Matter(item.text, ((self.category, 1.0),)),)) for item in batch]

    def again(self, words: Utterance, names: Names) -> Understanding:
        """The same once more."""
        return self.parse([words], names)[0]


class Keen(Deaf):
    """Everything is a broken lift."""

    name = "keen"
    intent = "report"
    category = "facility.elevator"
