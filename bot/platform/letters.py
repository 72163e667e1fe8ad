"""The XML letters of 公众号 and of WeCom's apps, as the platform writes and reads them."""

from typing import Any
from xml.parsers import expat

Fields = dict[str, Any]


class BadLetter(Exception):
    """What the app answered is no letter; the message says why."""


class Bare(str):
    """A number: written without CDATA."""

    __slots__ = ()


def write(fields: Fields) -> str:
    """`<xml>` with these elements. A dict nests, a list repeats, an int or Bare is written bare."""
    return f"<xml>{_inside(fields)}</xml>"


def read(text: str) -> Fields:
    """The elements inside `<xml>`: text, dict, or a list of them where one is repeated. Raises BadLetter."""
    stack: list[tuple[str, Fields, list[str]]] = [("", {}, [])]

    def opened(name: str, _attributes: object) -> None:
        stack.append((name, {}, []))

    def closed(_name: str) -> None:
        name, children, words = stack.pop()
        value: Any = children or "".join(words).strip()
        above = stack[-1][1]
        if name not in above:
            above[name] = value
        elif isinstance(above[name], list):
            above[name].append(value)
        else:
            above[name] = [above[name], value]

    def said(words: str) -> None:
        stack[-1][2].append(words)

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = opened, closed, said
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        raise BadLetter(f"no XML: {error}") from None
    found = stack[0][1].get("xml")
    if not isinstance(found, dict):
        raise BadLetter("no elements in <xml>")
    return found


def _inside(fields: Fields) -> str:
    return "".join(_element(name, value) for name, value in fields.items())


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_element(name, item) for item in value)
    if isinstance(value, dict):
        inner = _inside(value)
    elif isinstance(value, int | float | Bare):
        inner = str(value)
    else:
        inner = "<![CDATA[" + str(value).replace("]]>", "]]]]><![CDATA[>") + "]]>"
    return f"<{name}>{inner}</{name}>"
