"""The names of the town as entities: those of the lookup table `location`, the longest at each place."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent  # type: ignore[import-not-found]
from rasa.engine.recipes.default_recipe import DefaultV1Recipe  # type: ignore[import-not-found]
from rasa.engine.storage.resource import Resource  # type: ignore[import-not-found]
from rasa.engine.storage.storage import ModelStorage  # type: ignore[import-not-found]
from rasa.nlu.extractors.extractor import EntityExtractorMixin  # type: ignore[import-not-found]
from rasa.shared.nlu.training_data.message import Message  # type: ignore[import-not-found]
from rasa.shared.nlu.training_data.training_data import TrainingData  # type: ignore[import-not-found]

ENTITY = "location"


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=True)
class Gazetteer(GraphComponent, EntityExtractorMixin):  # type: ignore[misc]
    """Finds names without learning them. Rasa's RegexEntityExtractor reports overlapping names each by itself."""

    def __init__(self, storage: ModelStorage, resource: Resource, names: Iterable[str] = ()) -> None:
        self._storage = storage
        self._resource = resource
        self._names = frozenset(names)
        self._lengths = sorted({len(name) for name in self._names}, reverse=True)

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> Gazetteer:
        """Called by Rasa before training."""
        return cls(model_storage, resource)

    @classmethod
    def load(
        cls, config: dict[str, Any], model_storage: ModelStorage, resource: Resource,
        execution_context: ExecutionContext, **_: Any,
    ) -> Gazetteer:  # fmt: skip
        """Called by Rasa before serving."""
        with model_storage.read_from(resource) as folder:
            names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
        return cls(model_storage, resource, names)

    def train(self, training_data: TrainingData) -> Resource:
        """Keeps the lookup table in the model."""
        names = [
            name
            for table in training_data.lookup_tables
            if table["name"] == ENTITY and isinstance(table["elements"], list)
            for name in table["elements"]
        ]
        with self._storage.write_to(self._resource) as folder:
            (folder / "names.json").write_text(json.dumps(names, ensure_ascii=False), encoding="utf-8")
        return self._resource

    def process(self, messages: list[Message]) -> list[Message]:
        """Adds the names to the entities that others found; who asks merges those that overlap."""
        for message in messages:
            found = message.get("entities") or []
            message.set("entities", found + self._found(message.get("text") or ""), add_to_output=True)
        return messages

    def _found(self, text: str) -> list[dict[str, Any]]:
        return [
            {
                "entity": ENTITY, "start": start, "end": end, "value": text[start:end],
                "confidence_entity": 1.0, "extractor": self.name,
            }
            for start, end in self._places(text)
        ]  # fmt: skip

    def _places(self, text: str) -> Iterator[tuple[int, int]]:
        """Looks up every piece of a length that a name has: thousands of names as one regular expression took 2 ms."""
        start = 0
        while start < len(text):
            for length in self._lengths:
                if text[start : start + length] in self._names:
                    yield start, min(start + length, len(text))
                    start += length
                    break
            else:
                start += 1
