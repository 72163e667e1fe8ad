"""A self-built app of WeCom (自建应用): what members do with it. What it may call stands in `corp_api` and `appchat`.

Sources: 企业微信 90238, 90239, 90240, 90241.
"""

import secrets
from datetime import datetime, timedelta

from bot.platform.aibot_people import JPEG
from bot.platform.cards import check_card, from_xml, pressed
from bot.platform.codes import PlatformError, mapping, need
from bot.platform.crypto import random_word
from bot.platform.letters import Bare, Fields
from bot.platform.official import AMR
from bot.platform.push import Push
from bot.platform.shared import Shared
from bot.platform.world import Body, Bubble
from bot.platform.xml_account import XmlAccount, message_id

CHANNEL = "wecom_app"
AGENT = 1_000_002
CODE_LIFE = timedelta(hours=72)


class CorpApp(XmlAccount):
    """corp_id, agent_id, secret, token, aes_key: for the app's settings. strangers: user ids that are no members."""

    def __init__(self, shared: Shared, corp_id: str) -> None:
        super().__init__(shared, "app", corp_id, corp_id, official=False, agent=AGENT)
        self.corp_id = corp_id
        self.agent_id = AGENT
        self.strangers: set[str] = set()
        self._codes: dict[str, tuple[list[Bubble], datetime]] = {}

    async def say(self, user: str, text: str) -> Bubble:
        """Words to the app."""
        return await self._write(user, "text", {"Content": text}, text)

    async def photo(self, user: str, data: bytes = JPEG) -> Bubble:
        """A picture."""
        media = self.media.keep("image", "picture.jpg", data)
        fields = {"PicUrl": self.media.plain("image", "picture.jpg", data), "MediaId": media}
        return await self._write(user, "image", fields, "[图片]")

    async def voice(self, user: str, data: bytes = AMR) -> Bubble:
        """A voice message."""
        fields = {"MediaId": self.media.keep("voice", "voice.amr", data), "Format": "amr"}
        return await self._write(user, "voice", fields, "[语音]")

    async def location(self, user: str, lat: float, lon: float, label: str = "") -> Bubble:
        """A pin, GCJ-02."""
        fields = {"Location_X": lat, "Location_Y": lon, "Scale": 16, "Label": label, "AppType": "wxwork"}
        return await self._write(user, "location", fields, f"[位置]{label}")

    async def where(self, user: str, lat: float, lon: float) -> Push | None:
        """The LOCATION event: the app was opened, and reports where."""
        return await self.event(user, "LOCATION", Latitude=lat, Longitude=lon, Precision=15, AppType="wxwork")

    async def event(self, user: str, name: str, **fields: object) -> Push | None:
        """Any event: subscribe, enter_agent, click, view, location_select, close_inactive_agent …"""
        letter = self.letter(user, "event", {"Event": name} | fields | {"AgentID": AGENT})
        push, answer = await self.tell(user, letter)
        self._show_answer(user, answer)
        return push

    async def click(
        self, card: Bubble, user: str, key: str, *, chosen: dict[str, list[str]] | None = None
    ) -> Push | None:  # fmt: skip
        """She presses a button of her card. What the app answers changes hers alone. Raises ValueError."""
        face = card.card_for(user)
        if face is None or card.chat != user:
            raise ValueError("that is no card of hers")
        picked = pressed(face, key, chosen or {}).get("selected_items", {}).get("selected_item", [])
        fields: Fields = {
            "Event": "template_card_event",
            "EventKey": key,
            "TaskId": face.get("task_id", ""),
            "CardType": face["card_type"],
            "ResponseCode": self.new_code([card]),
            "AgentID": AGENT,
        }
        if picked:
            fields["SelectedItems"] = {
                "SelectedItem": [
                    {"QuestionKey": item["question_key"], "OptionIds": {"OptionId": item["option_ids"]["option_id"]}}
                    for item in picked
                ]
            }
        menu = key in [item["key"] for item in (face.get("action_menu") or {}).get("action_list", [])]
        if menu:
            fields["Event"] = "template_card_menu_event"
            fields.pop("SelectedItems", None)
        push, answer = await self.tell(user, self.letter(user, "event", fields))
        if answer.get("MsgType") == "update_button":
            self.disable(card, str((answer.get("Button") or {}).get("ReplaceName", "")))
        elif answer.get("MsgType") == "update_template_card":
            self._replace(card, answer.get("TemplateCard"))
        elif answer:
            self.complain(f"{CHANNEL}: a click is answered with {answer.get('MsgType')}")
        return push

    # --- cards that were sent ---------------------------------------------------------------------------------------

    def new_code(self, cards: list[Bubble]) -> str:
        """A response_code for these copies of a card: good for 72 hours and one use."""
        code = random_word(43)
        self._codes[code] = (cards, self.clock())
        return code

    def use_code(self, code: str) -> list[Bubble]:
        """The copies it stands for. Raises PlatformError 40058 for one that is unknown, used or old."""
        found = self._codes.pop(code, None)
        if found is None or self.clock() - found[1] >= CODE_LIFE:
            raise PlatformError(40058, "response_code")
        return found[0]

    def disable(self, card: Bubble, words: str) -> None:
        """`update_button`: grey, with these words on the buttons."""
        need(words, 40058, "replace_name")
        face = dict(card.card_for(card.chat) or {})
        face["button_list"] = [
            {"text": words, "style": 4, "key": f"disabled{n}"} for n, _ in enumerate(face.get("button_list", []))
        ]
        if "submit_button" in face:  # of a vote, what was chosen stays
            face["submit_button"] = face["submit_button"] | {"text": words}
        face["disabled"] = True
        card.update(face, [card.chat])
        self.world.touch()

    def replace(self, card: Bubble, given: object) -> None:
        """A new face for one copy; its task_id stays where none is given. Raises PlatformError."""
        old = card.card_for(card.chat) or {}
        card.update(check_card({"task_id": old.get("task_id", "")} | mapping(given)), [card.chat])
        self.world.touch()

    def _replace(self, card: Bubble, given: object) -> None:
        try:
            self.replace(card, from_xml(mapping(given)))
        except (PlatformError, ValueError) as error:
            self.complain(f"{CHANNEL}: the card of an answer cannot be shown: {error}")

    def post(self, user: str, kind: str, text: str, body: Body, *, message: str = "") -> Bubble:
        """Show something of the app's to a member. message: the msgid that copies share."""
        bubble = Bubble(
            message or secrets.token_urlsafe(24), self.clock(), CHANNEL, user, kind=kind, text=text, body=body
        )
        bubble.card = body.get("template_card") if kind == "template_card" else None
        return self.world.show(bubble)

    async def _write(self, user: str, kind: str, fields: Fields, text: str) -> Bubble:
        number = message_id()
        bubble = Bubble(str(number), self.clock(), CHANNEL, user, by=user, kind=kind, text=text, body=fields)
        self.world.show(bubble)
        letter = self.letter(user, kind, fields | {"MsgId": Bare(number), "AgentID": AGENT})
        _, answer = await self.tell(user, letter)
        self._show_answer(user, answer)
        return bubble

    def _show_answer(self, user: str, answer: Fields) -> None:
        if not answer:
            return
        if answer.get("ToUserName") != user or answer.get("FromUserName") != self.corp_id:
            self.complain(f"{CHANNEL}: the answer's ToUserName or FromUserName is wrong")
            return
        self.post(user, str(answer.get("MsgType")), str(answer.get("Content", "")), answer)
