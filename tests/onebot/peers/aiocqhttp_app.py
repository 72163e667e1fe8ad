# mypy: ignore-errors
"""A bot on aiocqhttp, run by the Python of tests/platform/environment: `aiocqhttp_app.py PORT TOKEN`."""

import json
import logging
import sys

from aiocqhttp import ActionFailed, CQHttp

logging.disable(logging.CRITICAL)
port, token = int(sys.argv[1]), sys.argv[2]
bot = CQHttp(access_token=token, api_timeout_sec=5)


def tell(event: str, **more: object) -> None:
    sys.stdout.write(json.dumps({"event": event, **more}, ensure_ascii=False) + "\n")
    sys.stdout.flush()


@bot.on_meta_event
async def met(event) -> None:
    tell("meta", kind=event.detail_type, account=event.self_id)


@bot.on_message
async def heard(event) -> None:
    segments = [[one["type"], one["data"]] for one in event.message]
    tell("heard", group=event.group_id, user=event.user_id, message=event.message_id, segments=segments,
         nickname=event.sender["nickname"])  # fmt: skip
    try:
        tell("sent", answer=await bot.send(event, f"[CQ:reply,id={event.message_id}]收到", at_sender=False))
    except ActionFailed as error:
        tell("failed", retcode=error.retcode)


@bot.on_notice
async def noticed(event) -> None:
    tell("notice", kind=event.detail_type, message=event.message_id, operator=event.operator_id)


bot.run(host="127.0.0.1", port=port, use_reloader=False)
