"""The grammar of where: buildings, units, floors, rooms, and how people point at things beside them.

Works on normalised text. It knows no names; those come from the gazetteer.
"""

import re
from dataclasses import dataclass

from nlu.normalize import number

_N = r"(?:\d{1,4}|[零〇一二两三四五六七八九十百廿幺]{1,5})"
_L = r"(?<![a-z])[a-z](?![a-z])"

BUILDING = re.compile(
    rf"(?P<no>(?:(?<![a-z\d])[a-z]\d{{1,2}}|{_N}|{_L}))\s?(?:号楼|号?(?:栋|幢|座|院)|#楼?|(?<!一)排(?!队|名|水|烟|污|骨|练|便|气|除|放|查|量|风|插)|号(?!线|码|召|称|楼道|电|学|前|那天|早|晚|上午|下午|中午|开始|到|之|桩|机|泵|柱|杆|摊|桌|灯(?!火)|阀|闸|窗|档口|柜|炉|池|台|岗|塔|车(?!库|棚|间))|栋楼)"
)
# So many of them, and none in particular: 两栋, 停了三排.
_COUNTED = re.compile(r"[停摆堆站坐放晒挂列占](?:满|成|出|有|了|着)+$")
_SIDE = re.compile(r"[东西南北]?[头侧边]|门口|路口|把头|[^ ，。]{0,3}排")
UNIT = re.compile(rf"(?P<no>{_N}|[甲乙丙丁])\s?(?:单元|门洞|门(?!口|外|禁|卫|诊|店|市|票)|梯(?!子)|号门)")
FLOOR = re.compile(rf"(?:负|地下)?(?P<no>{_N})\s?(?:楼|层)(?!道|梯|下|上|顶|房|主|盘|长)")
ROOM = re.compile(r"(?P<no>\d{3,4})\s?(?:室|房|户)?(?![\d元块点个人米年月天斤分钟秒平岁多w万号路块])")
DASHED = re.compile(
    r"(?<![\d-])(?P<building>\d{1,3}|[a-z])\s?(?:-|杠|—)\s?(?P<unit>\d{1,2})\s?(?:-|杠|—)\s?(?P<room>\d{3,4})(?![\d-])"
)
# The writer's own home or building. "我家楼下", "我们这栋", "阿拉楼里", "俺家门口", "咱们单元"
OWN_HOME = re.compile(
    r"(?:我|俺|吾|伢|阮|偶)(?:们|哩|伲)?(?:自己)?(?:家|屋|屋里|宿舍|寝室|店)(?!隔壁的?那?[栋幢])|"
    r"(?:我|俺|咱|阿拉|我侬|吾|伢|阮|伲)(?:们|哩)?(?:这|个|格|自己|住的?)*(?:一)?(?:栋|幢|号楼|单元|楼(?!盘)|门洞|排|院|座|宿舍楼)|"
    r"(?:阿拉|咱们?|我们|俺们)(?:这)?(?:屋里|楼道|楼里|楼下|楼上|楼顶|门口|门栋|楼梯间)|自家|自己家|家门口|家里|屋头|本栋|本楼|本单元|我(?:们)?(?:房顶|房间|阳台|窗户|厨房|卫生间|客厅|卧室|门口)|"
    r"(?:楼上|楼下|隔壁|对门|我对面|楼道对面)(?:的|那|这|有|住)*(?:一)?(?:家|户|邻居|老|住|姓|个|男|女|又|在|天天|半夜|\d{3})"
)
# Where the writer is, which is nearly always where she lives: 我们那灯也是, 俺这也不亮.
OWN_HERE = re.compile(
    r"(?<![余金名数限])(?:我|俺|咱|额|阮|伲|阿拉)(?:们|家)?[这那]"
    r"(?:[边里儿头](?![人子女媳])|(?=[灯也没]|[都又](?![是这那])|停(?!车)|不(?![是知])))"
)
# A place said only to be taken back: "不是4幢", "不在3号楼".
NOT_THERE = re.compile(r"(?:不是|不在|并非|非|弗是|唔系|唔喺|毋是|莫是)(?:我们|你们|俺们|咱|在)?$")
# Before a number with 号 it is a day of the month: 3月5号, 明天5号.
DATE = re.compile(r"(?:月份?|明天|后天|昨天|前天|今天|这周|下周|周[一二三四五六日])\s?$")
# From here on the writer corrects herself; what she names after it counts.
CORRECTION = re.compile(
    r"(?:不对|错了|说错|讲错|打错|看错|写错|记错|记串|说岔|说反|听岔|搞错|弄错|歹势|更正|应该是|噢不|哦不|是我看花)"
)
# It is not there, it is here: what is said second counts. 不是路口 是天桥底下
INSTEAD = re.compile(r"(?:(?<![是要])不是|并非|弗是|唔系|毋是)[^，。 ]{1,8}[ ，,。]?(?:是|在|系)(?!不)")
# Words that point away from the home although it is mentioned.
NOT_HOME = re.compile(r"(?:隔壁|对面|旁边|后面|前面|楼?那)(?:那)?(?:栋|幢|号楼|小区|单元|楼(?!上|下))")
RANGE = re.compile(
    rf"(?P<first>{_N})\s?(?:号楼|栋|幢|#|号|座)?\s?(?:到|至|-|~|—)\s?(?P<last>{_N})\s?(?:号楼|栋|幢|#|座)(?P<all>这?几[栋幢座]|都|全)?"
)


LONGEST = 2_000  # characters of a text that are looked at
# Without one of these no building is named: most messages are done.
_NUMBERED = re.compile(r"[栋幢座院#排号\-杠—]")


@dataclass(frozen=True, slots=True)
class Building:
    """A building named by its number. start, end: its position; unit, floor, room: "" when not said."""

    no: str
    start: int
    end: int
    unit: str = ""
    floor: str = ""
    room: str = ""


def buildings(text: str) -> list[Building]:
    """Buildings that a normalised text names, left to right: 3幢2单元, 十二栋, 12#, A座, 3-2-501."""
    found: list[Building] = []
    text = text[:LONGEST]
    if not _NUMBERED.search(text):
        return found
    taken: list[tuple[int, int]] = []
    for match in RANGE.finditer(text):
        first, last = number(match["first"]), number(match["last"])
        if first and last and int(first) < int(last) <= int(first) + 30:
            taken.append(match.span())
            found += [Building(no, *match.span()) for no in (first, last)]
    for match in DASHED.finditer(text):
        if not _overlaps(match.span(), taken):
            taken.append(match.span())
            no = number(match["building"])
            found.append(Building(no, *match.span(), unit=number(match["unit"]), room=match["room"]))
    for match in BUILDING.finditer(text):
        no = match["no"]
        no = no.upper() if re.fullmatch(r"[a-z]\d+", no) else number(no)
        if (
            not no
            or _overlaps(match.span(), taken)
            or (match.group().endswith("号") and DATE.search(text[: match.start()]))
            or _counts(match, text)
        ):
            continue
        end = match.end()
        parts = {"unit": "", "floor": "", "room": ""}
        for name, pattern in (("unit", UNIT), ("floor", FLOOR), ("room", ROOM)):
            if part := pattern.match(text, end + (text[end : end + 1] in (" ", "的"))):
                parts[name], end = number(part["no"]), part.end()
        found.append(Building(no, match.start(), end, **parts))
        taken.append((match.start(), end))
    return sorted(found, key=lambda building: building.start)


def _counts(match: re.Match[str], text: str) -> bool:
    """两栋 is how many; the second one is 二栋."""
    in_rows = match.group().endswith("排") and _COUNTED.search(text[: match.start()])
    if in_rows and not _SIDE.match(text, match.end()):
        return True
    return match["no"] == "两" and not any(mark in match.group() for mark in "号#")


def says_home(text: str) -> bool:
    """The writer speaks of her own home or building."""
    return bool(OWN_HOME.search(text)) and not NOT_HOME.search(text)


def says_here(text: str) -> bool:
    """The writer speaks of where she is, without saying where."""
    return bool(OWN_HERE.search(text)) and not NOT_HOME.search(text)


def _overlaps(span: tuple[int, int], others: list[tuple[int, int]]) -> bool:
    return any(span[0] < end and start < span[1] for start, end in others)
