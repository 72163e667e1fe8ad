"""OneBot v11 over a reverse WebSocket: a QQ account that sits in a group like anybody else, and hears all of it."""

from bot.channels.onebot.channel import PATH, TERMS, OneBot
from bot.channels.onebot.events import NAME

__all__ = ["NAME", "PATH", "TERMS", "OneBot"]
