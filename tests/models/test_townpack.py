"""A town pack is read whole or refused whole, with every fault named."""

import codecs
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.person import Role
from models.townfile import FILES, decode
from models.townpack import BadPack, read_pack

DEMO = Path(__file__).parents[2] / "config" / "demo"
SQUARE = [[118.9, 28.9], [118.91, 28.9], [118.91, 28.91], [118.9, 28.91], [118.9, 28.9]]
TOWN = {
    "grids.csv": "code,parent,level,name,kind,households\n"
    "LJ,,1,临江街道,街道,300\nLJ-01,LJ,2,柳岸社区,社区,200\nLJ-01-09,LJ-01,3,南区,楼宇,\n",
    "places.csv": "code,name,aliases,kind,parent,grid,lon,lat\n"
    "P1B1,花园1幢,1幢 | 一幢|,building,P1,LJ-01-09,118.9,28.9\nP1,花园,,estate,,LJ-01,,\n",
    "people.csv": "code,name,role,grid,department,home,channel,user\n"
    "U1,豆豆妈,resident,LJ-01-09,,P1B1,web,u1\nU2,阿杰,resident,LJ-01-09,,,,\nW1,小魏,gridworker,LJ-01,,,web,w1\n"
    "W1,小魏,leader,LJ-01-09,,,wechat,wx1\n",
    "chats.csv": "channel,chat,kind,grid,name\n"
    "web,g1,group,LJ-01-09,南区群\nweb,x7,direct,,豆豆妈\nweb,d-w1,direct,,谁呀\nweb,d2,direct,,阿杰\n",
    "routes.csv": "category,grid,department\nfacility,LJ,城建办\nfacility.elevator,LJ-01,顺达维保\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small pack without faults."""
    for name, content in TOWN.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


def swap(folder: Path, name: str, old: str, new: str) -> None:
    content = (folder / name).read_text(encoding="utf-8")
    assert content.count(old) == 1, f"{old!r} must stand in {name} once"
    (folder / name).write_text(content.replace(old, new), encoding="utf-8")


def collection(*features: object) -> str:
    return json.dumps({"type": "FeatureCollection", "features": features})


def feature(code: str, *rings: object, kind: str = "Polygon") -> dict[str, object]:
    coordinates: object = list(rings) if kind == "Polygon" else [[ring] for ring in rings]
    return {"type": "Feature", "properties": {"code": code}, "geometry": {"type": kind, "coordinates": coordinates}}


def faults(folder: Path) -> list[str]:
    with pytest.raises(BadPack) as refused:
        read_pack(folder)
    return [str(fault) for fault in refused.value.faults]


def test_a_small_pack(folder: Path) -> None:
    pack = read_pack(folder)
    assert [(grid.code, grid.parent, grid.level, grid.households) for grid in pack.grids] == [
        ("LJ", None, 1, 300), ("LJ-01", "LJ", 2, 200), ("LJ-01-09", "LJ-01", 3, 0),
    ]  # fmt: skip
    assert [place.code for place in pack.places] == ["P1", "P1B1"], "parents stand before their children"
    assert (pack.places[1].aliases, pack.places[1].lon, pack.places[0].lon) == ("1幢|一幢", 118.9, None)
    assert pack.routes[1].category == "facility.elevator"
    assert pack.boundaries == {}


def test_one_person_on_several_lines_has_all_her_duties_and_identities(folder: Path) -> None:
    first, second, worker = read_pack(folder).people
    assert worker.duties == ((Role.GRIDWORKER, "LJ-01", ""), (Role.LEADER, "LJ-01-09", ""))
    assert worker.identities == (("web", "w1"), ("wechat", "wx1"))
    assert (first.duties, first.home) == (((Role.RESIDENT, "LJ-01-09", ""),), "P1B1")
    assert second.identities == ()


def test_a_direct_chat_finds_its_person_by_name_or_by_user(folder: Path) -> None:
    # The fourth, 阿杰, is a name of the town, but nobody the channel knows.
    assert [chat.person for chat in read_pack(folder).chats] == [None, "U1", "W1", None]


def test_a_name_that_two_neighbours_share_finds_nobody(folder: Path) -> None:
    swap(folder, "people.csv", "U2,阿杰,resident,LJ-01-09,,,,", "U2,豆豆妈,resident,LJ-01-09,,,web,u2")
    assert read_pack(folder).chats[1].person is None
    swap(folder, "chats.csv", "web,x7,", "web,d-u2,")
    assert read_pack(folder).chats[1].person == "U2", "the user id tells them apart"


def test_a_user_id_of_another_channel_finds_nobody(folder: Path) -> None:
    swap(folder, "chats.csv", "web,d-w1,", "web,d-wx1,")
    assert read_pack(folder).chats[2].person is None


def test_the_demo_town_is_good() -> None:
    pack = read_pack(DEMO)
    assert [len(part) for part in (pack.grids, pack.places, pack.chats, pack.routes)] == [27, 132, 92, 32]
    assert set(pack.boundaries) == {grid.code for grid in pack.grids}
    assert all(chat.person for chat in pack.chats if chat.kind == "direct")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_excel_in_china_saves_as_it_likes(folder: Path, encoding: str) -> None:
    good = read_pack(folder)
    for name, content in TOWN.items():
        (folder / name).write_bytes((content.replace("\n", "\r\n") + ",,,,,,\r\n").encode(encoding))
    assert read_pack(folder) == good


@given(st.text(st.characters(codec="gb18030"), max_size=40))
def test_every_text_survives_its_encoding(text: str) -> None:
    if not text.startswith("\ufeff"):
        assert decode(text.encode()) == text
        assert decode(codecs.BOM_UTF8 + text.encode()) == text


def test_columns_may_stand_in_any_order(folder: Path) -> None:
    good = read_pack(folder)
    lines = [",".join(reversed(line.split(","))) for line in TOWN["routes.csv"].splitlines()]
    (folder / "routes.csv").write_text("\n".join(lines), encoding="utf-8")
    assert read_pack(folder) == good


# file, what stands there, what is put there, the one fault
BROKEN = {
    "header": ("routes.csv", "category,grid,department", "category,grid,office,grid",
               "routes.csv:1: wrong header: missing `department`; unexpected `office`; twice `grid`"),
    "too few fields": ("grids.csv", "南区,楼宇,", "南区", "grids.csv:4: has 4 fields, the header has 6"),
    "open quote": ("routes.csv", "facility.elevator,LJ-01", 'facility.elevator,"LJ-01',
                   "routes.csv:3: cannot be read from here on: unexpected end of data"),
    "empty code": ("people.csv", "U2,阿杰", ",阿杰", "people.csv:3: column `code`: is empty"),
    "empty name": ("grids.csv", "南区", "", "grids.csv:4: column `name`: is empty"),
    "long": ("routes.csv", "顺达维保", "维" * 129,
             "routes.csv:3: column `department`: has 129 characters, at most 128 fit"),
    "duplicate code": ("grids.csv", "LJ-01-09,LJ-01,3,南区,楼宇,", "LJ-01-09,LJ-01,3,南区,楼宇,\nLJ,,1,再来,街道,0",
                       'grids.csv:5: column `code`: "LJ" stands in grids.csv:2 already'),
    "missing parent": ("grids.csv", "LJ-01-09,LJ-01,", "LJ-01-09,LJ-1,",
                       'grids.csv:4: column `parent`: there is no grid "LJ-1". Did you mean "LJ-01"?'),
    "level": ("grids.csv", "LJ-01,3,", "LJ-01,4,",
              'grids.csv:4: column `level`: is 4, but the parent "LJ-01" is level 2'),
    "root level": ("grids.csv", "南区,楼宇,", "南区,楼宇,\nXX,,2,别处,街道,5",
                   "grids.csv:5: column `level`: is 2, but a grid without a parent is level 1"),
    "bad level": ("grids.csv", "LJ-01,3,", "LJ-01,三,",
                  'grids.csv:4: column `level`: "三" is not a whole number from 1 up'),
    "households": ("grids.csv", "社区,200", "社区,-2",
                   'grids.csv:3: column `households`: "-2" is not a whole number from 0 up'),
    "grid kind": ("grids.csv", "南区,楼宇", "南区,楼", ('grids.csv:4: column `kind`: "楼" is none of 区 街道 社区 片区 '
                  '楼道 楼宇 街面 单位 企业 村民小组 村. Did you mean "楼道"?')),
    "place parent": ("places.csv", ",P1,LJ", ",P2,LJ",
                     'places.csv:2: column `parent`: there is no place "P2".'),
    "place circle": ("places.csv", "estate,,", "estate,P1B1,",
                     "places.csv:2: column `parent`: goes round in a circle: P1B1 -> P1 -> P1B1"),
    "own parent": ("places.csv", "estate,,", "estate,P1,",
                   "places.csv:3: column `parent`: goes round in a circle: P1 -> P1"),
    "place grid": ("places.csv", "LJ-01-09", "LJ-01-9",
                   'places.csv:2: column `grid`: there is no grid "LJ-01-9". Did you mean "LJ-01-09"?'),
    "place without grid": ("places.csv", "estate,,LJ-01", "estate,,", "places.csv:3: column `grid`: is empty"),
    "swapped": ("places.csv", "118.9,28.9", "28.9,118.9",
                'places.csv:2: column `lat`: "118.9" is not a number of degrees from -90 to 90'),
    "not a number": ("places.csv", "118.9,", "nan,",
                     'places.csv:2: column `lon`: "nan" is not a number of degrees from -180 to 180'),
    "half a pin": ("places.csv", "118.9,28.9", "118.9,",
                   "places.csv:2: column `lat`: is empty; give both `lon` and `lat`, or neither"),
    "role": ("people.csv", "gridworker", "gridwork", ('people.csv:4: column `role`: "gridwork" is none of resident '
             'leader gridworker part_time community street district department. Did you mean "gridworker"?')),
    "home": ("people.csv", "P1B1", "Q9", 'people.csv:2: column `home`: there is no place "Q9".'),
    "half an identity": ("people.csv", "web,w1", ",w1",
                         "people.csv:4: column `channel`: is empty; give both `channel` and `user`, or neither"),
    "one user, two people": ("people.csv", "wechat,wx1", "web,u1",
                             'people.csv:5: column `user`: "u1" is U1 already, on line 2'),
    "two names": ("people.csv", "W1,小魏,leader", "W1,老魏,leader",
                  'people.csv:5: column `name`: is not "小魏", as on line 4 for "W1"'),
    "two homes": ("people.csv", "leader,LJ-01-09,,,", "leader,LJ-01-09,,P1,",
                  'people.csv:5: column `home`: is not "", as on line 4 for "W1"'),
    "twice the same": ("people.csv", "U2,阿杰,resident,LJ-01-09,,,,", "U1,豆豆妈,resident,LJ-01-09,,P1B1,web,u1",
                       'people.csv:3: column `code`: "U1" stands in people.csv:2 already'),
    "chat kind": ("chats.csv", "d2,direct", "d2,private",
                  'chats.csv:5: column `kind`: "private" is none of group direct.'),
    "chat twice": ("chats.csv", "d2,", "g1,", 'chats.csv:5: column `chat`: "g1" stands in chats.csv:2 already'),
    "group without grid": ("chats.csv", "LJ-01-09", "",
                           "chats.csv:2: column `grid`: is empty, but a group belongs to a grid"),
    "direct with grid": ("chats.csv", "d2,direct,", "d2,direct,LJ",
                         "chats.csv:5: column `grid`: must be empty: a direct chat belongs to a person"),
    "category": ("routes.csv", "facility.elevator", "facility.elevater", ("routes.csv:3: column `category`: there is "
                 'no category "facility.elevater". Did you mean "facility.elevator"?')),
    "route twice": ("routes.csv", "facility.elevator,LJ-01", "facility,LJ",
                    'routes.csv:3: column `category`: "facility" stands in routes.csv:2 already'),
    "zero byte": ("chats.csv", "南区群", "南\x00群", "chats.csv:2: column `name`: holds a zero byte"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "told"), BROKEN.values(), ids=BROKEN)
def test_each_fault_is_told_once(folder: Path, name: str, old: str, new: str, told: str) -> None:
    swap(folder, name, old, new)
    assert faults(folder) == [told]


SHAPES = {
    "not JSON": ('{"type": "FeatureCollection",\n oops}', ("2: is not JSON: Expecting property name enclosed in double "
                 "quotes, at character 2")),
    "no collection": ("[]", " must be a FeatureCollection with a list of features"),
    "no code": (collection(feature("", SQUARE)), "1: column `code`: is empty; `properties.code` names the grid"),
    "unknown grid": (collection(feature("LJ", SQUARE), feature("LJ-02", SQUARE)),
                     '2: column `code`: there is no grid "LJ-02". Did you mean "LJ-01"?'),
    "twice": (collection(feature("LJ", SQUARE), feature("LJ", SQUARE)),
              '2: column `code`: "LJ" stands in boundaries.geojson:1 already'),
    "point": (collection(feature("LJ", SQUARE, kind="Point")),
              "1: the geometry must be a Polygon or a MultiPolygon"),
    "open ring": (collection(feature("LJ", SQUARE[:-1])),
                  "1: ring 1 must have four positions or more, the last the same as the first"),
    "swapped": (collection(feature("LJ", [position[::-1] for position in SQUARE])),
                "1: ring 1 must be a list of [lon, lat] in degrees"),
    "words": (collection(feature("LJ", SQUARE, [["a", "b"]])), "1: ring 2 must be a list of [lon, lat] in degrees"),
    "empty": (collection(feature("LJ")), "1: the geometry has no rings"),
    "bow tie": (collection(feature("LJ", [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]])),
                "1: the rings cross or touch: Self-intersection[0.5 0.5]"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "told"), SHAPES.values(), ids=SHAPES)
def test_faults_of_boundaries_name_the_feature(folder: Path, content: str, told: str) -> None:
    (folder / "boundaries.geojson").write_text(content, encoding="utf-8")
    assert faults(folder) == [f"boundaries.geojson:{told}"]


def test_good_boundaries(folder: Path) -> None:
    both = collection(feature("LJ", SQUARE), feature("LJ-01", SQUARE, kind="MultiPolygon"))
    (folder / "boundaries.geojson").write_text(both, encoding="utf-8")
    found = read_pack(folder).boundaries
    assert json.loads(found["LJ"]) == {"type": "Polygon", "coordinates": [SQUARE]}
    assert json.loads(found["LJ-01"])["type"] == "MultiPolygon"


def test_a_file_in_no_encoding_is_told_with_the_byte(folder: Path) -> None:
    data = TOWN["grids.csv"].encode()
    (folder / "grids.csv").write_bytes(data[:-2] + b"\xff" + data[-2:])
    (folder / "routes.csv").write_bytes("街道,路线".encode("gb18030") + b"\xff\xff")
    assert faults(folder) == [
        f'grids.csv: byte {len(data) - 2} is neither UTF-8 nor GB18030; save the file as "CSV UTF-8"',
        'routes.csv: byte 9 is neither UTF-8 nor GB18030; save the file as "CSV UTF-8"',
    ]


def test_a_missing_file_blames_nobody_else(folder: Path) -> None:
    (folder / "grids.csv").unlink()
    (folder / "places.csv").unlink()
    assert faults(folder) == ["grids.csv: the file is missing", "places.csv: the file is missing"]


def test_a_missing_folder(tmp_path: Path) -> None:
    assert faults(tmp_path / "nowhere") == [f"{tmp_path / 'nowhere'}: there is no such folder"]


def test_a_circle_of_grids_is_told_beside_the_levels(folder: Path) -> None:
    swap(folder, "grids.csv", "LJ,,1,", "LJ,LJ-01-09,1,")
    assert faults(folder) == [
        'grids.csv:2: column `level`: is 1, but the parent "LJ-01-09" is level 3',
        "grids.csv:2: column `parent`: goes round in a circle: LJ -> LJ-01-09 -> LJ-01 -> LJ",
    ]


def test_all_faults_of_all_files_in_one_go(folder: Path) -> None:
    swap(folder, "grids.csv", "社区,200", "社区,很多")
    swap(folder, "places.csv", "building", "tower")
    swap(folder, "people.csv", "P1B1,web,u1", "P9,web,")
    swap(folder, "chats.csv", "LJ-01-09", "LJ-09")
    swap(folder, "routes.csv", "facility,LJ,", "facilty,XX,")
    (folder / "boundaries.geojson").write_text(collection({}), encoding="utf-8")
    with pytest.raises(BadPack) as refused:
        read_pack(folder)
    where = [(fault.file, fault.line, fault.column) for fault in refused.value.faults]
    assert where == [
        ("grids.csv", 3, "households"), ("places.csv", 2, "kind"), ("people.csv", 2, "home"),
        ("people.csv", 2, "user"), ("chats.csv", 2, "grid"), ("routes.csv", 2, "category"), ("routes.csv", 2, "grid"),
        ("boundaries.geojson", 1, ""), ("boundaries.geojson", 1, "code"),
    ]  # fmt: skip
    assert str(refused.value).endswith("\n9 faults found, nothing was imported.")


@settings(deadline=None, max_examples=60)
@given(name=st.sampled_from(FILES), at=st.floats(0, 1), junk=st.binary(max_size=6))
def test_a_damaged_file_is_refused_or_read_and_never_breaks_the_reader(
    tmp_path_factory: pytest.TempPathFactory, name: str, at: float, junk: bytes
) -> None:
    folder = tmp_path_factory.mktemp("pack") / "demo"
    shutil.copytree(DEMO, folder)
    data = (folder / name).read_bytes()
    cut = int(at * len(data))
    (folder / name).write_bytes(data[:cut] + junk + data[cut + len(junk) :])
    told = []
    try:
        read_pack(folder)
    except BadPack as refused:
        told = refused.faults
    else:
        return
    assert told, "a refusal says why"
