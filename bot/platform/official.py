"""公众号 / 服务号: what people do with the account. What the account may call stands in `official_api`.

Sources: 接收普通消息, 接收事件推送, 被动回复用户消息.
"""

import asyncio
from collections.abc import Coroutine

from bot.platform.aibot_people import JPEG
from bot.platform.crypto import random_word
from bot.platform.letters import Bare, Fields
from bot.platform.limits import Window
from bot.platform.push import Push
from bot.platform.shared import Shared
from bot.platform.world import Bubble
from bot.platform.xml_account import XmlAccount, message_id

CHANNEL = "wechat_mp"
AMR = b"#!AMR\n\x3c\x91\x17\x16\xbe\x66\x79\xe1"
UNSERVED = "该公众号暂时无法提供服务，请稍后再试"


class OfficialAccount(XmlAccount):
    """app_id, secret, token, aes_key: for the app's settings. Users are openids; writing makes one a follower."""

    def __init__(self, shared: Shared) -> None:
        self.app_id = f"wx{shared.names.hex('mp', 16)}"
        self.name = f"gh_{shared.names.hex('mp.name', 12)}"
        super().__init__(shared, "mp", self.app_id, self.name, official=True)
        self.followers: set[str] = set()
        self.blocking: set[str] = set()  # who refuses its messages
        self.window = Window(late=45015, used=45047)
        self.short = Window(late=45015, used=45047, answers=3, hours=1 / 60)  # after a menu, a scan, a follow
        self.tickets: dict[str, str] = {}  # QR tickets by scene
        self.lives: dict[str, int] = {}  # seconds that a temporary code lasts, by its ticket
        self.menu: Fields | None = None
        self.templates: dict[str, str] = {}  # template id: its title on the phone
        self.agreed: dict[tuple[str, str], int] = {}  # 订阅通知 that a user agreed to, and how often
        self.undelivered: dict[str, str] = {}  # by user: why notices do not reach her, such as `user block`
        self.jobs: set[asyncio.Task[object]] = set()

    async def say(self, user: str, text: str, *, menu: str = "") -> Bubble:
        """Words. menu: the id of the msgmenu item that she pressed."""
        return await self._write(user, "text", {"Content": text} | ({"bizmsgmenuid": menu} if menu else {}), text)

    async def choose(self, menu: Bubble, user: str, item: str) -> Bubble:
        """She presses an item of a msgmenu. Raises ValueError when it has no such item."""
        items = {found["id"]: found["content"] for found in menu.body["msgmenu"]["list"]}
        if item not in items:
            raise ValueError(f"the menu offers {sorted(items)}")
        return await self.say(user, items[item], menu=item)

    async def photo(self, user: str, data: bytes = JPEG) -> Bubble:
        """A picture."""
        media = self.media.keep("image", "picture.jpg", data)
        fields = {"PicUrl": self.media.plain("image", "picture.jpg", data), "MediaId": media}
        return await self._write(user, "image", fields, "[图片]")

    async def voice(self, user: str, recognition: str = "", data: bytes = AMR) -> Bubble:
        """A voice message; mostly without recognition nowadays."""
        media = self.media.keep("voice", "voice.amr", data)
        fields: Fields = {"MediaId": media, "Format": "amr", "MediaId16K": media}
        if recognition:
            fields["Recognition"] = recognition
        return await self._write(user, "voice", fields, f"[语音]{recognition}")

    async def video(self, user: str, data: bytes, *, short: bool = False) -> Bubble:
        """A video, or one taken in the chat."""
        media, thumb = self.media.keep("video", "video.mp4", data), self.media.keep("thumb", "thumb.jpg", JPEG)
        kind = "shortvideo" if short else "video"
        return await self._write(user, kind, {"MediaId": media, "ThumbMediaId": thumb}, "[视频]")

    async def location(self, user: str, lat: float, lon: float, label: str = "") -> Bubble:
        """A pin, GCJ-02."""
        fields = {"Location_X": lat, "Location_Y": lon, "Scale": 16, "Label": label}
        return await self._write(user, "location", fields, f"[位置]{label}")

    async def link(self, user: str, title: str, url: str, description: str = "") -> Bubble:
        """A link, as forwarded from another account."""
        return await self._write(user, "link", {"Title": title, "Description": description, "Url": url}, title)

    async def follow(self, user: str, scene: str = "") -> Push | None:
        """She follows; by a QR code if there is a scene."""
        self.followers.add(user)
        self.short.heard(user, self.clock())
        found = {"EventKey": f"qrscene_{scene}", "Ticket": self._ticket(scene)} if scene else {"EventKey": ""}
        return await self.event(user, "subscribe", **found)

    async def unfollow(self, user: str) -> Push | None:
        """She goes."""
        self.followers.discard(user)
        return await self.event(user, "unsubscribe", EventKey="")

    async def scan(self, user: str, scene: str) -> Push | None:
        """A follower scans a QR code; somebody else follows by it."""
        if user not in self.followers:
            return await self.follow(user, scene)
        self.short.heard(user, self.clock())
        return await self.event(user, "SCAN", EventKey=scene, Ticket=self._ticket(scene))

    async def press(self, user: str, key: str) -> Push | None:
        """She presses an item of the menu. Raises ValueError when the menu has no such item."""
        items = [item for button in (self.menu or {}).get("button", []) for item in (button, *button["sub_button"])]
        found = next((item for item in items if key in (item.get("key"), item.get("url"))), None)
        if found is None:
            raise ValueError(f"the menu has no {key!r}")
        self.short.heard(user, self.clock())
        return await self.event(user, "CLICK" if found["type"] == "click" else "VIEW", EventKey=key)

    async def agree(self, user: str, template: str, times: int = 1) -> Push | None:
        """She agrees to so many 订阅通知 of a template."""
        self.agreed[user, template] = self.agreed.get((user, template), 0) + times
        item = {"TemplateId": template, "SubscribeStatusString": "accept", "PopupScene": 1}
        return await self.event(user, "subscribe_msg_popup_event", SubscribeMsgPopupEvent={"List": item})

    async def event(self, user: str, name: str, **fields: object) -> Push | None:
        """Any event."""
        push, answer = await self.tell(user, self.letter(user, "event", {"Event": name} | fields))
        self._show_answer(user, answer)
        return push

    def report_job(self, user: str, message: int) -> None:
        """TEMPLATESENDJOBFINISH, a moment after a template was sent."""
        status = f"failed:{self.undelivered[user]}" if user in self.undelivered else "success"
        self._soon(self.event(user, "TEMPLATESENDJOBFINISH", MsgID=message, Status=status))

    def report_subscription(self, user: str, message: int, template: str) -> None:
        """subscribe_msg_sent_event, a moment after a 订阅通知 was sent."""
        why = self.undelivered.get(user)
        told = {"TemplateId": template, "MsgID": message, "ErrorCode": 0, "ErrorStatus": "success"}
        told |= {"ErrorCode": 20000, "ErrorStatus": why} if why else {}
        self._soon(self.event(user, "subscribe_msg_sent_event", SubscribeMsgSentEvent={"List": told}))

    def _soon(self, telling: Coroutine[object, object, object]) -> None:
        job: asyncio.Task[object] = asyncio.ensure_future(telling)
        self.jobs.add(job)
        job.add_done_callback(self.jobs.discard)

    def post(self, user: str, kind: str, text: str, body: Fields) -> Bubble:
        """Show something of the account's on her screen."""
        bubble = Bubble(random_word(20), self.clock(), CHANNEL, user, kind=kind, text=text, body=body)
        return self.world.show(bubble)

    def _ticket(self, scene: str) -> str:
        return next((ticket for ticket, known in self.tickets.items() if known == scene), random_word(60))

    async def _write(self, user: str, kind: str, fields: Fields, text: str) -> Bubble:
        self.followers.add(user)
        self.window.heard(user, self.clock())
        number = message_id()
        bubble = Bubble(str(number), self.clock(), CHANNEL, user, by=user, kind=kind, text=text, body=fields)
        self.world.show(bubble)
        push, answer = await self.tell(user, self.letter(user, kind, fields | {"MsgId": Bare(number)}))
        if push is not None and push.done and not push.taken:
            self.complain(f"{self.name}: a message was not taken, three times: {push.statuses}")
            self._unserved(user)
        elif push is not None and push.body.strip() not in ("", "success") and not answer:
            self._unserved(user)
        self._show_answer(user, answer)
        return bubble

    def _unserved(self, user: str) -> None:
        """What the platform shows whoever wrote to an account that does not answer as it should."""
        self.post(user, "text", UNSERVED, {})

    def _show_answer(self, user: str, answer: Fields) -> None:
        """A passive answer: of all kinds, text is shown as such."""
        if not answer:
            return
        kind = answer.get("MsgType")
        if answer.get("ToUserName") != user or answer.get("FromUserName") != self.name or not isinstance(kind, str):
            self.complain(f"{self.name}: the answer's ToUserName, FromUserName or MsgType is wrong")
            self._unserved(user)
            return
        self.post(user, kind, str(answer.get("Content", f"[{kind}]")), answer)
