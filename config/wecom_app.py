"""Settings of the self-built WeCom app (企业微信自建应用), by which staff get task cards. LINSHENG_WECOM_APP__…"""

from typing import Literal

from pydantic import Field, SecretStr

from config.callbacks import CallbackKeys
from config.values import HttpAddress


class WecomAppSettings(CallbackKeys):
    """On when all five of the admin's page are set: `corp_id` (企业ID), `agent_id` (AgentId), `secret` (Secret), and of
    接收消息 `token` (Token) and `aes_key` (EncodingAESKey)."""

    corp_id: str | None = None
    agent_id: int | None = Field(default=None, ge=1)
    secret: SecretStr | None = None
    api_base: HttpAddress = "https://qyapi.weixin.qq.com"
    rate: float = Field(default=20.0, gt=0, description="messages a second towards the platform, all members together")
    # 90235: what a member gets beyond that is dropped without a word, so we must count ourselves.
    per_minute: int = Field(default=30, ge=1, le=30, description="messages to one member")
    per_hour: int = Field(default=1_000, ge=1, le=1_000, description="messages to one member")
    votes: bool = Field(default=True, description="a matter that is to be judged first is a choice with a 提交")
    rooms: bool = Field(default=False, description="a room (应用群聊) for each urgent matter; needs an app all may see")
    patrol: bool = Field(default=False, description="where a gridworker opens the app (上报地理位置) is her check-in")
    # 90240 does not say; a pin in a message is GCJ-02. Wrong, a round is 300 to 500 m off.
    patrol_coordinates: Literal["gcj02", "wgs84"] = "gcj02"
    poll_seconds: float = Field(default=2.0, gt=0, le=60, description="how often shown cards are compared with tickets")

    @property
    def missing(self) -> list[str]:
        """Names of the settings that are not there yet."""
        return [name for name in ("corp_id", "agent_id", "secret", "token", "aes_key") if not getattr(self, name)]

    @property
    def enabled(self) -> bool:
        """All that the channel needs is there."""
        return not self.missing
