"""Rasa's CRF, trained on what somebody has annotated."""

from __future__ import annotations

from rasa.engine.recipes.default_recipe import DefaultV1Recipe  # type: ignore[import-not-found]
from rasa.engine.storage.resource import Resource  # type: ignore[import-not-found]
from rasa.nlu.extractors.crf_entity_extractor import CRFEntityExtractor  # type: ignore[import-not-found]
from rasa.shared.nlu.constants import METADATA, METADATA_INTENT  # type: ignore[import-not-found]
from rasa.shared.nlu.training_data.message import Message  # type: ignore[import-not-found]
from rasa.shared.nlu.training_data.training_data import TrainingData  # type: ignore[import-not-found]


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=True)
class AnnotatedEntities(CRFEntityExtractor):  # type: ignore[misc]
    """Leaves out blocks with the metadata `annotated: false`: the towns' messages name places, and nothing says where.

    Rasa's class learns from them that no place is one.
    """

    def train(self, training_data: TrainingData) -> Resource:
        """Called by Rasa."""
        kept = [example for example in training_data.training_examples if _annotated(example)]
        return super().train(TrainingData(kept))


def _annotated(example: Message) -> bool:
    marks = (example.get(METADATA) or {}).get(METADATA_INTENT) or {}
    return bool(marks.get("annotated", True))
