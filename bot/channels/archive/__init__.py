"""The message archive (会话内容存档): groups are read from files of decrypted records; it cannot speak."""

from bot.channels.archive.channel import Archive
from bot.channels.archive.records import NAME

__all__ = ["NAME", "Archive"]
