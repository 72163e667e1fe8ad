"""The client of an account's corporation, and the addresses behind QR codes (获取客服帐号链接, 企业微信 94665)."""

from urllib.parse import quote

from bot.channels.api import ApiClient
from bot.channels.credentials import Credential, gettoken
from config.wecom_kf import WecomKfSettings
from models.base import Clock, utc_now
from models.database import Database

SCENE = "code"  # the platform's own word for where an address is used: letters and digits, at most 32


def credential(settings: WecomKfSettings) -> Credential:
    """Raises ValueError naming the settings that are missing."""
    if settings.missing or not (settings.corp_id and settings.secret):
        raise ValueError(f"wecom_kf: not set: {', '.join(settings.missing)}")
    return gettoken(settings.corp_id, settings.secret.get_secret_value())


def client(settings: WecomKfSettings, db: Database, clock: Clock = utc_now) -> ApiClient:
    """Not started yet. Raises ValueError."""
    return ApiClient(settings.api_base, credential(settings), db=db, clock=clock)


async def link(api: ApiClient, account: str, scene: str) -> str:
    """The address for a QR code in a stairway: it opens the chat, and says where the code hangs. scene: signed.

    Raises SendFailed, Uncertain.
    """
    answer = await api.call("/cgi-bin/kf/add_contact_way", {"open_kfid": account, "scene": SCENE})
    # `&` as the page says: the address has a query of its own.
    return f"{answer.get('url', '')}&scene_param={quote(scene, safe='')}"
