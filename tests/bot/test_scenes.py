"""What stands in a QR code in a stairway, and that nobody else can make one."""

import pytest

from bot.scenes import LONGEST, BadScene, Scenes, there
from handlers.town import Town
from models.database import Database

SCENES = Scenes("a-secret")


@pytest.mark.parametrize("scene", ["place:P-LA-B03", "grid:QX-01-01-01", "code:12345678", "place:楼.3:甲"])
def test_there_and_back(scene: str) -> None:
    made = SCENES.make(scene)
    assert len(made) <= LONGEST
    assert SCENES.read(made) == scene


@pytest.mark.parametrize("scene", ["", "place:", "room:1", "P-LA-B03", "place:" + "x" * 60])
def test_what_is_no_scene(scene: str) -> None:
    with pytest.raises(BadScene):
        SCENES.make(scene)


def test_forged_scenes_are_none() -> None:
    made = SCENES.make("place:P-LA-B03")
    named, signature = made.rsplit(".", 1)
    forged = [
        "", ".", "7", "P-LA-B03", "p.P-LA-B03", named + ".", named + "." + "a" * 10, f"p.P-LA-B04.{signature}",
        f"g.P-LA-B03.{signature}", made.upper(), made + "a", made[:-1], "é" + made, "\udc80", "x" * 10_000,
        Scenes("another-secret").make("place:P-LA-B03"),
    ]  # fmt: skip
    assert [told for told in forged if SCENES.read(told) is not None] == []


def test_only_what_the_town_has(town_db: Database, demo_town: Town) -> None:
    place, grid = next(iter(demo_town.places)), next(iter(demo_town.grids))
    asked = [f"place:{place}", f"grid:{grid}", f"place:{grid}", "place:nowhere", "code:1", "room:1"]
    assert town_db.tx(lambda session: [there(session, scene) for scene in asked]) == [
        True,
        True,
        False,
        False,
        True,
        False,
    ]
