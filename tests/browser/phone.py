"""A person's window of the web chat, in the words of a test."""

from pathlib import Path

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    FilePayload,
    Locator,
    Page,
    ViewportSize,
    expect,
)

WAIT = 15_000  # milliseconds for an answer, on a busy machine
HAND: ViewportSize = {"width": 390, "height": 844}
DESK: ViewportSize = {"width": 1280, "height": 860}


class Phone:
    """One window: somebody in one of her chats."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def lines(self) -> Locator:
        """All bubbles of the chat, oldest first."""
        return self.page.get_by_test_id("message")

    @property
    def bot_lines(self) -> Locator:
        """The bot's bubbles."""
        return self.page.locator('[data-testid=message][data-sender="bot"]')

    @property
    def notice(self) -> Locator:
        """The short message over the chat."""
        return self.page.locator("#notice")

    @property
    def card(self) -> Locator:
        """The newest task card."""
        return self.page.get_by_test_id("card").last

    def says(self, words: str) -> None:
        """Type it, send it, and see it stand in the chat."""
        own = self.page.locator(".message.mine:not(.waiting)")
        count = own.count()
        self.page.get_by_test_id("composer").fill(words)
        self.page.get_by_test_id("send").click()
        expect(own).to_have_count(count + 1, timeout=WAIT)
        expect(own.last).to_contain_text(words)

    def sends_photo(self, photo: bytes, name: str = "photo.png", mime: str = "image/png") -> None:
        """Choose a photo; it is not sent yet."""
        file: FilePayload = {"name": name, "mimeType": mime, "buffer": photo}
        self.page.get_by_test_id("photo-input").set_input_files(files=file)

    def hears(self, *words: str) -> Locator:
        """The newest line of the bot, once it holds all these words."""
        for word in words:
            expect(self.bot_lines.last).to_contain_text(word, timeout=WAIT)
        return self.bot_lines.last

    def presses(self, label: str) -> None:
        """A button of the newest card."""
        self.card.get_by_role("button", name=label).click()

    def picture(self, path: Path) -> bytes:
        """What the window shows, as PNG, kept at `path`."""
        self.page.mouse.move(0, 0)
        return self.page.screenshot(path=path, animations="disabled", caret="hide")


class Phones:
    """Opens windows, each with storage of its own, and keeps what their pages complain about."""

    def __init__(self, browser: Browser, base: str) -> None:
        self.base = base
        self.faults: list[str] = []
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    def window(self, address: str, *, wide: bool = False) -> Phone:
        """Any address of the service, or a whole one; on a phone, or on a desk when `wide`."""
        context = (
            self._browser.new_context(viewport=DESK, device_scale_factor=1.5, locale="zh-CN")
            if wide
            else self._browser.new_context(
                viewport=HAND, device_scale_factor=2, locale="zh-CN", is_mobile=True, has_touch=True
            )
        )
        self._contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: self.faults.append(f"{page.url}: {error}"))
        page.on("console", self._told)
        page.goto(address if address.startswith("http") else self.base + address)
        return Phone(page)

    def _told(self, line: ConsoleMessage) -> None:
        if line.type == "error":
            self.faults.append(f"{line.location.get('url')}: {line.text}")

    def of(self, person: str, chat: str, *, wide: bool = False) -> Phone:
        """The person's chat, opened and following."""
        phone = self.window("/chat", wide=wide)
        # Following begins with the answer to the stream's request: what is said before is in the history.
        with phone.page.expect_response(lambda answer: "/stream" in answer.url, timeout=WAIT):
            phone.page.goto(f"{self.base}/chat?person={person}&chat={chat}")
        expect(phone.page.get_by_test_id("composer")).to_be_visible(timeout=WAIT)
        return phone

    def close(self) -> None:
        """Close all windows."""
        for context in self._contexts:
            context.close()
