"""What the platforms say when they refuse. Source: 全局返回码 of both (企业微信 90313); 8466xx are known from clients'
reports only. A number may mean one thing at 企业微信 and another at 公众号."""

from typing import Any

OK = 0
TEXTS = {
    -1: "system error",
    0: "ok",
    40002: "invalid grant_type",
    40001: "invalid credential, access_token is invalid or not latest",
    40003: "invalid openid",
    40004: "invalid media type",
    40007: "invalid media_id",
    40008: "invalid message type",
    40013: "invalid corpid",
    40014: "invalid access_token",
    40030: "invalid refresh_token",
    40037: "invalid template_id",
    40056: "invalid agentid",
    40058: "invalid Request Parameter",
    40096: "invalid external userid",
    40125: "invalid appsecret",
    40164: "invalid ip, not in whitelist",
    41001: "access_token missing",
    42001: "access_token expired",
    42045: "Template_Card.card_action missing or invalid",
    43004: "require subscribe",
    43101: "user refuse to accept the msg",
    44004: "empty content",
    45001: "media size out of limit",
    45002: "message content size out of limit",
    45009: "api freq out of limit",
    45011: "api minute-quota reach limit, must slower, retry next minute",
    45015: "response out of time limit or subscription is canceled",
    45047: "out of response count limit",
    47001: "data format error",
    47003: "argument invalid",
    48001: "api unauthorized",
    48002: "api forbidden",
    60020: "not allow to access from your ip",
    60111: "userid not found",
    81013: "user & party & tag all invalid",
    86001: "invalid chatid",
    86003: "chatid not exist",
    86215: "chatid already exist",
    93000: "invalid webhook url",
    95000: "invalid open_kfid",
    95001: "kf send msg count limit",
    95002: "kf send msg time limit",
    95007: "invalid msg token",
    95018: "send msg session status invalid",
    301085: "recall msg out of time limit",
    846604: "aibot has no such conversation",
    846605: "invalid req_id",
    846607: "aibot send msg frequency limit exceeded",
    846608: "stream message update expired",
    846609: "aibot websocket not subscribed",
    853006: "feature not open",
}


class PlatformError(Exception):
    """A call is refused. detail: put after the platform's own words."""

    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    @property
    def answer(self) -> dict[str, Any]:
        """As the platform writes it."""
        text = TEXTS.get(self.code, "error")
        return {"errcode": self.code, "errmsg": f"{text}: {self.detail}" if self.detail else text}


def fine(**more: Any) -> dict[str, Any]:
    """The answer to a call that worked."""
    return {"errcode": OK, "errmsg": "ok"} | more


def mapping(value: object, code: int = 40058, detail: str = "") -> dict[str, Any]:
    """The value, if it is a JSON object. Raises PlatformError."""
    if not isinstance(value, dict):
        raise PlatformError(code, detail)
    return value


def number(value: object, detail: str) -> int:
    """The value, if it is a whole number. Raises PlatformError 40058."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise PlatformError(40058, detail)
    return value


def need(condition: object, code: int, detail: str = "") -> None:
    """Raises PlatformError unless the condition holds."""
    if not condition:
        raise PlatformError(code, detail)
