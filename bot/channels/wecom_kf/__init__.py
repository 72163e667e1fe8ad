"""微信客服 (WeChat customer service). letters in; puller asks, keeping stores; pushing and servicers out; account holds
them together."""

from bot.channels.wecom_kf.account import PATH, WecomKf
from bot.channels.wecom_kf.letters import NAME

__all__ = ["NAME", "PATH", "WecomKf"]
