"""Settings of 微信客服 (WeChat customer service), under LINSHENG_WECOM_KF__."""

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from config.callbacks import CallbackKeys
from config.values import HttpAddress

NEEDED = ("corp_id", "secret", "token", "aes_key", "accounts")


class WecomKfSettings(CallbackKeys):
    """微信客服. The channel is on when the five settings without a default are set.

    accounts: open_kfid of the 客服账号 that the bot answers for; proactive messages to somebody who is on none of them
    yet go by the first. human: where somebody goes who wants a human: to one of `servicers` (企业微信 user ids of
    接待人员), to the queue (待接入池), or nowhere (the staff are alerted all the same).
    """

    corp_id: str | None = None
    secret: SecretStr | None = None
    accounts: tuple[str, ...] = ()
    human: Literal["off", "queue", "servicer"] = "off"
    servicers: tuple[str, ...] = ()
    api_base: HttpAddress = "https://qyapi.weixin.qq.com"
    rate: float = Field(default=20.0, gt=0, description="messages a second towards the platform")
    poll_seconds: float = Field(default=2.0, gt=0, le=60, description="between two looks whether a callback was told")
    # Callbacks may have been lost while no process was there. Without a callback's token the platform limits sync_msg.
    sweep_seconds: float = Field(default=600.0, ge=60, description="then it is asked without a callback too")
    # No page says with which code the platform refuses a msgid that it has seen, if it does: once it is known, put it
    # here, and such a message counts as sent. Until then it is tried again, and never counted as sent when it was not.
    repeat_codes: frozenset[int] = frozenset()

    @field_validator("accounts")
    @classmethod
    def _ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(0 < len(one) <= 64 and one.isascii() and one.isprintable() for one in value):
            raise ValueError("each is an open_kfid, such as wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw")
        return value

    @property
    def missing(self) -> list[str]:
        """Names of the settings that are not there yet."""
        return [name for name in NEEDED if not getattr(self, name)] + (
            ["servicers"] if self.human == "servicer" and not self.servicers else []
        )

    @property
    def enabled(self) -> bool:
        """All that the channel needs is there."""
        return not self.missing
