"""The test platform's page as a person uses it: be somebody, write in a group, see it in one's own words."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture
def address() -> Iterator[str]:
    """`linsheng platform` on a port of its own."""
    command = [sys.executable, "-u", "-m", "bot.cli", "platform", "--port", "0", "--bot", "http://127.0.0.1:9"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own interpreter
    assert process.stdout is not None
    try:
        found = next(match for line in process.stdout if (match := re.match(r"Page: +(\S+)", line)))
        yield found[1]
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page; at the end of the test it may have reported no error."""
    opened = browser.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    opened.goto(address)
    yield opened
    opened.close()
    assert faults == []


def be(page: Page, name: str, chat: str = "") -> None:
    """Be somebody, in this chat."""
    page.get_by_test_id("me").fill(name)
    if chat:
        page.get_by_role("button", name=chat).click()


def test_a_group_is_made_and_written_in(page: Page) -> None:
    be(page, "李华")
    page.get_by_placeholder("新群名").fill("水岸网格群")
    page.get_by_placeholder("成员").fill("李华，张三")
    page.get_by_role("button", name="建群").click()
    expect(page.get_by_placeholder("扫码带的场景值")).to_be_visible()
    page.get_by_role("button", name="水岸网格群").click()
    expect(page.get_by_role("button", name="进入")).to_be_hidden()  # of a group nobody hears that
    page.get_by_test_id("words").fill("@邻声 <b>3幢</b>楼道灯坏了")
    page.get_by_test_id("send").click()
    expect(page.locator("#talk .own .bubble")).to_have_text("@邻声 <b>3幢</b>楼道灯坏了")
    expect(page.locator("#pushes .bad")).to_contain_text("/callback/wecom_bot")  # nobody listens there
    be(page, "张三")
    expect(page.locator("#talk li:not(.own) .bubble")).to_contain_text("楼道灯坏了")

    page.locator("#talk").get_by_role("button", name="引用").click()
    page.get_by_test_id("words").fill("我家也是")
    page.get_by_test_id("send").click()
    expect(page.locator("#talk .own .quote")).to_have_text("@邻声 <b>3幢</b>楼道灯坏了")
    expect(page.locator("#quoting")).to_be_hidden()
    be(page, "王五")
    expect(page.get_by_role("button", name="水岸网格群")).to_have_count(0)


def test_by_its_other_name(page: Page, address: str) -> None:
    page.goto(address.replace("127.0.0.1", "localhost"))
    expect(page.get_by_role("button", name="公众号（单聊）")).to_be_visible()


def test_an_order_and_its_steps(page: Page) -> None:
    be(page, "oUnion-05", "居民上报")
    expect(page.locator("#compose")).to_be_hidden()
    page.get_by_label("上报什么事").fill("楼道灯不亮了")
    page.get_by_label("地点").fill("3幢")
    page.get_by_role("button", name="上报", exact=True).click()
    order = page.locator("#talk li")
    expect(order).to_contain_text("楼道灯不亮了")
    expect(page.get_by_label("上报什么事")).to_have_value("")
    be(page, "GuYi")
    order.get_by_label("下一步").select_option("办结")
    order.get_by_label("处理说明").fill("换了灯")
    order.get_by_role("button", name="办理").click()
    expect(order.locator("dl")).to_contain_text("办结GuYi：换了灯")
    expect(order.get_by_role("button")).to_have_count(0)  # it is over


def test_a_position_and_a_card(page: Page, address: str) -> None:
    be(page, "李华", "自建应用（单聊）")
    page.get_by_role("button", name="位置", exact=True).click()
    page.get_by_label("纬度").fill("30.28")
    page.get_by_label("经度").fill("120.01")
    page.get_by_label("地名").fill("水岸华庭")
    page.get_by_role("button", name="发送位置").click()
    expect(page.locator("#talk .own .bubble")).to_have_text("[位置]水岸华庭")
    expect(page.locator("#pin")).to_be_hidden()

    send_card(page, address, "李华")
    card = page.locator("#talk .card")
    expect(card.get_by_role("link", name="打开")).to_have_attribute("href", "https://linsheng.example/task")
    choice = card.get_by_label("处置")
    expect(choice.locator("option")).to_have_text(["选择…", "本人处理", "转派"])
    choice.select_option("转派")
    page.get_by_test_id("words").fill("等一下")
    page.get_by_test_id("send").click()
    expect(page.locator("#talk .own")).to_have_count(2)
    expect(choice).to_have_value("b")  # and is not thrown away by what else happens
    expect(choice).to_be_visible()


def send_card(page: Page, address: str, user: str) -> None:
    """As a self-built app does."""
    state = page.request.get(f"{address}page/news", headers={"X-Platform": "1"}).json()
    app: dict[str, Any] = state["accounts"]["wecom_app"]
    asking = {"corpid": app["corp_id"], "corpsecret": app["secret"]}
    token = page.request.get(f"{address}cgi-bin/gettoken", params=asking).json()["access_token"]
    options = [{"id": "a", "text": "本人处理"}, {"id": "b", "text": "转派"}]
    card = {
        "card_type": "button_interaction", "task_id": "T1", "main_title": {"title": "一张单"},
        "card_action": {"type": 1, "url": "https://linsheng.example/task"},
        "button_list": [{"text": "接单", "key": "accept:1"}],
        "button_selection": {"question_key": "cause", "title": "处置", "option_list": options},
    }  # fmt: skip
    told = {"touser": user, "agentid": int(app["agent_id"]), "msgtype": "template_card", "template_card": card}
    answer = page.request.post(f"{address}cgi-bin/message/send?access_token={token}", data=told)
    assert answer.json()["errcode"] == 0
