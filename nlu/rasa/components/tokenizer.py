"""Every character a token: no word list to keep, and an annotation always begins and ends at one."""

from __future__ import annotations

from typing import Any

from rasa.engine.graph import ExecutionContext  # type: ignore[import-not-found]
from rasa.engine.recipes.default_recipe import DefaultV1Recipe  # type: ignore[import-not-found]
from rasa.engine.storage.resource import Resource  # type: ignore[import-not-found]
from rasa.engine.storage.storage import ModelStorage  # type: ignore[import-not-found]
from rasa.nlu.tokenizers.tokenizer import Token, Tokenizer  # type: ignore[import-not-found]
from rasa.shared.nlu.training_data.message import Message  # type: ignore[import-not-found]


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_TOKENIZER, is_trainable=False)
class CharacterTokenizer(Tokenizer):  # type: ignore[misc]
    """Characters that are not white space. Of 209 annotations jieba misaligned 20, and lost them."""

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """What Rasa's tokenizers all have."""
        return {"intent_tokenization_flag": False, "intent_split_symbol": "_", "token_pattern": None}

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> CharacterTokenizer:
        """Called by Rasa."""
        return cls(config)

    def tokenize(self, message: Message, attribute: str) -> list[Token]:
        """One token a character, with its place in the text."""
        text = message.get(attribute)
        return [Token(character, place) for place, character in enumerate(text) if not character.isspace()]
