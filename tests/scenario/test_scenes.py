"""The QR code in the stairway (渠道二维码): it says where a stranger is, and proves nothing else."""

import pytest
import sqlalchemy as sa

from models.message import Kind
from models.person import Identity
from tests.scenario.chat import Scene
from tests.scenario.phone import Make


def test_a_code_says_where_and_gives_a_stranger_a_home(chat: Scene, phone: Make) -> None:
    one = phone("o-1")
    assert "柳岸花园6幢" in one.scans("place:P-LA-B06")[-1]
    one.says("楼道灯坏了好几天 晚上摸黑上楼")
    assert chat.ticket().place == "柳岸花园6幢"
    assert "网格员小顾" in {line.to for line in chat.alerts()}


def test_the_newest_code_counts_and_a_grid_is_enough(chat: Scene, phone: Make) -> None:
    one = phone("o-1")
    one.scans("place:P-LA-B06")
    one.scans("grid:QX-01-02-02")
    assert "机械厂新村" in one.says("查询我的信息")[-1]
    one.says("楼道灯坏了好几天 晚上摸黑上楼")
    assert chat.ticket().grid == "QX-01-02-02"


def test_a_code_never_moves_who_is_in_the_register(chat: Scene, phone: Make) -> None:
    one = phone("u05", "web")
    one.scans("place:P-JX-B02")
    assert "柳岸花园6幢" in one.says("查询我的信息")[-1]


@pytest.mark.parametrize("scene", ["place:P-NO", "grid:'; DROP TABLE person", "person:W01", "", "place:", "code:x"])
def test_a_forged_code_changes_nothing(chat: Scene, phone: Make, scene: str) -> None:
    one = phone("o-foe")
    one.scans(scene)
    assert chat.db.tx(lambda s: s.scalars(sa.select(Identity).where(Identity.user == "o-foe")).all()) == []  # type: ignore[arg-type]


def test_words_and_presses_are_no_scene(chat: Scene, phone: Make) -> None:
    one = phone("o-foe")
    one.says("scene:place:P-LA-B06")
    one.says(kind=Kind.CARD, action="scene:place:P-LA-B06")
    assert chat.db.tx(lambda s: s.scalars(sa.select(Identity).where(Identity.user == "o-foe")).all()) == []  # type: ignore[arg-type]
