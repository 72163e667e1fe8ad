"""Rasa's logistic regression without its balancing of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from rasa.engine.graph import ExecutionContext  # type: ignore[import-not-found]
from rasa.engine.recipes.default_recipe import DefaultV1Recipe  # type: ignore[import-not-found]
from rasa.engine.storage.resource import Resource  # type: ignore[import-not-found]
from rasa.engine.storage.storage import ModelStorage  # type: ignore[import-not-found]
from rasa.nlu.classifiers.logistic_regression_classifier import (  # type: ignore[import-not-found]
    LogisticRegressionClassifier,
)


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class AsOftenAsInLife(LogisticRegressionClassifier):  # type: ignore[misc]
    """Classes weigh what they weigh in the data, where half is chatter; `strength` is the inverse penalty.

    Rasa's class fits with class_weight="balanced": each of 73 intents is then taken for equally frequent, 59 of
    them are reports, and nearly everything anybody says becomes one.
    """

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """Those of Rasa's class, and `strength`."""
        return {**LogisticRegressionClassifier.get_default_config(), "strength": 1.0}

    def __init__(self, config: dict[str, Any], name: str, model_storage: ModelStorage, resource: Resource) -> None:
        super().__init__(config, name, model_storage, resource)
        self.clf.set_params(class_weight=None, C=config["strength"])

    @classmethod
    def load(
        cls, config: dict[str, Any], model_storage: ModelStorage, resource: Resource,
        execution_context: ExecutionContext, **kwargs: Any,
    ) -> AsOftenAsInLife:  # fmt: skip
        """Called by Rasa before serving. Turns the weights once: as they lie, scipy copies all 20 MB for every message,
        half of the time that one takes."""
        component: AsOftenAsInLife = super().load(config, model_storage, resource, execution_context, **kwargs)
        component.clf.coef_ = np.asfortranarray(component.clf.coef_)
        return component
