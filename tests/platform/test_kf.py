"""微信客服 and 居民上报: no foreign client knows them, so these tests hold the platform to the words of its pages."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bot.platform.reports import SOLVED
from tests.platform.harness import TestPlatform

Found = dict[str, Any]


class Caller:
    """Calls with a token of one app."""

    def __init__(self, p: TestPlatform, session: aiohttp.ClientSession, secret: str) -> None:
        self._p, self._session, self._secret = p, session, secret

    async def __call__(self, path: str, **body: Any) -> Found:
        query = {"corpid": self._p.app.corp_id, "corpsecret": self._secret}
        async with self._session.get(f"{self._p.base}/cgi-bin/gettoken", params=query) as response:
            token = (await response.json())["access_token"]
        address = f"{self._p.base}/cgi-bin/{path}"
        async with self._session.post(address, params={"access_token": token}, json=body) as response:
            return dict(await response.json())


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


@pytest.fixture
def call(p: TestPlatform, session: aiohttp.ClientSession) -> Caller:
    return Caller(p, session, p.kf.secret)


async def test_pages_a_cursor_and_an_empty_page(p: TestPlatform, call: Caller) -> None:
    for number in range(3):
        await p.kf.say("wm-lihua", str(number))
    here = {"open_kfid": p.kf.open_kfid, "limit": 2}
    p.kf_api.empty_pages = 1
    empty = await call("kf/sync_msg", **here)
    assert (empty["msg_list"], empty["has_more"]) == ([], 1)
    first = await call("kf/sync_msg", **here, cursor=empty["next_cursor"])
    second = await call("kf/sync_msg", **here, cursor=first["next_cursor"])
    assert [found["text"]["content"] for found in first["msg_list"] + second["msg_list"]] == ["0", "1", "2"]
    assert (first["has_more"], second["has_more"]) == (1, 0)
    last = await call("kf/sync_msg", **here, cursor=second["next_cursor"])
    assert (last["msg_list"], last["next_cursor"]) == ([], second["next_cursor"])
    assert first["msg_list"][0] | {"msgid": ""} == {
        "msgid": "", "open_kfid": p.kf.open_kfid, "external_userid": "wm-lihua", "send_time": p.kf.seconds,
        "origin": 3, "msgtype": "text", "text": {"content": "0"},
    }  # fmt: skip
    await call("kf/sync_msg", **here)
    assert (await call("kf/sync_msg", **here))["errcode"] == 45009  # the sixth call without a token


async def test_a_callbacks_token_lives_ten_minutes(p: TestPlatform, call: Caller) -> None:
    told: list[str] = []

    async def heard(_user: str, fields: Found) -> tuple[None, Found]:
        told.append(fields["Token"])
        return None, {}

    p.kf.tell = heard  # type: ignore[method-assign,assignment]
    await p.kf.say("wm-lihua", "在吗")
    here = {"open_kfid": p.kf.open_kfid, "token": told[0]}
    assert (await call("kf/sync_msg", **here))["errcode"] == 0
    p.clock.forward(minutes=10)
    assert (await call("kf/sync_msg", **here))["errcode"] == 95007


async def test_a_welcome_carries_the_building_and_is_good_once(p: TestPlatform, call: Caller) -> None:
    url = (await call("kf/add_contact_way", open_kfid=p.kf.open_kfid, scene="grid07"))["url"]
    await p.kf.enter("wm-lihua", f"{url}&scene_param=B-SA-3%2F2")
    (found,) = (await call("kf/sync_msg", open_kfid=p.kf.open_kfid))["msg_list"]
    event = found["event"]
    assert (event["event_type"], event["scene"], event["scene_param"]) == ("enter_session", "grid07", "B-SA-3/2")
    assert "external_userid" not in found
    hello = {"code": event["welcome_code"], "msgtype": "text", "text": {"content": "您好"}}
    assert (await call("kf/send_msg_on_event", **hello))["errcode"] == 0
    assert (await call("kf/send_msg_on_event", **hello))["errcode"] == 40058
    await p.kf.enter("wm-wang")
    late = (await call("kf/sync_msg", open_kfid=p.kf.open_kfid))["msg_list"][-1]["event"]["welcome_code"]
    p.clock.forward(seconds=21)
    assert (await call("kf/send_msg_on_event", **hello | {"code": late}))["errcode"] == 40058
    assert [bubble.text for bubble in p.seen("wm-lihua")] == ["您好"]


async def test_five_answers_an_own_msgid_and_a_human(p: TestPlatform, call: Caller) -> None:
    out = {"touser": "wm-lihua", "open_kfid": p.kf.open_kfid, "msgtype": "text", "text": {"content": "已登记"}}
    assert (await call("kf/send_msg", **out))["errcode"] == 95002
    await p.kf.say("wm-lihua", "灯坏了")
    assert (await call("kf/send_msg", **out, msgid="LS-1"))["msgid"] == "LS-1"
    assert (await call("kf/send_msg", **out, msgid="LS-1"))["msgid"] == "LS-1"
    assert len(p.seen("wm-lihua")) == 1, "the same message once more is the same message"
    p.kf_api.repeat_code = 95999
    assert (await call("kf/send_msg", **out, msgid="LS-1"))["errcode"] == 95999
    assert (await call("kf/send_msg", **out, msgid="编号"))["errcode"] == 40058
    for _ in range(4):
        assert (await call("kf/send_msg", **out))["errcode"] == 0
    assert (await call("kf/send_msg", **out))["errcode"] == 95001
    await p.kf.say("wm-lihua", "还没好")
    who = {"open_kfid": p.kf.open_kfid, "external_userid": "wm-lihua"}
    assert (await call("kf/service_state/get", **who))["service_state"] == 1
    await call("kf/service_state/trans", **who, service_state=3, servicer_userid="zhangsan")
    assert (await call("kf/service_state/get", **who))["servicer_userid"] == "zhangsan"
    assert (await call("kf/send_msg", **out))["errcode"] == 95018
    assert len(p.seen("wm-lihua")) == 5


async def test_a_menu_a_forwarded_record_and_a_recall(p: TestPlatform, call: Caller) -> None:
    said = await p.kf.forward("wm-lihua", "群聊的聊天记录", [("朵朵妈", "停水了"), ("阿杰", "我们也停了")])
    items = [{"type": "click", "click": {"id": "101", "content": "满意"}}]
    menu = {"head_content": "是否满意?", "list": items}
    out = {"touser": "wm-lihua", "open_kfid": p.kf.open_kfid, "msgtype": "msgmenu", "msgmenu": menu}
    await call("kf/send_msg", **out)
    await p.kf.choose(p.seen("wm-lihua")[0], "wm-lihua", "101")
    await p.kf.recall("wm-lihua", said)
    record, pressed, recalled = (await call("kf/sync_msg", open_kfid=p.kf.open_kfid))["msg_list"]
    lines = [json.loads(item["msg_content"])["text"]["content"] for item in record["merged_msg"]["item"]]
    assert lines == ["停水了", "我们也停了"]
    assert pressed["text"] == {"content": "满意", "menu_id": "101"}
    assert recalled["event"]["recall_msgid"] == said.id


async def test_reports_are_pulled_by_what_changed(p: TestPlatform, session: aiohttp.ClientSession) -> None:
    call = Caller(p, session, p.report.secret)
    old = p.report.order("楼道灯坏了", reporter_name="李华", grid_id="G1")
    for number in range(3):
        p.clock.forward(minutes=1)
        p.report.order(f"{number}")
    since = int(p.clock().timestamp())
    first = await call("report/resident/get_order_list", limit=3)
    assert [order["desc"] for order in first["order_list"]] == ["楼道灯坏了", "0", "1"]
    rest = await call("report/resident/get_order_list", limit=3, cursor=first["next_cursor"])
    assert ([order["desc"] for order in rest["order_list"]], rest["next_cursor"]) == (["2"], "")
    moved = await call("report/resident/get_order_list", begin_modify_time=since, cursor=first["next_cursor"])
    assert moved["errcode"] == 40058  # the cursor is of other conditions
    p.clock.forward(minutes=1)
    p.report.step(old, SOLVED, "zhangsan", "已换灯泡")
    changed = await call("report/resident/get_order_list", begin_modify_time=since + 1)
    (order,) = changed["order_list"]
    assert [(step["process_type"], step["status"]) for step in order["process_list"]] == [(2, 1), (5, 1)]
    assert "status" not in order
    assert (await call("report/resident/get_order_list", limit=51))["errcode"] == 40058
    assert (await call("kf/sync_msg", open_kfid=p.kf.open_kfid))["errcode"] == 48002  # another app's call
