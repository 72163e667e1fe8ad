"""The account's menu (自定义菜单), from config/wechat_menu.yaml.

Platform page: 创建自定义菜单: three buttons, five below each, names of 16 and 60 bytes, keys of 128, addresses of 1024.
"""

from typing import Any

from bot.channels.wechat_mp.events import SAYS
from config.tables import TableError, mapping

FILE = "wechat_menu.yaml"
TOP, BELOW = 3, 5
TOP_BYTES, BELOW_BYTES, KEY_BYTES, URL_BYTES = 16, 60, 128, 1_024
Button = dict[str, Any]


def menu() -> Button:
    """The body of menu/create. Raises TableError naming the button that is wrong."""
    rows = mapping(FILE).get("menu")
    if not isinstance(rows, list) or not 1 <= len(rows) <= TOP:
        raise TableError(f"{FILE}: menu: 1 to {TOP} buttons")
    return {"button": [_button(row, TOP_BYTES) for row in rows]}


def words() -> frozenset[str]:
    """What the buttons say."""
    found = menu()["button"]
    every = [*found, *(one for button in found for one in button.get("sub_button", ()))]
    return frozenset(one["key"].removeprefix(SAYS) for one in every if "key" in one)


def _button(row: object, name_bytes: int) -> Button:
    if not isinstance(row, dict) or not isinstance(row.get("name"), str):
        raise TableError(f"{FILE}: a button is a mapping with a name")
    name: str = row["name"]
    if not 1 <= len(name.encode()) <= name_bytes:
        raise TableError(f"{FILE}: {name}: a name has at most {name_bytes} bytes here")
    kinds = [kind for kind in ("say", "url", "menu") if kind in row]
    if len(kinds) != 1 or set(row) != {"name", kinds[0]}:
        raise TableError(f"{FILE}: {name}: has `say`, `url` or `menu`, one of them")
    return {"name": name} | _what(name, kinds[0], row[kinds[0]], top=name_bytes == TOP_BYTES)


def _what(name: str, kind: str, value: object, *, top: bool) -> Button:
    if kind == "menu":
        if not top or not isinstance(value, list) or not 1 <= len(value) <= BELOW:
            raise TableError(f"{FILE}: {name}: 1 to {BELOW} buttons below, and none below those")
        return {"sub_button": [_button(row, BELOW_BYTES) for row in value]}
    if kind == "say":
        if not isinstance(value, str) or not 1 <= len((SAYS + value).encode()) <= KEY_BYTES:
            raise TableError(f"{FILE}: {name}: say: words of at most {KEY_BYTES - len(SAYS)} bytes")
        return {"type": "click", "key": SAYS + value}
    if not isinstance(value, str) or not value.startswith("https://") or len(value.encode()) > URL_BYTES:
        raise TableError(f"{FILE}: {name}: url: must begin with https://")
    return {"type": "view", "url": value}
