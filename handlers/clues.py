"""Every place that a message may mean, each with the signs that speak for or against it.

Signs are plain words ("numbered", "near:0", "after from"); `handlers.place` adds up their points. What the points are
is data (config/place.yaml), fitted on the training towns.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from rapidfuzz import fuzz

from config.places import group_of
from handlers.town import GATE, Town
from nlu import features, grammar
from nlu.grammar import Building
from nlu.normalize import normalize
from nlu.types import Span

NEAR_METRES = 60.0
FAR = 4  # levels of the grid tree; more is all alike
FEW = 4  # namesakes looked at, nearest first
ALIKE = 80.0  # of 100; below it two names are two names
LONG_ENOUGH = 4
LANDMARKS = frozenset({"school", "market", "factory", "poi"})

_FROM = re.compile(r"(?:从|离|自|距)$")
_TO = re.compile(r"(?:到|去|往|送|跑|回|找|过了|走到)$")
_AT = re.compile(r"(?:在|就在|是)$")
_FACING = re.compile(r"(?:对着|冲着|朝着|正对|面对|挨着|靠近|离)(?:我|俺|咱)?(?:们|家)?(?:的)?$")
_BESIDE = re.compile(
    r"^(?:的|那|这|边|个)*(?:门口|旁边?|边上|楼下|后面|前面|对面|隔壁|附近|周围|外面|东边|西边|南边|北边)"
)
_DOOR = re.compile(r"(?:单元|楼道|楼|栋|幢|家|户)(?:的|那个|这个)?$")
_NOT_THE_OTHER = re.compile(r"^[^，。]{0,3}?[ ，,]?(?:(?<![是要])不是|弗是|唔系|毋是)")  # 是4号库 不是3号
_WITHIN = re.compile(r"^(?:的|那|这|边|个)*(?:里面?|上面?|顶|内|一楼|二楼|地下)")
_WHOSE = re.compile(r"^(?:的人|那家|老板|打工|上班|上学|读书|住院|看病|的药|老师|保安)")
_EVERYWHERE = re.compile(
    r"全(?:小区|村|院|厂|楼|部|都|停)|整个|整片|大家都|好几[栋幢家户排]|几[栋幢排]都|各[栋幢楼家]|"
    r"(?:我们|咱们?|阿拉|俺们)(?:这个?|那)?(?:小区|院|村|片|社区|厂|里)|都(?:停|没|断)|每[栋幢家户]|到处|家家"
)
_BEFORE = (("after from", _FROM), ("after to", _TO), ("after at", _AT), ("facing", _FACING))


@dataclass(frozen=True, slots=True)
class Where:
    """What there is to go by.

    home: the writer's registered place. chat_grid: the group's grid, "" or None in a direct chat. kind: the likeliest
    category of what she tells of, "" if unknown.
    """

    text: str = ""
    spans: tuple[Span, ...] = ()
    home: str | None = None
    chat_grid: str | None = None
    lon: float | None = None
    lat: float | None = None
    label: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One answer to the question where. source: named, numbered, pin, home (she speaks of it), register (she does not)
    or chat."""

    place: str | None
    grid: str | None
    source: str
    why: str
    signs: tuple[str, ...]
    spot: str = ""
    wide: bool = False


@dataclass(slots=True)
class _Clue:
    """Words that name a place: where they stand, and the places they may mean, nearest first."""

    start: int
    end: int
    how: str
    places: list[str]
    why: str
    spot: str = ""
    signs: list[str] = field(default_factory=list)


def candidates(town: Town, where: Where) -> list[Candidate]:
    """All of them, unordered; never empty in a town that has grids."""
    text = normalize(where.text)
    clues = _clues(town, where, text)
    group = group_of(where.kind)
    everywhere = bool(_EVERYWHERE.search(text))
    found = list(_told(town, where, text, clues, group))
    found += _above(town, text, clues, group, everywhere=everywhere)
    found += _pinned(town, where, said=bool(clues))
    found += _home(town, where, text, group, said=bool(clues), everywhere=everywhere)
    found += _chat(town, where, group, said=bool(clues), everywhere=everywhere)
    return found


def _clues(town: Town, where: Where, text: str) -> list[_Clue]:
    spans = [span for span in where.spans if span.kind == "location" and span.codes]
    clues = [clue for span in spans if (clue := _named(town, where, span, spans))]
    clues += [clue for building in grammar.buildings(text) if (clue := _numbered(town, where, building, spans))]
    clues += _junctions(town, where, clues)
    clues += _nouns(town, where, text, clues)
    clues = clues or list(_heard(town, where, text))
    if not clues and (clue := _alike(town, where, text)):
        clues = [clue]
    return sorted(clues, key=lambda clue: clue.start)


def _named(town: Town, where: Where, span: Span, others: Sequence[Span]) -> _Clue | None:
    codes = [code for code in span.codes if code in town.places]
    # A named estate narrows the nicknames beside it: 白石新苑的垃圾房 is not the one of the group's own estate.
    holders = {code for other in others if other is not span for code in other.codes}
    inside = [code for code in codes if holders & set(list(town.above(code))[1:])]
    ranked = _nearest(town, inside or codes, where)
    if not ranked:
        return None
    how = span.how if span.how != "name" else "named"
    return _Clue(span.start, span.end, how, ranked, f"named «{span.text}»", signs=["in a named one"] if inside else [])


def _numbered(town: Town, where: Where, building: Building, named: Sequence[Span]) -> _Clue | None:
    if any(span.start <= building.start < span.end for span in named):
        return None  # the number is part of a name: 3幢旁边垃圾亭, and so is the flat behind it: 轴承小区5号楼302
    codes = town.by_number.get(building.no, [])
    holders = [s for s in named if s.end <= building.start and building.start - s.end <= 3]
    inside = [c for c in codes if holders and any(h in town.above(c) for h in holders[-1].codes)]
    if holders and not inside:
        inside = [c for h in holders[-1].codes for c in town.numbered_on(h, building.no)]
    ranked = _nearest(town, inside or codes, where)
    if not ranked:
        return None
    spot = "".join(f"{value}{unit}" for value, unit in ((building.unit, "单元"), (building.floor, "楼")) if value)
    how, why = ("held", "number in a named place") if inside else ("numbered", "number")
    signs = ["detailed"] if building.unit or building.floor or building.room else []
    return _Clue(building.start, building.end, how, ranked, why, spot, signs)


def _junctions(town: Town, where: Where, clues: Sequence[_Clue]) -> Iterator[_Clue]:
    """Two roads in one breath mean the place where they meet, if the gazetteer has it."""
    roads = [clue for clue in clues if clue.how == "named" and town.places[clue.places[0]].kind == "road"]
    for one, other in pairwise(roads):
        met = town.crossing(one.places[0], other.places[0])
        if met and other.start - one.end <= 4:
            yield _Clue(
                one.start, other.end, "named", _nearest(town, met, where), "two roads", signs=["in a named one"]
            )


def _nouns(town: Town, where: Where, text: str, clues: Sequence[_Clue]) -> Iterator[_Clue]:
    """驿站, 食堂, 北门: what a place is called by all who have only one such thing around."""
    grid = where.chat_grid or _grid_of(town, where.home)
    for noun, codes in town.nouns_near(grid).items():
        start = text.find(noun)
        if noun == GATE and _DOOR.search(text[:start]):
            continue  # 单元大门 is a door
        if start < 0 or any(clue.start < start + len(noun) and start < clue.end for clue in clues):
            continue
        beside = [
            code for clue in clues for code in codes if (town.places[code].parent or "") in town.above(clue.places[0])
        ]
        ranked = _nearest(town, beside or codes, where)
        signs = ["only one"] if len(codes) == 1 else []
        signs += ["only one here"] if sum(min(_distance(town, code, where)) == 0 for code in ranked) == 1 else []
        yield _Clue(start, start + len(noun), "noun", ranked, f"some «{noun}»", signs=signs)


def _heard(town: Town, where: Where, text: str) -> Iterator[_Clue]:
    """A name near by in characters that only sound like it, as keyboards write them: 垃及房."""
    numbered = grammar.buildings(text)
    for span in town.sounds_near(where.chat_grid or _grid_of(town, where.home)).find(text):
        if features.NUMERAL.search(span.text) or any(b.start < span.end and span.start < b.end for b in numbered):
            continue  # 十号楼 sounds like 四号楼
        ranked = _nearest(town, span.codes, where)
        yield _Clue(span.start, span.end, "sound", ranked, f"sounds like «{span.text}»")


def _alike(town: Town, where: Where, text: str) -> _Clue | None:
    """A name with a slip in it, looked for in the writer's own neighbourhood only."""
    best: tuple[float, str, str, int, int] | None = None
    for name, code in town.names_near(where.chat_grid or _grid_of(town, where.home)):
        if len(name) < LONG_ENOUGH or len(text) < len(name):
            continue
        match = fuzz.partial_ratio_alignment(name, text, score_cutoff=ALIKE)
        if match and match.dest_end - match.dest_start >= len(name) - 1 and (best is None or match.score > best[0]):
            best = (match.score, name, code, match.dest_start, match.dest_end)
    if best is None:
        return None
    return _Clue(best[3], best[4], "alike", [best[2]], f"almost «{best[1]}»")


def _told(town: Town, where: Where, text: str, clues: Sequence[_Clue], group: str) -> Iterator[Candidate]:
    said = {code for clue in clues for code in clue.places[:1]}
    marks = sorted(match.end() for rule in (grammar.CORRECTION, grammar.INSTEAD) for match in rule.finditer(text))
    for number, clue in enumerate(clues):
        around = _around(text, clue, marks)
        if len(clues) > 1:
            around.append("first" if number == 0 else "last" if number == len(clues) - 1 else "middle")
        nearest = [_distance(town, code, where) for code in clue.places[:2]]
        shared = len(set(nearest)) < len(nearest)
        for nth, code in enumerate(clue.places[:FEW]):
            place = town.places[code]
            sort = "building" if place.kind == "building" else "landmark" if place.kind in LANDMARKS else place.kind
            near = min(_distance(town, code, where))
            signs = [clue.how, f"{clue.how}:{sort}", f"near:{min(near, FAR)}", f"{clue.how}:near:{min(near, FAR)}",
                     f"{group}:{sort}", f"{group}:{clue.how}:near:{min(near, 2)}", *clue.signs, *around]  # fmt: skip
            signs += [f"{group}:{sign}" for sign in around if sign in ("after to", "after from", "whose")]
            if nth and _distance(town, code, where) > nearest[0]:
                signs.append("farther")
            if shared:
                signs.append("rivals")
            if clue.end - clue.start >= LONG_ENOUGH:
                signs.append("long name")
            if any(code in list(town.above(other))[1:] for other in said):
                signs.append("holds another")
            if any(other != code and other in town.above(code) for other in said):
                signs.append("inside another")
            if code == where.home:
                signs.append("is home")
            yield Candidate(code, place.grid, "numbered" if clue.how == "numbered" else "named", f"{clue.why}: {code}",
                            tuple(signs), clue.spot)  # fmt: skip


def _around(text: str, clue: _Clue, marks: Sequence[int]) -> list[str]:
    before, after = text[max(0, clue.start - 5) : clue.start], text[clue.end : clue.end + 6]
    signs = [name for name, pattern in _BEFORE if pattern.search(before)]
    signs += [
        name for name, pattern in (("beside", _BESIDE), ("within", _WITHIN), ("whose", _WHOSE)) if pattern.match(after)
    ]
    if (several := grammar.RANGE.search(text)) and several.start() <= clue.start < several.end():
        signs.append("of a range")
    elif _spread(text) and clue.how in ("numbered", "held"):
        signs.append("of a list")
    if grammar.NOT_THERE.search(before):
        signs.append("taken back")
    instead = grammar.INSTEAD.search(text)
    if (_AT.search(before) and _NOT_THE_OTHER.match(after)) or (instead and clue.start >= instead.end()):
        signs += ["corrected", "instead"]
    elif marks:
        signs.append("corrected" if clue.start >= marks[0] else "before correction")
    return signs


def _above(town: Town, text: str, clues: Sequence[_Clue], group: str, *, everywhere: bool) -> Iterator[Candidate]:
    """What holds the places named: several buildings' estate, one building's estate where the kind spreads."""
    told = list(dict.fromkeys(clue.places[0] for clue in clues if town.places[clue.places[0]].kind == "building"))
    if len(told) > 1:
        shared = common_place(town, told)
        grid = town.common(town.places[code].grid for code in told)
        signs = [
            "common",
            f"{group}:common",
            f"common:spread:{_spread(text)}",
            f"common:{'place' if shared else 'grid'}",
        ]
        yield Candidate(shared, grid, "numbered", f"holds all: {shared}", tuple(signs), wide=True)
    seen: set[str] = set(told)
    for code in told:
        for up in list(town.above(code))[1:3]:
            if up not in seen:
                seen.add(up)
                signs = ["up", f"{group}:up", f"up:{town.places[up].kind}"]
                signs += ["up:everywhere"] if everywhere else []
                signs += ["up:several"] if len(told) > 1 else []
                yield Candidate(up, town.places[up].grid, "numbered", f"holds it: {up}", tuple(signs), wide=True)


def _spread(text: str) -> bool:
    """Several buildings in one breath: a range, or a list that all of it holds for; not one here and one there."""
    found = grammar.buildings(text)
    return bool(grammar.RANGE.search(text)) or any(
        text[left.end : right.start].strip(" 、,和跟与及") == ""
        for left, right in pairwise(found)
        if left.end <= right.start
    )


def _pinned(town: Town, where: Where, *, said: bool) -> Iterator[Candidate]:
    if where.lon is None or where.lat is None:
        return
    grid = town.at(where.lon, where.lat)
    near = [
        (metres, place.code)
        for place in town.around_latitude(where.lat, NEAR_METRES)
        if place.lon is not None and place.lat is not None
        for metres in [_metres(where.lon, where.lat, place.lon, place.lat)]
        if metres <= NEAR_METRES
    ]
    for nth, (metres, code) in enumerate(sorted(near)[:3]):
        signs = ["pin", f"pin:{nth}", f"pin:{town.places[code].kind}", f"pin:{int(metres // 20)}"]
        signs += ["pin:said"] if said else []
        yield Candidate(code, town.places[code].grid, "pin", f"pin {metres:.0f} m from: {code}", tuple(signs))
    if grid:
        yield Candidate(None, grid, "pin", f"pin inside: {grid}", ("pin grid", *(["pin:said"] if said else [])))


def _home(
    town: Town, where: Where, text: str, group: str, *, said: bool, everywhere: bool
) -> Iterator[Candidate]:  # fmt: skip
    home = town.places.get(where.home or "")
    if home is None:
        return
    says, direct = grammar.says_home(text) or grammar.says_here(text), not where.chat_grid
    about = [f"says:{says}", f"direct:{direct}", f"says:{says}:direct:{direct}"]
    about += ["said elsewhere"] if said else []
    if where.chat_grid and not town.within(home.grid, where.chat_grid):
        about.append("not of this chat")
    signs = ["home", f"{group}:home", *(f"home:{a}" for a in about), f"{group}:home:says:{says}"]
    signs += [f"{group}:home:direct:{direct}", *(["home:everywhere"] if everywhere else [])]
    source = "home" if says else "register"
    yield Candidate(home.code, home.grid, source, f"home: {home.code}", tuple(signs))
    for up in list(town.above(home.code))[1:2]:
        signs = ["homeup", f"{group}:homeup", *(f"homeup:{a}" for a in about)]
        signs += ["homeup:everywhere"] if everywhere else []
        yield Candidate(up, town.places[up].grid, source, f"holds the home: {up}", tuple(signs), wide=True)
    if direct:
        signs = ["homegrid", f"{group}:homegrid", *(f"homegrid:{a}" for a in about)]
        yield Candidate(None, home.grid, "chat", f"home's grid: {home.grid}", tuple(signs))


def _chat(town: Town, where: Where, group: str, *, said: bool, everywhere: bool) -> Iterator[Candidate]:
    root = town.root
    if not where.chat_grid:
        if root:
            yield Candidate(
                None, None, "chat", "nowhere", ("nowhere", f"{group}:nowhere", *(["nowhere:said"] if said else []))
            )
        return
    level = "micro" if not town.children.get(where.chat_grid) else "wider"
    signs = ["chat", f"{group}:chat", f"chat:{level}", *(["chat:said"] if said else [])]
    signs += ["chat:everywhere"] if everywhere else []
    yield Candidate(None, where.chat_grid, "chat", f"chat's grid: {where.chat_grid}", tuple(signs))
    if estate := town.estate_of(where.chat_grid):
        signs = ["chat estate", f"{group}:chat estate", f"chat estate:{level}", *(["chat estate:said"] if said else [])]
        signs += ["chat estate:everywhere"] if everywhere else []
        grid = town.places[estate].grid
        yield Candidate(estate, grid, "chat", f"the chat's own: {estate}", tuple(signs), wide=True)


# --- how far ----------------------------------------------------------------------------------------------------------


def _nearest(town: Town, codes: Iterable[str], where: Where) -> list[str]:
    """Places, nearest first to the chat's grid, then to the home."""
    return sorted(dict.fromkeys(codes), key=lambda code: _distance(town, code, where))


def _distance(town: Town, code: str, where: Where) -> tuple[int, int]:
    """Levels of the tree between a place and the chat's grid, and between it and the home: 0 is inside."""
    return _from_chat(town, code, where), _from_home(town, code, where)


def _from_chat(town: Town, code: str, where: Where) -> int:
    if not where.chat_grid:
        return 9 if where.home else 0
    grid = town.places[code].grid
    holders, chain = town.lineage(grid), town.lineage(where.chat_grid)
    if where.chat_grid in holders:
        return 0
    if grid in chain:
        return 1
    return next((i + 1 for i, above in enumerate(chain) if above in holders), 9)


def _from_home(town: Town, code: str, where: Where) -> int:
    home = town.places.get(where.home or "")
    if home is None:
        return 9
    holders = set(town.above(code))
    shared = next((i for i, above in enumerate(town.above(home.code)) if above in holders), 9)
    if shared <= 1:  # the home itself, or a sibling in the same estate
        return 0
    grids = town.lineage(town.places[code].grid)
    return next((i + 2 for i, above in enumerate(town.lineage(home.grid)) if above in grids), 9)


def _grid_of(town: Town, place: str | None) -> str | None:
    found = town.places.get(place or "")
    return found.grid if found else None


def common_place(town: Town, places: Sequence[str]) -> str | None:
    """The finest place that holds all of `places`."""
    chains = [list(town.above(place)) for place in places]
    return next((code for code in chains[0] if all(code in chain for chain in chains[1:])), None)


def _metres(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    """Distance of two near points (equirectangular; good to a metre over a town)."""
    x = math.radians(lon2 - lon1) * math.cos(math.radians((lat1 + lat2) / 2))
    return 6_371_000 * math.hypot(x, math.radians(lat2 - lat1))
