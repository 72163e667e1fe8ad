# mypy: ignore-errors
"""A bot on nonebot2, run by the Python of tests/platform/environment: `nonebot_app.py PORT TOKEN`."""

import json
import sys

import nonebot
from loguru import logger
from nonebot.adapters.onebot.v11 import ActionFailed, Adapter, Bot, GroupRecallNoticeEvent, MessageEvent, MetaEvent

logger.remove()
nonebot.init(
    driver="~fastapi", host="127.0.0.1", port=int(sys.argv[1]), onebot_access_token=sys.argv[2], log_level="CRITICAL",
    fastapi_reload=False,
)  # fmt: skip
nonebot.get_driver().register_adapter(Adapter)


def tell(event: str, **more: object) -> None:
    sys.stdout.write(json.dumps({"event": event, **more}, ensure_ascii=False) + "\n")
    sys.stdout.flush()


@nonebot.on_metaevent().handle()
async def met(event: MetaEvent) -> None:
    tell("meta", kind=event.meta_event_type, account=event.self_id)


@nonebot.on_message().handle()
async def heard(bot: Bot, event: MessageEvent) -> None:
    segments = [[one.type, one.data] for one in event.original_message]
    tell("heard", group=getattr(event, "group_id", None), user=event.user_id, message=event.message_id,
         segments=segments, nickname=event.sender.nickname, to_me=event.to_me)  # fmt: skip
    try:
        tell("sent", answer=await bot.send(event, "收到", reply_message=True))
    except ActionFailed as error:
        tell("failed", retcode=error.info["retcode"])


@nonebot.on_notice().handle()
async def noticed(event: GroupRecallNoticeEvent) -> None:
    tell("notice", kind=event.notice_type, message=event.message_id, operator=event.operator_id)


nonebot.run()
