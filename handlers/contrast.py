"""What in a message sets it apart from the matter it follows: 对了, 另外; the other staircase; 不是水 是网; 我们反过来;
去年也这样.
"""

import re

from nlu.normalize import number

# How people begin a second matter. What stands behind it is new, though the same person says it in the same breath.
TURN = re.compile(
    r"[哦噢喔诶欸哎啊嗯]?\s*"
    r"(?:对了|另外(?![一那的])|还有(?![没多人谁几]|[^\s,，。]{0,4}[吗么])|再就是|再有|再一个|再说个|顺便|顺带|说到(?!底)|要说|说起)"
)
_SIDE = re.compile(r"([东西南北左右])(?:边|侧|头|面|门(?![店诊])|塔|梯|首(?!饰)|手|单元|楼梯|电梯|那)")
_UNIT = re.compile(r"(?<![\d一二三四五六七八九十])(\d{1,3}|[一二三四五六七八九十]{1,3})(?:单元|门洞|门栋|号梯|号电梯)")
_NOT = re.compile(r"(?<![是要这])不是([^\s,，。、\d我你他她咱俺这那的说了有没在]{1,3})(?!\S*[吗么])")
_APART = re.compile(
    r"反过来|另一[个棵台栋根](?![老小人孩])|[跟和][你他那]\S{0,4}不是一|这边是(?!不是|[\d一二三四五六七八九十]+[幢栋号单])"
)
# Not 晚上回家, and not 天黑以前.
_LONG_AGO = re.compile(
    r"[去前那]年|(?<![晚早马路身])上[次回](?![家来去])|(?<![点号天黑午夜晚早\d跟])以前(?!一样)|上个?月"
)
AXES = ("东西", "南北", "左右")


def contrasts(mine: str, theirs: str) -> dict[str, float]:
    """Signs of it in a message, against the words of a ticket; both normalised."""
    found = {}
    if TURN.match(mine):
        found["turns"] = 1.0
    if other_side(mine, theirs):
        found["other side"] = 1.0
    if any(said[:length] in theirs for said in _NOT.findall(mine) for length in (1, 2)[: len(said)]):
        found["not that"] = 1.0
    return found


def set_apart(mine: str) -> bool:
    """Whether it says to be something else than what others told: 我们这栋反过来, 跟你们不是一路线."""
    return bool(_APART.search(mine))


def of_long_ago(mine: str) -> bool:
    """Whether it speaks of another time: 去年那家也是先说装修 is no word of this year's."""
    return bool(_LONG_AGO.search(mine))


def other_side(mine: str, theirs: str) -> bool:
    """Whether both name a side or a staircase, and not the same: 东边 and 西边, 1单元 and 3单元."""
    here, there = (set(_SIDE.findall(text)) for text in (mine, theirs))
    for axis in AXES:
        if (one := here & set(axis)) and (two := there & set(axis)) and not one & two:
            return True
    units, others = ({number(unit) for unit in _UNIT.findall(text)} for text in (mine, theirs))
    return bool(units and others and not units & others)
