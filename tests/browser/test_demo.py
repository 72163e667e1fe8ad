"""What a visitor of the demo sees, in a real browser against the real service."""

import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.frames import LARGEST, two_phones
from tests.browser.phone import WAIT, Phone, Phones

# One service and one browser for all: under pytest-xdist these tests stay together. The first waits for the training.
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(600)]
SOUTH, WEST, FACTORY, COMMUNITY = "g-QX-01-01-01", "g-QX-02-01-01", "g-QX-01-02-02", "g-QX-01"
NUMBER = re.compile(r"LS\d+")


def number_in(text: str) -> str:
    """The first ticket number in a line. Fails without one."""
    found = NUMBER.search(text)
    assert found, text
    return found[0]


def open_task(phones: Phones, phone: Phone) -> Phone:
    """The task page behind the newest card, in a window of its own: the link is all that it needs."""
    link = phone.card.get_by_role("link", name="查看任务").get_attribute("href")
    assert link
    assert link.startswith(phones.base)
    return phones.window(link)


def test_from_a_line_in_the_group_to_a_closed_ticket(phones: Phones, browser: Browser, pictures: Path) -> None:
    """Reported, answered, accepted, settled, rated: on two phones."""
    phones.of("C02", COMMUNITY).says("【通知】周四上午九点在居委会量血压，请带身份证")
    phones.of("U03", SOUTH).says("早 豆豆今天开学第一天 哭着出门的")
    resident, worker = phones.of("U01", SOUTH), phones.of("W01", "d-w01")

    resident.says("3幢2单元电梯坏了 有人困在里面")
    number = number_in(resident.hears("LS", "柳岸花园3幢").inner_text())
    expect(resident.bot_lines).to_have_count(1)

    expect(worker.card).to_contain_text(number, timeout=WAIT)
    expect(worker.card).to_contain_text("3幢2单元")
    expect(worker.card).to_contain_text("有人困在里面")
    worker.presses("接单")
    resident.hears(number, "已接单")
    worker.hears("已接单", number)

    worker.presses("办结")
    resident.hears(number, "已办结", "请评价")
    worker.hears("已办结", number)

    resident.says("满意")
    resident.hears("谢谢", number, "已结案")

    shown = resident.picture(pictures / "resident.png"), worker.picture(pictures / "gridworker.png")
    clock = datetime.now(ZoneInfo("Asia/Shanghai")).strftime("%H:%M")
    two_phones(browser, *shown, clock, pictures / "two-phones.png")
    wide = phones.of("U01", SOUTH, wide=True)
    wide.hears(number, "已结案")
    wide.picture(pictures / "desktop.png")
    for name in ("resident", "gridworker", "two-phones", "desktop"):
        assert 10_000 < (pictures / f"{name}.png").stat().st_size <= LARGEST, name


def test_chatter_is_left_alone_and_what_belongs_together_comes_together(phones: Phones) -> None:
    """Idle talk gets no answer; a photo and the words after it are one ticket, and two neighbours join it."""
    first, second, third = (phones.of(person, WEST) for person in ("U15", "U28", "U16"))
    worker = phones.of("W03", "d-w03")
    second.says("早上好呀 今天风好大")
    third.says("是啊 出门吃碗面暖和一下")

    first.sends_photo(first.page.screenshot())
    first.page.get_by_test_id("send").click()
    expect(first.page.locator(".photo img")).to_be_visible(timeout=WAIT)
    first.says("3幢门口的窨井盖翘起来了")
    number = number_in(first.hears("LS").inner_text())
    # A conversation is handled in order: had the talk or the photo been answered, it would stand here by now.
    expect(first.bot_lines).to_have_count(1)

    second.says("我也看到了 3幢门口那个井盖 差点绊倒")
    third.says("对对 3幢那个井盖我也踩到过")
    first.hears(number, "3人")

    task = open_task(phones, worker)
    expect(task.page.get_by_test_id("number")).to_have_text(number)
    said = task.page.get_by_test_id("said")
    expect(said.filter(has_text="差点绊倒")).to_have_count(1)
    expect(said.locator("img")).to_have_count(1)
    for _ in range(20):
        if said.filter(has_text="我也踩到过").count():
            break
        task.page.wait_for_timeout(500)
        task.page.reload()
    expect(said.filter(has_text="我也踩到过")).to_have_count(1)
    expect(task.page.locator("dl")).to_contain_text(re.compile(r"反映人数\s*3"))
    titles = worker.page.locator("[data-testid=card] h3").all_inner_texts()
    assert {number_in(title) for title in titles} == {number}


def test_what_cannot_be_sent_is_refused_in_plain_words(phones: Phones) -> None:
    """A wrong address, nothing, too much, a program as a photo: a sentence, and nothing is lost or sent."""
    nobody = phones.window("/chat?person=NOBODY")
    expect(nobody.notice).to_have_text("没有这个人", timeout=WAIT)
    expect(nobody.page.get_by_test_id("person-U01")).to_be_visible()

    elsewhere = phones.window(f"/chat?person=U14&chat={SOUTH}")
    expect(elsewhere.notice).to_have_text("你不在这个群里", timeout=WAIT)

    phone = phones.of("U12", FACTORY)
    box, send = phone.page.get_by_test_id("composer"), phone.page.get_by_test_id("send")
    expect(send).to_be_disabled()
    box.fill("   ")
    box.press("Enter")
    expect(phone.notice).to_have_text("还没有写内容")

    box.fill("漏" * 3_000)
    send.click()
    expect(phone.notice).to_have_text("一条消息最多 2000 字，这条有 3000 字")
    expect(box).to_have_value("漏" * 3_000)

    for mime in ("application/x-msdownload", "image/jpeg"):  # also when it calls itself a photo
        box.fill("")
        phone.notice.evaluate("box => box.replaceChildren()")
        phone.sends_photo(b"MZ\x90\x00 a program", "setup.exe", mime)
        expect(phone.notice).to_have_text("只能发 JPG、PNG、WebP 或 GIF 照片")
        expect(send).to_be_disabled()
    expect(phone.lines).to_have_count(0)
    phone.says("大家晚上好")


def test_the_link_on_a_card_opens_the_ticket(phones: Phones) -> None:
    """The gridworker's page: what, where, who said it; a press there is seen in the group."""
    resident, worker = phones.of("U13", FACTORY), phones.of("W02", "d-w02")
    resident.says("机械厂新村4幢楼道灯不亮了")
    number = number_in(resident.hears("LS").inner_text())
    expect(worker.card).to_contain_text(number, timeout=WAIT)

    task = open_task(phones, worker).page
    expect(task.get_by_test_id("number")).to_have_text(number)
    expect(task.get_by_test_id("status")).to_contain_text("等待网格员接单")
    expect(task.locator("dl")).to_contain_text("机械厂新村4幢")
    expect(task.get_by_test_id("said")).to_contain_text("楼道灯不亮了")
    task.get_by_test_id("act-accept").click()
    expect(task.get_by_test_id("status")).to_contain_text("正在处理", timeout=WAIT)
    resident.hears(number, "已接单")


def test_the_first_screen(phones: Phones, pictures: Path) -> None:
    """Everybody of the demo town, found by role, by name and by home; one press and the window is hers."""
    phone = phones.window("/chat")
    resident = phone.page.get_by_test_id("person-U01")
    expect(resident).to_contain_text("柳岸花园3幢", timeout=WAIT)
    phone.picture(pictures / "picker.png")
    assert (pictures / "picker.png").stat().st_size <= LARGEST

    phone.page.get_by_test_id("tab-网格员").click()
    expect(phone.page.get_by_test_id("person-W01")).to_be_visible()
    expect(resident).to_have_count(0)
    phone.page.get_by_test_id("tab-全部").click()
    phone.page.get_by_test_id("person-search").fill("柳岸花园3幢")
    expect(phone.page.locator(".person")).to_have_count(2)

    resident.click()
    chats = phone.page.locator(".chat-row")
    expect(chats.filter(has_text="柳岸花园南区邻里群")).to_be_visible(timeout=WAIT)
    # A resident's groups end with the community's: the street's group is for those who work there.
    expect(chats.filter(has_text="柳岸社区居民群")).to_be_visible()
    expect(chats.filter(has_text="工作群")).to_have_count(0)
