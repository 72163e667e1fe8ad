"""What the Official Account sends: texts, texts in parts, cards as lines."""

from pathlib import Path
from typing import Any

import pytest

from bot.channels.api import ApiClient, ApiError
from bot.channels.base import NotNow, SendFailed, Uncertain
from bot.channels.menus import msgid
from bot.channels.render import TEXT_BYTES, rest, split
from bot.channels.wechat_mp import OfficialAccount
from bot.ingest import Ingest
from config.settings import OfficialAccountSettings
from models.database import Database
from models.message import Button, Card, Outgoing, Purpose

SETTINGS = OfficialAccountSettings.model_validate(
    {"token": "t", "aes_key": "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "app_id": "wx1", "app_secret": "s"}
)


class Api(ApiClient):
    """Remembers what it was told to send. `script`: what it raises, one call after another; None is taken."""

    def __init__(self) -> None:
        self.letters: list[dict[str, Any]] = []
        self.script: list[Exception | None] = []
        self.final: set[int] = set()

    async def call(self, path: str, body: Any, *, final: Any = (), params: Any = None) -> dict[str, Any]:
        assert path == "/cgi-bin/message/custom/send"
        self.final = set(final)
        self.letters.append(body)
        if self.script and (error := self.script.pop(0)):
            raise error
        return {}

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def account(api: Api, tmp_path: Path) -> OfficialAccount:
    return OfficialAccount(SETTINGS, Ingest(Database(f"sqlite:///{tmp_path}/unused.db")), api=api)


def out(text: str = "已登记", **more: Any) -> Outgoing:
    return Outgoing(channel="wechat_mp", chat="o-阿杰", text=text, **more)


def contents(api: Api) -> list[str]:
    return [letter["text"]["content"] for letter in api.letters]


async def test_a_text_goes_out_as_a_customer_message(account: OfficialAccount, api: Api) -> None:
    assert await account.send(out(), "c1") == ""
    assert api.letters == [{"touser": "o-阿杰", "msgtype": "text", "text": {"content": "已登记"}}]
    assert api.final == {48002, 40003, 43004, 45002}
    assert (account.can.max_bytes, account.can.dedups, account.can.rate) == (2048, False, SETTINGS.rate)


async def test_a_card_becomes_a_menu_or_lines_and_words_to_type(account: OfficialAccount, api: Api) -> None:
    card = Card(
        title="新工单 42",
        facts=(("地点", "柳岸花园6幢"), ("类别", "电梯")),
        words='电梯坏了 <a href="http://bad.example">领奖</a>',
        buttons=(Button(text="接单", action="accept:42"), Button(text="转派", action="pass:42")),
        link="https://l.example/t/42",
    )
    alert = out("请您处理", card=card, ticket=42, repeat=True, purpose=Purpose.ALERT)
    name = await account.send(alert, "c1")
    assert (name, api.letters.pop()) == (
        msgid("c1"),
        {
            "touser": "o-阿杰",
            "msgtype": "msgmenu",
            "msgmenu": {
                "head_content": '请您处理\n新工单 42\n地点：柳岸花园6幢\n类别：电梯\n电梯坏了 ＜a href="http://bad.example">领奖＜/a>',
                "list": [{"id": "accept:42", "content": "接单"}, {"id": "pass:42", "content": "转派"}],
                "tail_content": "https://l.example/t/42",
            },
        },
    )
    # Where the platform takes no menu, or the deployment wants none, they are words to type.
    api.script = [ApiError(40008, "errcode 40008")]
    assert await account.send(alert, "c1") == ""
    assert api.letters.pop(0)["msgtype"] == "msgmenu"
    assert contents(api)[0].splitlines() == [
        "请您处理",
        "新工单 42",
        "地点：柳岸花园6幢",
        "类别：电梯",
        '电梯坏了 ＜a href="http://bad.example">领奖＜/a>',
        "回复“接单 42”、“转派 42”",
        "https://l.example/t/42",
    ]


async def test_the_link_survives_the_longest_words(account: OfficialAccount, api: Api) -> None:
    card = Card(title="t", words="水" * 19_000, link="https://l.example/t/42")
    await account.send(out("", card=card), "c1")
    assert contents(api)[-1].endswith("https://l.example/t/42")


def test_long_texts_part_at_lines_then_sentences_then_anywhere() -> None:
    lines = "\n".join(f"第{n}行" + "水" * 300 for n in range(6))
    parts = split(lines, 2048, 3)
    assert "\n".join(parts) == lines
    assert all(len(part.encode()) <= 2048 for part in parts)
    sentences = split("停水了。" * 400, 2048, 3)
    assert "".join(sentences) == "停水了。" * 400
    assert all(part.endswith("。") for part in sentences)
    solid = split("😀" * 1_200, 2048, 3)
    assert "".join(solid) == "😀" * 1_200
    cut = split("水" * 5_000, 2048, 3)
    assert len(cut) == 3
    assert cut[-1].endswith("…")
    assert max(len(part.encode()) for part in cut) <= 2048
    assert split(" \n ", 2048, 3) == []


async def test_an_uncertain_part_makes_the_whole_uncertain(account: OfficialAccount, api: Api) -> None:
    api.script = [None, Uncertain("hung")]
    with pytest.raises(Uncertain):
        await account.send(out("水" * 1_500), "c1")
    assert len(api.letters) == 2


async def test_the_next_try_goes_on_with_the_part_that_failed(account: OfficialAccount, api: Api) -> None:
    api.script = [None, SendFailed("busy", after=60)]
    text = "".join(f"{n}号楼停水了。" for n in range(200))
    with pytest.raises(SendFailed) as raised:
        await account.send(out(text), "c1")
    await account.send(out(text, parts=raised.value.parts), "c1")
    first, failed, again, *more = contents(api)
    assert failed == again
    assert "".join([first, again, *more]) == text
    assert rest(out(text, parts=1), TEXT_BYTES).text == "".join([again, *more])


@pytest.mark.parametrize("error", [ApiError(48002, "refuses", final=True), SendFailed("busy"), Uncertain("hung")])
async def test_failures_reach_the_sender_as_they_are(account: OfficialAccount, api: Api, error: Exception) -> None:
    api.script = [error]
    with pytest.raises(type(error)) as raised:
        await account.send(out(), "c1")
    assert raised.value is error


@pytest.mark.parametrize("code", [45015, 45047])
async def test_a_window_that_is_over_waits_for_her_and_an_alert_goes_on(
    account: OfficialAccount, api: Api, code: int
) -> None:
    for purpose in Purpose:
        api.script = [ApiError(code, f"errcode {code}")]
        with pytest.raises(NotNow, match=str(code)) as closed:
            await account.send(out(purpose=purpose), "c1")
        assert (closed.value.final, closed.value.after) == (purpose == Purpose.ALERT, 6 * 3600)


async def test_an_empty_message_is_final(account: OfficialAccount, api: Api) -> None:
    with pytest.raises(SendFailed) as failure:
        await account.send(out(" "), "c1")
    assert (failure.value.final, api.letters) == (True, [])
