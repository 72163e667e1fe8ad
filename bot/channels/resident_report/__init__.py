"""居民上报 (WeCom 政务版): orders placed with the product's robot are pulled; nothing can be said there."""

from bot.channels.resident_report.channel import ResidentReport
from bot.channels.resident_report.orders import NAME

__all__ = ["NAME", "ResidentReport"]
