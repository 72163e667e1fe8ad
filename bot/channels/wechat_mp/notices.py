"""What a template notice says: the deployment's template, our words, cut to what each kind of field takes.

Platform pages: 模板消息 (template/send), 订阅通知 (subscribe/bizsend): 参数值内容限制说明; 47003 on violation.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime

from bot.channels.render import harmless, plain
from models.message import Outgoing

# Characters of a value, by the letters that its field's name begins with.
LENGTHS = {"thing": 20, "character_string": 32, "phrase": 5, "letter": 32, "number": 32, "const": 20, "name": 10}
OTHER = 20
NOTHING = "-"  # an empty value is refused

Data = dict[str, dict[str, str]]  # field → {"value": words}, as the platform takes them

_KIND = re.compile(r"[a-z_]+")


def values(fields: Mapping[str, str], out: Outgoing, at: datetime) -> Data:
    """`data` of a notice. fields: name → pattern with {text}, {number}, {time}. at: in the deployment's zone."""
    told = _line(harmless(out.text or (out.card.title if out.card else "")))
    blanks = {
        "text": told,
        "number": f"LS{out.ticket:05d}" if out.ticket is not None else NOTHING,
        "time": f"{at.year}年{at.month}月{at.day}日 {at:%H:%M}",
    }
    return {name: {"value": _short(name, pattern.format(**blanks))} for name, pattern in fields.items()}


def says_all(data: Data, out: Outgoing) -> bool:
    """Whether a field holds the message to its last word, and with all that is on its card."""
    words = _line(plain(out))
    return any(words in told["value"] for told in data.values())


def _line(words: str) -> str:
    return " ".join(words.split())


def _short(name: str, value: str) -> str:
    kind = _KIND.match(name)
    most = LENGTHS.get(kind[0].rstrip("_") if kind else "", OTHER)
    value = value.strip() or NOTHING
    return value if len(value) <= most else value[: most - 1] + "…"


def repeat_id(client_id: str) -> str:
    """`client_msg_id`: the platform takes one only once within ten minutes."""
    return hashlib.sha256(client_id.encode()).hexdigest()[:32]
