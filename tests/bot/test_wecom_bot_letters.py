"""What the platform writes to the AI bot, and what becomes of it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bot.channels.security import Refused
from bot.channels.wecom_bot.letters import Letter, What, quoting, read, without_bot
from models.message import Incoming, Kind

NOW = datetime(2026, 3, 2, 0, 0, 30, tzinfo=UTC)
URL = "https://ww-aibot-img-1.cos.ap-guangzhou.myqcloud.com/x?sign=1"


def body(kind: str = "text", *, group: bool = True, **more: Any) -> dict[str, Any]:
    """A letter as page 100719 has it."""
    head = {"msgid": "CAIQ16HMjQYY/NGagIOAgAMgq4KM0AI=", "aibotid": "BOT", "from": {"userid": "u05", "corpid": "c"}}
    where = {"chatid": "wr1", "chattype": "group"} if group else {"chattype": "single"}
    return head | where | {"msgtype": kind, kind: {}} | more


def event(kind: str, **inside: Any) -> dict[str, Any]:
    told = {"eventtype": kind} | ({kind: inside} if inside else {})
    return body("event", group=False, create_time=1_772_409_600, event=told)


def heard(letter: dict[str, Any], name: str = "") -> Letter:
    return read(letter, bot_id="BOT", now=NOW, name=name)


def kept(letter: dict[str, Any], name: str = "") -> Incoming:
    found = heard(letter, name).incoming
    assert found is not None
    return found


def test_words_in_a_group() -> None:
    letter = heard(body(text={"content": "@RobotA 3幢灯坏了"}, response_url="https://x/?response_code=s"))
    assert (letter.what, letter.chat, letter.sender, letter.direct) == (What.MESSAGE, "wr1", "u05", False)
    message = kept(body(text={"content": "@RobotA 3幢灯坏了"}, response_url="https://x/?response_code=s"))
    assert (message.text, message.mentions, message.direct, message.kind) == ("3幢灯坏了", ("bot",), False, Kind.TEXT)
    assert (message.conversation, message.sent_at) == ("wecom_bot:wr1", NOW)
    assert message.platform == {"response_url": "https://x/?response_code=s"}
    assert "response_code" not in repr(letter).partition("incoming=")[0]


def test_words_in_a_direct_chat_are_left_as_they_are() -> None:
    message = kept(body(group=False, text={"content": "@张三 说灯坏了"}))
    assert (message.chat, message.direct, message.mentions, message.text) == ("u05", True, (), "@张三 说灯坏了")


@pytest.mark.parametrize(
    ("text", "name", "left"),
    [
        ("@邻声 灯坏了", "", "灯坏了"),
        ("@邻声\u2005灯坏了", "", "灯坏了"),
        ("@张三 @邻声 灯坏了", "邻声", "@张三 灯坏了"),
        ("灯坏了 @邻声", "邻声", "灯坏了"),
        ("@邻声灯坏了", "邻声", "灯坏了"),
        ("灯坏了", "", "灯坏了"),
        ("@邻声", "", "@邻声"),
        ("@a.b 灯坏了", "a.b", "灯坏了"),
    ],
)
def test_the_bots_name_is_no_part_of_the_words(text: str, name: str, left: str) -> None:
    assert without_bot(text, name) == left


def test_a_picture_with_words() -> None:
    items = [
        {"msgtype": "text", "text": {"content": "@RobotA 就是这里"}},
        {"msgtype": "image", "image": {"url": URL, "aeskey": "k1"}},
        {"msgtype": "image", "image": {"url": URL + "2"}},
        {"msgtype": "text", "text": {"content": "快来"}},
        {"msgtype": "of_next_year"},
    ]
    message = kept(body("mixed", mixed={"msg_item": items}))
    assert (message.kind, message.text) == (Kind.TEXT, "就是这里\n快来")
    assert [media.platform_id[-2:] for media in message.media] == ["#0", "#1"]
    assert [(media.url, media.key) for media in message.media] == [(URL, "k1"), (URL + "2", "")]


def test_pictures_alone() -> None:
    assert kept(body("mixed", mixed={"msg_item": [{"msgtype": "image", "image": {"url": URL}}]})).kind == Kind.IMAGE
    assert kept(body("image", group=False, image={"url": URL})).kind == Kind.IMAGE


def test_voice_file_and_video() -> None:
    voice = kept(body("voice", group=False, voice={"content": "水管漏了"}))
    assert (voice.kind, voice.text) == (Kind.VOICE, "水管漏了")
    file = kept(body("file", group=False, file={"url": URL, "filename": "清单.pdf"}))
    assert (file.kind, file.media[0].name) == (Kind.FILE, "清单.pdf")
    assert kept(body("video", group=False, video={"url": URL})).kind == Kind.VIDEO


def test_quotes() -> None:
    quoted = heard(body(text={"content": "@B 处理一下"}, quote={"msgtype": "text", "text": {"content": "灯坏了"}}))
    assert quoted.quoted == "灯坏了"
    assert quoted.incoming is not None
    assert quoting(quoted.incoming, quoted.quoted).words == "处理一下\n灯坏了"
    picture = kept(body(text={"content": "@B 看"}, quote={"msgtype": "image", "image": {"url": URL, "aeskey": "k"}}))
    assert [(media.url, media.key) for media in picture.media] == [(URL, "k")]
    assert heard(body(text={"content": "@B 看"}, quote={"msgtype": "of_next_year"})).quoted == ""


def test_a_click() -> None:
    chosen = {"selected_item": [{"question_key": "cause", "option_ids": {"option_id": ["a", "b"]}}]}
    letter = heard(event(
        "template_card_event", card_type="button_interaction", event_key="accept:42", task_id="T42-x",
        selected_items=chosen,
    ))  # fmt: skip
    assert (letter.what, letter.card) == (What.CLICK, "T42-x")
    assert letter.incoming is not None
    message = letter.incoming
    assert (message.kind, message.action, message.sent_at.timestamp()) == (Kind.CARD, "accept:42", 1_772_409_600)
    assert message.platform == {"selected:cause": "a,b"}


def test_opinions() -> None:
    said = heard(event("feedback_event", id="f", type=2, content=" 没人来 ", inaccurate_reason_list=[2, 4]))
    assert (said.what, said.opinion) == (What.FEEDBACK, "inaccurate")
    assert said.incoming is not None
    assert said.incoming.text == "没人来"
    assert (said.answer, said.reasons) == ("f", (2, 4))
    odd = heard(event("feedback_event", id="f", type=2, inaccurate_reason_list=["2", 9, None, {}]))
    assert (odd.opinion, odd.reasons) == ("inaccurate", ())
    silent = heard(event("feedback_event", id="f", type=1))
    assert (silent.opinion, silent.incoming) == ("accurate", None)
    assert heard(event("feedback_event", id="f", type=9)).opinion == "unknown"


def test_events_that_are_no_messages() -> None:
    assert heard(event("enter_chat")).what == What.ENTER
    assert heard(event("disconnected_event")).what == What.KICKED
    for kind in ("of_next_year", "message", "stream"):
        letter = heard(event(kind))
        assert (letter.what, letter.incoming) == (What.OTHER, None)
    unknown = heard(body("of_next_year"))
    assert (unknown.what, unknown.incoming, unknown.unread) == (What.OTHER, None, "of_next_year")
    poll = heard(body("stream", stream={"id": "s1"}))
    assert (poll.what, poll.stream) == (What.POLL, "s1")


def test_a_kind_that_nobody_knows_is_a_message_without_words_in_a_direct_chat() -> None:
    letter = heard(body("of_next_year", group=False))
    assert (letter.what, letter.unread) == (What.MESSAGE, "of_next_year")
    assert letter.incoming is not None
    assert (letter.incoming.text, letter.incoming.kind, letter.incoming.direct) == ("", Kind.TEXT, True)


@pytest.mark.parametrize(("ours", "taken"), [("", True), ("c", True), ("another", False)])
def test_whoever_is_of_another_corporation_is_refused(ours: str, taken: bool) -> None:
    """Her userid may be that of one of ours."""
    letter = body(text={"content": "@B 灯坏了"})
    if taken:
        assert read(letter, bot_id="BOT", now=NOW, corp_id=ours).sender == "u05"
    else:
        with pytest.raises(Refused, match="receiver"):
            read(letter, bot_id="BOT", now=NOW, corp_id=ours)
    del letter["from"]["corpid"]  # as the platform leaves it out
    assert read(letter, bot_id="BOT", now=NOW, corp_id=ours).sender == "u05"


def test_half_a_character_does_not_spoil_the_commit() -> None:
    kept(body(text={"content": "@B 灯\ud83d坏了"})).text.encode()


@pytest.mark.parametrize(
    ("letter", "why"),
    [
        (body() | {"aibotid": "ANOTHER"}, "receiver"),
        (body() | {"aibotid": None}, "receiver"),
        (body() | {"msgid": "x" * 129}, "malformed"),
        (body() | {"msgid": ""}, "malformed"),
        (body() | {"from": {}}, "malformed"),
        (body() | {"from": "u05"}, "malformed"),
        (body() | {"chatid": None}, "malformed"),
        (body() | {"text": None}, "malformed"),
        (body() | {"text": {"content": 5}}, "malformed"),
        (body("mixed", mixed={"msg_item": {}}), "malformed"),
        (body("mixed", mixed={"msg_item": ["x"]}), "malformed"),
        (body("image", image={"url": []}), "malformed"),
        (event("template_card_event", event_key="", task_id="t"), "malformed"),
        (event("template_card_event", event_key="k" * 1_025, task_id="t"), "malformed"),
        (event("enter_chat") | {"create_time": "soon"}, "malformed"),
        (event("enter_chat") | {"create_time": 10**30}, "malformed"),
        (event("enter_chat") | {"event": []}, "malformed"),
        ({}, "receiver"),
    ],
)
def test_what_is_not_of_this_shape_is_refused(letter: dict[str, Any], why: str) -> None:
    with pytest.raises(Refused) as refused:
        heard(letter)
    assert refused.value.why == why


def test_a_list_is_no_letter() -> None:
    with pytest.raises(Refused):
        read([], bot_id="BOT", now=NOW)
