"""What /metrics shows."""

from prometheus_client import Counter, Gauge, Histogram

received = Counter("linsheng_messages_received_total", "Messages stored at the door", ["state"])
refused = Counter("linsheng_callbacks_refused_total", "Callbacks refused", ["channel", "why"])
handled = Counter("linsheng_messages_handled_total", "Messages handled", ["outcome"])
handling = Histogram("linsheng_batch_seconds", "Seconds for a batch from claim to commit", buckets=(
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10))  # fmt: skip
sent = Counter("linsheng_messages_sent_total", "Messages that left", ["channel", "outcome"])
unreached = Counter("linsheng_alerts_unreached_total", "Alerts given up, by what followed", ["channel", "follows"])
account_refused = Counter(
    "linsheng_account_refused_total", "Pauses because a platform took nothing of our account", ["call", "code"]
)
deadlines = Counter("linsheng_deadlines_fired_total", "Deadlines that fell due", ["kind"])
backlog = Gauge("linsheng_inbox_backlog", "Messages that wait to be handled")
backlog_age = Gauge("linsheng_inbox_backlog_age_seconds", "Age of the oldest message that waits")
outbox = Gauge("linsheng_outbox_backlog", "Messages that wait to be sent")
rasa = Counter(
    "linsheng_rasa_messages_total", "Messages by what Rasa made of them; all but understood fell back", ["outcome"]
)
