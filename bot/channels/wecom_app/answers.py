"""The passive answer to a pressed card, as XML: it changes the clicker's own card. Page 90241 被动回复消息格式.

Names are those of the JSON in PascalCase; a list is its element, repeated.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bot.channels.sealed import cdata

FIT = ("card_type", "source", "main_title", "sub_title_text", "horizontal_content_list", "card_action", "button_list",
       "quote_area", "task_id")  # fmt: skip


def new_words(user: str, corp_id: str, now: datetime, words: str) -> str:
    """`update_button`: the card's buttons turn grey and say `words`."""
    return _letter(user, corp_id, now, "update_button", f"<Button><ReplaceName>{cdata(words)}</ReplaceName></Button>")


def new_card(user: str, corp_id: str, now: datetime, card: Mapping[str, Any]) -> str:
    """`update_template_card`: another face. card: as it goes into JSON."""
    inner = _inside({name: card[name] for name in FIT if name in card})
    return _letter(user, corp_id, now, "update_template_card", f"<TemplateCard>{inner}</TemplateCard>")


def _letter(user: str, corp_id: str, now: datetime, kind: str, inner: str) -> str:
    return (
        f"<xml><ToUserName>{cdata(user)}</ToUserName><FromUserName>{cdata(corp_id)}</FromUserName>"
        f"<CreateTime>{int(now.timestamp())}</CreateTime><MsgType>{cdata(kind)}</MsgType>{inner}</xml>"
    )


def _inside(fields: Mapping[str, Any]) -> str:
    return "".join(_element(_pascal(name), value) for name, value in fields.items())


def _element(name: str, value: object) -> str:
    if isinstance(value, list):
        return "".join(_element(name, item) for item in value)
    inner = (
        _inside(value) if isinstance(value, Mapping) else str(value) if isinstance(value, int) else cdata(str(value))
    )
    return f"<{name}>{inner}</{name}>"


def _pascal(name: str) -> str:
    """main_title → MainTitle, keyname → KeyName: the page writes that one as two words."""
    return "KeyName" if name == "keyname" else "".join(part.capitalize() for part in name.split("_"))
