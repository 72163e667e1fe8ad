"""What a record of the message archive says."""

from datetime import timedelta
from typing import Any

import pytest

from bot.channels.archive import NAME
from bot.channels.archive.records import read
from bot.channels.security import Refused
from models.message import Kind, Media
from tests.bot.archived import MS, ROOM, record
from tests.conftest import START


def test_a_text() -> None:
    message = read(record())
    assert message is not None
    assert (message.id, message.channel, message.chat, message.sender) == ("CAQQ1_external", NAME, ROOM, "wm-chunya")
    assert (message.text, message.kind, message.direct, message.to_bot) == ("3栋楼道灯坏了", Kind.TEXT, False, False)
    assert message.sent_at == START + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("image", {"sdkfileid": "f" * 900, "md5sum": "x"}, {"kind": Kind.IMAGE, "media": (Media(),)}),
        ("voice", {"sdkfileid": "f", "play_length": 3}, {"kind": Kind.VOICE}),
        ("video", {"sdkfileid": "f"}, {"kind": Kind.VIDEO}),
        ("file", {"sdkfileid": "f", "filename": "a.pdf"}, {"kind": Kind.FILE}),
        ("link", {"title": "停水通知", "description": "", "link_url": "https://a"}, {"text": "停水通知\nhttps://a"}),
        ("location", {"longitude": 121.4737, "latitude": 31.2304, "title": "南区", "address": "1号"},
         {"kind": Kind.LOCATION, "label": "南区 1号"}),
        ("mixed", {"item": [{"type": "text", "content": '{"content":"灯坏了"}'}, {"type": "image", "content": "{}"}]},
         {"text": "灯坏了", "kind": Kind.TEXT}),
        ("chatrecord",
         {"title": "群聊", "item": [
             {"type": "ChatRecordText", "msgtime": 1772409600, "content": '{"content":"楼上漏水"}'},
             {"type": "ChatRecordImage", "msgtime": 1772409600, "content": "{}"}]},
         {"kind": Kind.CARD, "words": "楼上漏水"}),
    ],
)  # fmt: skip
def test_other_kinds(kind: str, body: dict[str, Any], expected: dict[str, Any]) -> None:
    message = read(record() | {"msgtype": kind, kind: body})
    assert message is not None
    assert {name: getattr(message, name) for name in expected} == expected


def test_a_recall() -> None:
    message = read(record(2, action="recall", msgtype="revoke", revoke={"pre_msgid": "CAQQ1_external"}))
    assert message is not None
    assert (message.kind, message.recalls, message.sender) == (Kind.RECALL, "CAQQ1_external", "wm-chunya")


@pytest.mark.parametrize(
    "told",
    [
        record(roomid=""),
        {"msgid": "1", "action": "switch", "time": MS, "user": "x"},
        record() | {"from": "wbRobot"},
        record(text=" "),
        record(msgtype="agree", agree={"userid": "x"}),
        record(msgtype="emotion", emotion={"type": 1}),
    ],
)
def test_what_is_none_of_our_business(told: dict[str, Any]) -> None:
    assert read(told) is None


@pytest.mark.parametrize(
    "told",
    [
        record(msgtime="soon"),
        record(msgtime=10**18),
        record(msgid=""),
        record(msgid="x" * 129),
        record() | {"from": ""},
        record(msgtype="location", location={"longitude": "east"}),
        record(msgtype="chatrecord", chatrecord={"item": [{"type": "ChatRecordText", "content": "{"}]}),
        record(action="recall", msgtype="revoke", revoke={}),
        {"roomid": ROOM},
        [],
        7,
    ],
)
def test_what_is_malformed(told: Any) -> None:
    with pytest.raises(Refused):
        read(told)
