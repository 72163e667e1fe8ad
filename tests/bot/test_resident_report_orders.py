"""居民上报: an order and its steps as messages."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bot.channels.coordinates import gcj02_from_wgs84
from bot.channels.resident_report.orders import ended, read
from bot.channels.security import Refused
from models.message import Kind

AT = 1_772_409_600  # 2026-03-02 08:00, in the demo town
ORDER: dict[str, Any] = {
    "order_id": "ORD1", "desc": "3幢楼道灯坏了", "urge_type": 1, "case_name": "设施", "grid_name": "柳岸",
    "grid_id": "7", "create_time": AT, "reporter_name": "陈春芽", "reporter_mobile": "13800001111", "unionid": "oU",
    "image_urls": [], "video_media_ids": [], "location": {}, "processor_userids": [], "process_list": [],
}  # fmt: skip


def step(kind: int, status: int = 1, **more: Any) -> dict[str, Any]:
    return {"process_type": kind, "status": status, "solve_userid": "gu", "process_desc": "", "solved_time": AT} | more


def test_an_order() -> None:
    (found,) = read(ORDER, grids={"7": "QX-01"})
    assert (found.id, found.chat, found.sender, found.text, found.direct) == (
        "ORD1:0",
        "ORD1",
        "oU",
        ORDER["desc"],
        True,
    )
    assert found.sent_at == datetime.fromtimestamp(AT, UTC)
    assert found.platform == {"order": "new", "grid": "QX-01", "grid_name": "柳岸"}
    assert "13800001111" not in found.model_dump_json()


def test_pictures_videos_and_a_pin() -> None:
    lon, lat = 121.0, 31.0
    there = dict(zip(("longitude", "latitude"), gcj02_from_wgs84(lon, lat), strict=True))
    told = ORDER | {"image_urls": ["https://a.qpic.cn/1"], "video_media_ids": ["v1"],
                    "location": there | {"name": "南门", "address": "柳岸路1号"}}  # fmt: skip
    first, second = read(told)
    assert (first.kind, first.media[0].url, first.label) == (Kind.IMAGE, "https://a.qpic.cn/1", "南门 柳岸路1号")
    assert first.lon == pytest.approx(lon, abs=1e-6)
    assert first.lat == pytest.approx(lat, abs=1e-6)
    assert (second.kind, second.media[0].platform_id, second.platform) == (Kind.VIDEO, "v1", {"order": "more"})
    (plain,) = read(told | {"image_urls": [], "video_media_ids": []}, coordinates="wgs84")
    assert (plain.kind, plain.lon) == (Kind.LOCATION, there["longitude"])
    (nowhere,) = read(ORDER | {"location": {"latitude": 0.0, "longitude": 0.0}})
    assert (nowhere.kind, nowhere.lon) == (Kind.TEXT, None)


def test_its_standing_comes_from_the_steps() -> None:
    def steps(*told: dict[str, Any]) -> list[str]:
        return [m.platform["step"] for m in read(ORDER | {"process_list": list(told)}) if m.platform["order"] == "step"]

    assert steps(step(1), step(2, 0)) == []  # 待受理
    assert steps(step(2), step(3), step(4), step(7, 0)) == ["taken", "assigned", "passed", "accepted"]
    assert steps(step(2), step(5, 0)) == ["taken"]  # 办结 is being written, and is not over
    assert steps(step(2), step(6)) == ["taken", "refused"]
    assert steps(step(2), step(99)) == ["taken"]  # of a kind that nobody knows
    at = datetime.fromtimestamp(AT, UTC)
    assert [ended(ORDER | {"process_list": some}) for some in ([], [step(5, 0)], [step(5)], [step(6)], [step(7)])] == [
        None, None, at, at, None,
    ]  # fmt: skip


def test_a_step_that_goes_on_is_the_same_message_when_it_is_over() -> None:
    one, two = (read(ORDER | {"process_list": [step(2), step(7, status)]})[-1] for status in (0, 1))
    assert one.id == two.id == "ORD1:2-7"


def test_what_is_said_when_a_step_ends_is_a_message_of_its_own() -> None:
    over = {"process_desc": "已到现场，灯管要换", "image_urls": ["https://a.qpic.cn/9"]}
    began, said = read(ORDER | {"process_list": [step(7, 1, **over)]})[1:]
    assert (began.id, began.text, began.media, began.platform["more"]) == ("ORD1:1-7", "", (), "yes")
    assert (said.id, said.text, said.media[0].url) == ("ORD1:1-7-over", over["process_desc"], over["image_urls"][0])
    assert "more" not in said.platform
    (goes_on,) = read(ORDER | {"process_list": [step(7, 0, process_desc="马上去")]})[1:]
    assert (goes_on.id, goes_on.text) == ("ORD1:1-7", "马上去")


def test_an_order_without_words_is_of_the_kind_that_was_set() -> None:
    silent = ORDER | {"desc": " ", "case_name": "其他", "image_urls": ["https://a.qpic.cn/1"]}
    kinds = {"其他": "city.road"}
    assert [read(silent, kinds=some)[0].platform.get("kind") for some in ({}, kinds)] == [None, "city.road"]
    assert "kind" not in read(ORDER | {"case_name": "其他"}, kinds=kinds)[0].platform


def test_urgency_is_a_setting() -> None:
    assert read(ORDER | {"urge_type": 3})[0].platform["urgent"] == "yes"
    assert "urgent" not in read(ORDER | {"urge_type": 2})[0].platform
    assert read(ORDER | {"urge_type": 2}, urgent=frozenset({2, 3}))[0].platform["urgent"] == "yes"


def test_who_is_nobody_is_somebody_of_this_order_only() -> None:
    assert read(ORDER | {"unionid": ""})[0].sender == "order-ORD1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"order_id": ""}, {"create_time": "soon"}, {"create_time": 10**20}, {"process_list": [{"status": 1}]},
        {"location": {"latitude": "north"}}, {"location": {"longitude": 999.0, "latitude": 1.0}},
        {"location": {"longitude": float("nan"), "latitude": 1.0}}, {"location": "南门"}, {"process_list": 7},
        {"image_urls": 7}, {"urge_type": "x"},
    ],
)  # fmt: skip
def test_what_is_no_order_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        read(ORDER | wrong)
    told: Any
    for told in (None, [], "x", 7, {}):
        with pytest.raises(Refused):
            read(told)


def test_strange_and_long_things_are_cut_to_what_fits() -> None:
    told = ORDER | {"order_id": "单" * 300, "desc": "x" * 30_000, "unionid": "u" * 500, "image_urls": ["u" * 5000]}
    (found,) = read(told)
    assert (len(found.text), len(found.sender), found.media, len(found.chat)) == (4_000, 128, (), 40)
