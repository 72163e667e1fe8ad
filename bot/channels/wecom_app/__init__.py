"""The self-built WeCom app (企业微信自建应用): task cards to gridworkers and staff, and what they press and say."""

from bot.channels.wecom_app.channel import PATH, WecomApp
from bot.channels.wecom_app.letters import NAME

__all__ = ["NAME", "PATH", "WecomApp"]
