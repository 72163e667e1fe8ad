"""What the platforms' pages call Token and EncodingAESKey, and how the two are changed without losing a callback."""

from pydantic import BaseModel, SecretStr, model_validator

from config.values import AesKey


class CallbackKeys(BaseModel):
    """`token` and `aes_key` of a callback address; `old_token` and `old_aes_key` are the two before them, and opened as
    well, from the day that new ones are set here until the platform's page has them, too."""

    token: SecretStr | None = None
    aes_key: AesKey | None = None
    old_token: SecretStr | None = None
    old_aes_key: AesKey | None = None

    @model_validator(mode="after")
    def _both(self) -> "CallbackKeys":
        if (self.old_token is None) != (self.old_aes_key is None):
            raise ValueError("old_token and old_aes_key belong together: set both, also where one of them stays")
        return self

    @property
    def old_keys(self) -> tuple[str, str] | None:
        """The two before, while they are set."""
        if self.old_token is None or self.old_aes_key is None:
            return None
        return self.old_token.get_secret_value(), self.old_aes_key.get_secret_value()
