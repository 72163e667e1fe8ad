"""The test platform's page as a person uses it: be somebody, write in a group, see it in one's own words."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

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


def test_a_group_is_made_and_written_in(browser: Browser, address: str) -> None:
    page = browser.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.goto(address)
    page.get_by_test_id("me").fill("李华")
    page.get_by_placeholder("新群名").fill("水岸网格群")
    page.get_by_placeholder("成员").fill("李华，张三")
    page.get_by_role("button", name="建群").click()
    page.get_by_role("button", name="水岸网格群").click()
    page.get_by_test_id("words").fill("@邻声 <b>3幢</b>楼道灯坏了")
    page.get_by_test_id("send").click()
    expect(page.locator("#talk .own .bubble")).to_have_text("@邻声 <b>3幢</b>楼道灯坏了")
    expect(page.locator("#pushes .bad")).to_contain_text("/callback/wecom_bot")  # nobody listens there
    page.get_by_test_id("me").fill("张三")
    expect(page.locator("#talk li:not(.own) .bubble")).to_contain_text("楼道灯坏了")
    page.get_by_test_id("me").fill("王五")
    expect(page.get_by_role("button", name="水岸网格群")).to_have_count(0)
    page.close()
    assert faults == []
