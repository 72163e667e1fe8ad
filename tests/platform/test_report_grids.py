"""`report/grid/*`: a corporation keeps its grids and kinds of events; the doctor tells which grids are none of ours."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from bot.channels.proofs import OK, WARN
from bot.channels.resident_report import ResidentReport
from bot.ingest import Ingest
from config.resident_report import ResidentReportSettings
from models.database import Database
from tests.platform.harness import TestPlatform

Call = Callable[..., Awaitable[dict[str, Any]]]
ZONE = ZoneInfo("Asia/Shanghai")


@pytest.fixture
async def call(p: TestPlatform) -> AsyncIterator[Call]:
    """Calls as the app that is listed under 可调用接口."""
    async with aiohttp.ClientSession() as session:
        asking = {"corpid": p.app.corp_id, "corpsecret": p.report.secret}
        async with session.get(f"{p.base}/cgi-bin/gettoken", params=asking) as response:
            token = (await response.json())["access_token"]

        async def made(path: str, **body: Any) -> dict[str, Any]:
            address = f"{p.base}/cgi-bin/report/grid/{path}?access_token={token}"
            async with session.post(address, json=body) as response:
                return dict(await response.json())

        yield made


async def grid(call: Call, name: str, parent: str = "", **more: Any) -> str:
    told = {"grid_name": name, "grid_parent_id": parent, "grid_admin": ["zhangsan"]} | more
    answer = await call("add", **told)
    assert (answer["errcode"], answer["invalid_userids"]) == (0, [])
    return str(answer["grid_id"])


async def names(call: Call, **body: Any) -> list[str]:
    return [one["grid_name"] for one in (await call("list", **body))["grid_list"]]


async def test_a_tree_of_grids(call: Call) -> None:
    top = await grid(call, "清溪街道")
    one, two = [await grid(call, name, top) for name in ("柳岸社区", "桂雨社区")]
    await grid(call, "第一网格", one, grid_member=["lisi"])
    assert await names(call) == ["清溪街道", "柳岸社区", "桂雨社区"]
    assert await names(call, grid_id=one) == ["柳岸社区", "第一网格"]
    changed = {"grid_id": two, "grid_name": "桂雨新村", "grid_parent_id": top, "grid_admin": ["wangwu"]}
    assert (await call("update", **changed))["errcode"] == 0
    assert (await call("delete", grid_id=one))["errcode"] == 0
    assert await names(call) == ["清溪街道", "桂雨新村"]
    assert (await call("list", grid_id=one))["errcode"] == 40058


@pytest.mark.parametrize(
    "wrong",
    [
        {"grid_name": ""}, {"grid_name": "长" * 31}, {"grid_admin": []}, {"grid_admin": ["u"] * 21},
        {"grid_member": ["u"] * 101}, {"grid_parent_id": "nowhere"}, {"grid_name": "柳岸社区"},
    ],
)  # fmt: skip
async def test_what_no_grid_may_be(call: Call, wrong: dict[str, Any]) -> None:
    top = await grid(call, "清溪街道")
    await grid(call, "柳岸社区", top)
    told = {"grid_name": "另一个", "grid_parent_id": top, "grid_admin": ["zhangsan"]} | wrong
    assert (await call("add", **told))["errcode"] == 40058


async def test_ten_levels_and_no_circle(call: Call) -> None:
    line = [await grid(call, "0")]
    for level in range(1, 10):
        line.append(await grid(call, str(level), line[-1]))
    told = {"grid_name": "10", "grid_parent_id": line[-1], "grid_admin": ["zhangsan"]}
    assert (await call("add", **told))["errcode"] == 40058
    assert (await call("update", **told | {"grid_id": line[0], "grid_parent_id": line[3]}))["errcode"] == 40058


async def test_kinds_of_events(call: Call) -> None:
    first = (await call("add_cata", category_name="公共设施", level=1))["category_id"]
    second = (await call("add_cata", category_name="路灯", level=2, parent_category_id=first))["category_id"]
    for wrong in (
        {"category_name": "路灯", "level": 2, "parent_category_id": first},
        {"category_name": "井盖", "level": 2},
        {"category_name": "井盖", "level": 2, "parent_category_id": second},
        {"category_name": "井盖", "level": 3, "parent_category_id": first},
        {"category_name": "盖" * 31, "level": 1},
    ):
        assert (await call("add_cata", **wrong))["errcode"] == 40058
    changed = {"category_id": second, "category_name": "楼道灯", "level": 2, "parent_category_id": first}
    assert (await call("update_cata", **changed))["errcode"] == 0
    assert [one["category_name"] for one in (await call("list_cata"))["category_list"]] == ["公共设施", "楼道灯"]
    assert (await call("delete_cata", category_id=first))["errcode"] == 0
    assert (await call("list_cata"))["category_list"] == []
    assert (await call("delete_cata", category_id=first))["errcode"] == 40058


async def test_the_doctor_tells_which_are_none_of_ours(call: Call, p: TestPlatform, town_db: Database) -> None:
    told = {"corp_id": p.app.corp_id, "secret": p.report.secret, "api_base": p.base}

    async def proved() -> tuple[str, str]:
        settings = ResidentReportSettings.model_validate(told)
        channel = ResidentReport(settings, Ingest(town_db, clock=p.clock), town_db, p.clock)
        return next((one.state, one.said) for one in await channel.prove("") if one.check == "grids")

    top = await grid(call, "清溪街道")
    assert (await proved())[0] == OK
    strange = await grid(call, "隔壁社区", top)
    state, said = await proved()
    assert (state, "隔壁社区" in said, "清溪街道" in said) == (WARN, True, False)
    told["grids"] = {strange: "QX-01"}  # type: ignore[assignment]
    assert (await proved())[0] == OK
