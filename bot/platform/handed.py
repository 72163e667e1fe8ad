"""What goes into the bot's environment so that it talks to this platform."""

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.platform.server import Platform

PREFIX = "LINSHENG_"
# Where a bot's web application listens for each account, and the way to the account.
CALLBACKS = {"wecom_bot": "bot", "wechat_mp": "mp", "wecom_app": "app", "wecom_kf": "kf", "onebot": "qq"}


def callback(bot: str, channel: str) -> str:
    """That address. bot: of the web application, http://…"""
    return f"ws{bot.removeprefix('http')}/onebot/v11/ws" if channel == "onebot" else f"{bot}/callback/{channel}"


def environment(p: "Platform") -> dict[str, str]:
    """Settings of the channels, as environment variables. The bot dials in; the webhook mode is a switch away."""
    values = {
        "WECHAT_MP__APP_ID": p.mp.app_id,
        "WECHAT_MP__APP_SECRET": p.mp.secret,
        "WECHAT_MP__TOKEN": p.mp.token,
        "WECHAT_MP__AES_KEY": p.mp.aes_key,
        "WECHAT_MP__API_BASE": p.base,
        "WECOM_BOT__BOT_ID": p.bot.id,
        "WECOM_BOT__SECRET": p.bot.secret,
        "WECOM_BOT__TOKEN": p.bot.token,
        "WECOM_BOT__AES_KEY": p.bot.aes_key,
        "WECOM_BOT__NAME": p.bot.name,
        "WECOM_BOT__WS_URL": p.ws_url,
        "WECOM_BOT__RESPONSE_URL": f"{p.base}/cgi-bin/aibot/response",
        "WECOM_BOT__MEDIA_HOSTS": json.dumps([p.base]),
        "WECOM_APP__CORP_ID": p.app.corp_id,
        "WECOM_APP__AGENT_ID": str(p.app.agent_id),
        "WECOM_APP__SECRET": p.app.secret,
        "WECOM_APP__TOKEN": p.app.token,
        "WECOM_APP__AES_KEY": p.app.aes_key,
        "WECOM_APP__API_BASE": p.base,
        "WECOM_KF__CORP_ID": p.app.corp_id,
        "WECOM_KF__SECRET": p.kf.secret,
        "WECOM_KF__TOKEN": p.kf.token,
        "WECOM_KF__AES_KEY": p.kf.aes_key,
        "WECOM_KF__ACCOUNTS": json.dumps([p.kf.open_kfid]),
        "WECOM_KF__API_BASE": p.base,
        "RESIDENT_REPORT__CORP_ID": p.app.corp_id,
        "RESIDENT_REPORT__SECRET": p.report.secret,
        "RESIDENT_REPORT__API_BASE": p.base,
        "RESIDENT_REPORT__MEDIA_HOSTS": json.dumps([p.base]),
        "RESIDENT_REPORT__POLL_SECONDS": "5",  # a player does not wait for a minute
        "GROUP_ROBOT__KEYS": json.dumps({"duty": p.robot.url.rpartition("=")[2]}),
        "GROUP_ROBOT__API_BASE": p.base,
        "ONEBOT__TOKEN": p.qq.token,
        "ONEBOT__ACCOUNT": str(p.qq.account),
        "ONEBOT__MEDIA_HOSTS": json.dumps([p.base]),
        "ARCHIVE__ON": "true",
        "ARCHIVE__ANSWERS": "notice",
        "ARCHIVE__CORP_ID": p.app.corp_id,
        "ARCHIVE__SECRET": p.notices.secret,
        "ARCHIVE__OWNERS": json.dumps({p.notices.chat: p.notices.owner}),
        "ARCHIVE__API_BASE": p.base,
    }
    if p.archive.folder is not None:
        values["ARCHIVE__FOLDER"] = str(p.archive.folder)
    return {f"{PREFIX}{name}": value for name, value in values.items()}


def facts(p: "Platform") -> dict[str, dict[str, str]]:
    """What an admin's page would show of each account."""
    corp = {"corp_id": p.app.corp_id}
    groups = {f"chatid {group.name}": group.id for group in p.world.groups.values() if group.channel == "wecom_bot"}
    return {
        "wecom_bot": {"bot_id": p.bot.id, "secret": p.bot.secret, "token": p.bot.token, "aes_key": p.bot.aes_key}
        | groups,
        "wechat_mp": {"app_id": p.mp.app_id, "secret": p.mp.secret, "token": p.mp.token, "aes_key": p.mp.aes_key},
        "wecom_app": corp
        | {"agent_id": str(p.app.agent_id), "secret": p.app.secret, "token": p.app.token, "aes_key": p.app.aes_key},
        "wecom_kf": corp
        | {"open_kfid": p.kf.open_kfid, "secret": p.kf.secret, "token": p.kf.token, "aes_key": p.kf.aes_key},
        "resident_report": corp | {"secret": p.report.secret},
        "group_robot": {"url": p.robot.url},
        "onebot": {"account": str(p.qq.account), "token": p.qq.token, "group": p.qq.chat},
        "archive": corp | {"secret": p.notices.secret, "roomid": p.notices.chat, "owner": p.notices.owner},
    }
