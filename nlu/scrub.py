"""Takes out of a message who wrote it and where she lives, before it is kept beside an artefact.

Digits become zeros and a name as many 某: the text stays as long as it was, and as the features fold digits anyway
(`nlu.features`), what is learned from it stays nearly the same. Buildings and estates stay: they are no secret, and the
gazetteer masks them in training.
"""

import re
from collections.abc import Iterable

from nlu import grammar
from nlu.normalize import normalize

SOMEBODY = "某"
# Numbers that everybody may know, and that say something about the matter.
PUBLIC = frozenset({"110", "119", "120", "122", "12345"})
# Telephones, identity cards, bank cards, meters: seven digits and more, however they are spaced.
LONG = re.compile(r"(?<!\d)\d(?:[- ]?[\dx]){6,}")
SPELLED = re.compile(r"[零〇一二三四五六七八九幺两]{7,}")
MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
HANDLE = re.compile(r"(?:微信号?|威信|薇信|[vw]x|v信|qq号?)[是为:： ]*(?P<name>[a-z\d][\w-]{4,19})")
PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼](?P<name>[a-z][· ]?[a-z\d]{5,6})(?![a-z\d])"
)
CALLED = re.compile(r"@(?!(?:bot|邻声|小邻))(?P<name>\S{1,12})")
# The commonest surnames: enough to tell 我叫张伟 from 我叫了物业.
SURNAME = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕"
    "丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严武戴莫孔向汤"
)
INTRODUCED = re.compile(rf"(?:我叫|我是|名叫|本人|姓名|联系人|户主)[:： ]?(?P<name>[{SURNAME}][\u4e00-\u9fff]{{1,2}})")
ADDRESSED = re.compile(rf"(?P<name>[{SURNAME}][\u4e00-\u9fff]{{0,2}})(?=先生|女士|小姐|同志)")
HOME = re.compile(
    r"(?<!\d)(?P<name>\d{3,4})(?!\d|号楼|栋|幢|座|#|排|院|弄|路|元|块|个|人|米|年|天(?!天)|斤|分|度|瓦|平|岁|万)"
)
SPELLED_HOME = re.compile(r"(?P<name>[零〇一二三四五六七八九幺两]{3,4})(?=室|户|房)")


def scrub(text: str, names: Iterable[str] = ()) -> str:
    """`text` without telephones, other long numbers, flats, plates, addresses and handles, and people's names; as long
    as before. names: those of the town's people."""
    found = text
    for name in sorted({name for name in names if len(name) >= 2}, key=len, reverse=True):
        found = found.replace(name, SOMEBODY * len(name))
    for pattern in (MAIL, HANDLE, PLATE, LONG, SPELLED):
        found = _blanked(pattern, found)
    for pattern in (CALLED, INTRODUCED, ADDRESSED):
        found = _blanked(pattern, found, SOMEBODY)
    for building in grammar.buildings(normalize(found)):
        if building.room:  # 3-2-501 and 3栋2单元501: the number at the end
            start = building.end - len(re.split(r"\D", found[building.start : building.end].rstrip("室户房"))[-1])
            found = found[:start] + _zeros(found[start : building.end]) + found[building.end :]
    return _blanked(SPELLED_HOME, _blanked(HOME, found))


def _blanked(pattern: re.Pattern[str], text: str, by: str = "") -> str:
    """What the pattern finds (its group `name`, if it has one) as zeros, or as so many of `by`. Looked for in the
    normalised text: full-width digits are digits."""
    out = text
    part = "name" if "name" in pattern.groupindex else 0
    for match in pattern.finditer(normalize(text)):
        if match[part] in PUBLIC:
            continue
        start, end = match.span(part)
        out = out[:start] + (by * (end - start) if by else _zeros(out[start:end])) + out[end:]
    return out


def _zeros(text: str) -> str:
    """Letters and numerals as 0, marks as they are."""
    return re.sub(r"\w", "0", text)
