"""WeChat Official Account (公众号, 服务号). letters and events in; pushing, ledger and notices out; account holds them
together."""

from bot.channels.render import TEXT_BYTES
from bot.channels.wechat_mp.account import PATH, OfficialAccount
from bot.channels.wechat_mp.letters import NAME, read
from bot.channels.wechat_mp.pushing import PARTS

__all__ = ["NAME", "PARTS", "PATH", "TEXT_BYTES", "OfficialAccount", "read"]
