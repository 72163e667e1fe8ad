"""Settings of the channels beside the great platforms: OneBot, the robots of duty groups, the message archive.

Each is off until it is set. They stand under LINSHENG_ONEBOT__, LINSHENG_GROUP_ROBOT__ and LINSHENG_ARCHIVE__.
"""

import re
from datetime import time
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator

from config.values import HttpAddress

ROBOT_KEY = re.compile(r"[A-Za-z0-9_-]{8,128}")
Notice = Literal["urgent", "overdue", "reminder", "unreachable", "reopened"]


class OneBotSettings(BaseModel):
    """OneBot v11 (NapCat, Lagrange), reverse WebSocket. The channel is on when the token is set.

    account: the QQ number that may connect; empty: any, but only one at a time.
    """

    token: SecretStr | None = None
    account: str = Field(default="", pattern=r"^\d{0,20}$")
    # A QQ account of one's own that speaks fast is taken for an advertiser.
    rate: float = Field(default=1.0, gt=0, le=20, description="messages a second")
    action_seconds: float = Field(default=15.0, gt=0, le=25, description="for the answer to one action")
    # Where QQ's pictures lie; no page promises it. What lies elsewhere is not fetched.
    media_hosts: tuple[str, ...] = ("*.qpic.cn", "multimedia.nt.qq.com.cn")

    @property
    def enabled(self) -> bool:
        """All that the channel needs is there."""
        return bool(self.token and self.token.get_secret_value())


class GroupRobotSettings(BaseModel):
    """Webhook robots of duty groups (群机器人): push only, internal WeCom groups only. On when there is a key.

    keys: chat code in chats.csv (channel `group_robot`) → the robot's key, or the whole webhook address that the group
    shows. alerts: what the groups hear of; the words are never a resident's, and of a sensitive matter only its number.
    """

    keys: dict[str, SecretStr] = Field(default_factory=dict)
    alerts: frozenset[Notice] = frozenset({"urgent", "overdue"})
    style: Literal["markdown", "text"] = "markdown"
    api_base: HttpAddress = "https://qyapi.weixin.qq.com"
    per_minute: int = Field(default=20, ge=1, le=20, description="of one robot; the platform refuses more")
    poll_seconds: float = Field(default=2.0, gt=0, le=60, description="how often the tickets' histories are looked at")

    @field_validator("keys")
    @classmethod
    def _keys(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        found = {chat: _key(secret.get_secret_value()) for chat, secret in value.items()}
        if not all(chat and ROBOT_KEY.fullmatch(key) for chat, key in found.items()):
            raise ValueError("each is chat code → key, or the address that ends with ?key=…")
        return {chat: SecretStr(key) for chat, key in found.items()}

    @property
    def enabled(self) -> bool:
        """All that the channel needs is there."""
        return bool(self.keys)


def _key(told: str) -> str:
    return parse_qs(urlsplit(told).query).get("key", [""])[0] if "://" in told else told


class ArchiveSettings(BaseModel):
    """Decrypted records of the message archive (会话内容存档), as files of JSON lines. On when `folder`, which is then
    watched, is set, or `on`.

    files: where the files of pictures and voices lie (empty: beside the records, in `folder`), and files_by: which of a
    record's fields they are named after; see `bot.channels.archive.files`.

    answers: what becomes of what the bot would say in the group, which the archive cannot: `leader`, a direct message
    to its 微网格长 on `carrier` (empty: wherever she is reached); `notice`, news of tickets are gathered into a group
    notice task (群发任务), and the rest goes to the leader; `none`, dropped.
    """

    on: bool = Field(default=False, description="without a folder: for `linsheng archive import`")
    folder: Path | None = None
    poll_seconds: float = Field(default=5.0, gt=0, le=3600)
    batch: int = Field(default=500, ge=1, le=5_000, description="lines of one transaction")
    # The platform keeps records for five days. Must stay below the days for which handled messages are kept: what was
    # forgotten since would be taken for new.
    days: float = Field(default=7.0, gt=0, le=60, description="older records are left alone")
    files: Path | None = None
    files_by: Literal["md5sum", "sdkfileid"] = "md5sum"
    answers: Literal["leader", "notice", "none"] = "leader"
    carrier: str = Field(default="", max_length=32)
    # For notices: an app of the corporation that may use 客户联系, and who owns each group and so confirms its tasks.
    corp_id: str | None = None
    secret: SecretStr | None = None
    api_base: HttpAddress = "https://qyapi.weixin.qq.com"
    owners: dict[str, str] = Field(default_factory=dict, description='JSON: {"roomid": "userid of its owner"}')
    notice_at: time = Field(default=time(18), description="local time at which a day's notice is made")
    # 92135: one a group and day, unless the corporation's administrator has set it otherwise.
    notices_a_day: int = Field(default=1, ge=1, le=31)

    @property
    def enabled(self) -> bool:
        """All that the channel needs is there."""
        return self.on or self.folder is not None

    @property
    def files_folder(self) -> Path | None:
        """Where files are looked for; None: nowhere."""
        return self.files or self.folder

    @property
    def missing(self) -> list[str]:
        """Names of the settings without which there are no notices: everything then goes to the leaders."""
        needed = ("corp_id", "secret", "owners") if self.answers == "notice" else ()
        return [name for name in needed if not getattr(self, name)]
