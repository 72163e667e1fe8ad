"""会话内容存档: what people say in customer groups, as the records that the corporation's own program writes out.

The SDK in that program (GetChatData, DecryptData, GetMediaData) is native code, and not played: here is what it gives,
one decrypted record a line, and the files beside them under the sum that their record tells. Source: 企业微信 91774.
"""

import hashlib
import json
import secrets
from pathlib import Path
from typing import Any

from bot.platform.aibot_people import JPEG
from bot.platform.shared import Shared
from bot.platform.world import Bubble

CHANNEL = "archive"
RECORDS = "records.jsonl"


class ChatArchive:
    """folder: where records and files go; None: nobody runs such a program."""

    def __init__(self, shared: Shared) -> None:
        self.folder: Path | None = None
        self._shared = shared

    def say(self, chat: str, user: str, text: str) -> Bubble:
        """Words in a group."""
        return self._record(chat, user, text, "text", content=text)

    def photo(self, chat: str, user: str, data: bytes = JPEG) -> Bubble:
        """A picture in a group."""
        name = hashlib.md5(data).hexdigest()  # noqa: S324 - the platform's own sum
        if self.folder is not None:
            (self.folder / f"{name}.jpg").write_bytes(data)
        told = {"md5sum": name, "filesize": len(data), "sdkfileid": secrets.token_hex(400)}
        return self._record(chat, user, "[图片]", "image", **told)

    def _record(self, chat: str, user: str, shown: str, kind: str, **body: Any) -> Bubble:
        now, message = self._shared.clock(), f"{secrets.token_urlsafe(24)}_external"
        bubble = Bubble(message, now, CHANNEL, chat, by=user, kind=kind, text=shown, body=body)
        record = {
            "msgid": message, "action": "send", "from": user, "roomid": chat, "msgtype": kind, kind: body,
            "tolist": [member for member in self._shared.world.groups[chat].members if member != user],
            "msgtime": int(now.timestamp() * 1000),
        }  # fmt: skip
        if self.folder is not None:
            with (self.folder / RECORDS).open("a", encoding="utf-8") as opened:
                opened.write(json.dumps(record, ensure_ascii=False) + "\n")
        return self._shared.world.show(bubble)
