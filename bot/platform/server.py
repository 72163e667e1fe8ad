"""The whole platform on one address of this machine."""

from collections.abc import Callable
from contextlib import suppress

from aiohttp import web

from bot.platform.aibot import CHANNEL as BOT
from bot.platform.aibot_people import JPEG, BotPeople
from bot.platform.aibot_socket import PATH as SOCKET_PATH
from bot.platform.api import Api, Call
from bot.platform.appchat import AppChat
from bot.platform.archive import CHANNEL as ARCHIVE
from bot.platform.archive import ChatArchive
from bot.platform.clock import Timepiece, WallClock
from bot.platform.corp_api import CorpApi
from bot.platform.corp_app import CorpApp
from bot.platform.faults import Faults
from bot.platform.group_robot import GroupRobot
from bot.platform.kf import CustomerService
from bot.platform.kf_api import KfApi
from bot.platform.media import MediaStore
from bot.platform.names import Names
from bot.platform.notices import GroupNotices
from bot.platform.official import OfficialAccount
from bot.platform.official_api import OfficialApi
from bot.platform.page import Page
from bot.platform.push import Push, Pusher
from bot.platform.qq import QQ
from bot.platform.report_grids import ReportGrids
from bot.platform.reports import Reports
from bot.platform.shared import Shared
from bot.platform.tokens import Tokens
from bot.platform.world import Bubble, World

LOCAL = "127.0.0.1"
BODY_BYTES = 32 * 1024 * 1024


class Platform:
    """WeCom and WeChat. base: for `api_base` settings. ws_url: for the AI bot's long connection.

    complaints: answers of the app that the platform could not use, in words; a good app leaves it empty.
    """

    def __init__(self, clock: Timepiece | None = None, *, pause: float = 0.0, seed: str | None = None) -> None:
        """seed: the same ids and secrets each time; without, new ones. pause: seconds between a refused callback and
        the next try."""
        self.clock = clock or WallClock()
        self.world = World()
        self.faults = Faults()
        self.complaints: list[str] = []
        self.tokens = Tokens(self.clock)
        self.media = MediaStore(self.clock)
        self.pusher = Pusher(self.clock, self.world, pause=pause)
        self.api = Api(self.tokens, self.faults, self.world)
        self._names = Names(seed)
        shared = Shared(self.clock, self.world, self.media, self.pusher, self._names, self.complaints)
        corp_id = f"ww{shared.names.hex('corp', 16)}"
        self.bot = BotPeople(shared)
        self.mp = OfficialAccount(shared)
        self.app = CorpApp(shared, corp_id)
        self.kf = CustomerService(shared, corp_id)
        self.report = Reports(shared, self.api)
        self.robot = GroupRobot(shared)
        self.qq = QQ(shared)
        self.archive = ChatArchive(shared)
        self.notices = GroupNotices(shared, self.api, self.archive)
        self.app_api = CorpApi(self.app, self.api)
        self.kf_api = KfApi(self.kf, self.api)
        AppChat(self.app, self.api)
        ReportGrids(self.report, self.api)
        OfficialApi(self.mp, self.api)
        self.tokens.add("wechat:mp", self.mp.app_id, self.mp.secret)
        apps = {
            "app": self.app.secret, "kf": self.kf.secret, "report": self.report.secret, "contact": self.notices.secret,
        }  # fmt: skip
        for name, secret in apps.items():
            self.tokens.add(f"wecom:{name}", corp_id, secret)
        self.base = ""
        self._runner: web.AppRunner | None = None

    @property
    def ws_url(self) -> str:
        """Where the AI bot's program dials."""
        return f"ws{self.base.removeprefix('http')}{SOCKET_PATH}"

    @property
    def pushes(self) -> list[Push]:
        """Every callback so far."""
        return self.pusher.pushes

    @property
    def calls(self) -> list[Call]:
        """Every call of the API so far."""
        return self.api.calls

    def application(self) -> web.Application:
        """All routes."""
        self.api.raw("POST", "media/upload", self.media.upload)
        self.api.raw("GET", "media/get", self.media.download)
        app = web.Application(
            middlewares=[self.faults.middleware, self.api.middleware], client_max_size=BODY_BYTES
        )  # fmt: skip
        for part in (self.api, self.media, self.bot.wire, self.bot.webhook, self.robot, Page(self)):
            app.add_routes(part.routes())
        return app

    async def start(self, port: int = 0) -> None:
        """Listen. port: 0 for any. Raises OSError when it is taken."""
        await self.pusher.start()
        self._runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOCAL, port).start()
        self.base = f"http://{LOCAL}:{self._runner.addresses[0][1]}"
        self.media.base = self.bot.webhook.base = self.robot.base = self.base

    async def stop(self) -> None:
        """Hang up on everybody."""
        await self.qq.hang_up()
        await self.bot.webhook.stop()
        await self.bot.cut()
        await self.pusher.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    # --- people -----------------------------------------------------------------------------------------------------

    def group(self, name: str, *members: str, chat: str = "") -> str:
        """A group with the AI bot in it; returns its chat id, which is the same again for this seed and name."""
        named = f"wr{self._names.word(f'group {name}', 20)}"
        return self.world.group(BOT, name, members, chat or (named if named not in self.world.groups else "")).id

    async def say(self, chat: str | None, user: str, text: str, *, quote: Bubble | None = None) -> Bubble:
        """Words to the AI bot. chat: a group's id, or None for her direct chat with it."""
        return await self.bot.say(chat, user, text, quote=quote)

    async def photo(self, chat: str | None, user: str, data: bytes = JPEG, text: str = "") -> Bubble:
        """A picture to the AI bot."""
        return await self.bot.photo(chat, user, data, text)

    async def click(
        self, card: Bubble, user: str, key: str, *, chosen: dict[str, list[str]] | None = None
    ) -> Push | None:  # fmt: skip
        """She presses a button of a card, on whichever channel it is."""
        if card.channel == ARCHIVE:
            self.notices.confirm(card, user, key)
            return None
        account = self.app if card.channel == "wecom_app" else self.bot
        return await account.click(card, user, key, chosen=chosen)

    def seen(self, who: str) -> list[Bubble]:
        """What accounts posted in this group or to this user, oldest first."""
        return self.world.seen(who)

    def talk(self, who: str) -> list[Bubble]:
        """The same with what people wrote."""
        return self.world.talk(who)

    async def until(self, condition: Callable[[], object], seconds: float = 15.0) -> None:
        """Wait for what the app does. seconds: real ones. Raises TimeoutError."""
        await self.world.until(condition, seconds)

    async def again(self, push: Push) -> Push:
        """Deliver the very same callback once more."""
        return await self.pusher.again(push)

    async def down(self) -> None:
        """The platform is gone: calls are cut, sockets reset, until `up`."""
        self.faults.down = self.bot.wire.down = True
        with suppress(ConnectionError):
            await self.bot.cut()

    def up(self) -> None:
        """And back."""
        self.faults.down = self.bot.wire.down = False
