"""What /metrics shows of the bot."""

from prometheus_client import Counter, Gauge

standing = Gauge("linsheng_channel_state", "1 for the state that a channel's connection is in", ["channel", "state"])
gone = Counter("linsheng_channel_connections_lost_total", "Connections that ended", ["channel"])
unread = Counter("linsheng_bot_unread_total", "Messages to the bot of a kind that it cannot read")
feedback = Counter("linsheng_bot_feedback_total", "What people made of an answer of the bot", ["kind"])
