"""The client of an account's corporation, which accounts it may answer for (获取客服账号列表, 企业微信 94661), and the
addresses behind QR codes (获取客服账号链接, 94665)."""

from functools import partial
from urllib.parse import quote

from bot.channels import proofs
from bot.channels.api import ApiClient
from bot.channels.base import Proof
from bot.channels.credentials import Credential, gettoken
from config.wecom_kf import WecomKfSettings
from models.base import Clock, utc_now
from models.database import Database

PAGE, PAGES = 100, 20  # 客服账号 of one answer; a corporation has 2,000 at most
SCENE = "code"  # the platform's own word for where an address is used: letters and digits, at most 32


def credential(settings: WecomKfSettings) -> Credential:
    """Raises ValueError naming the settings that are missing."""
    if settings.missing or not (settings.corp_id and settings.secret):
        raise ValueError(f"wecom_kf: not set: {', '.join(settings.missing)}")
    return gettoken(settings.corp_id, settings.secret.get_secret_value())


def client(settings: WecomKfSettings, db: Database, clock: Clock = utc_now) -> ApiClient:
    """Not started yet. Raises ValueError."""
    return ApiClient(settings.api_base, credential(settings), db=db, clock=clock)


async def managed(settings: WecomKfSettings, clock: Clock) -> Proof:
    """Whether this Secret may answer for each of the accounts, for `linsheng doctor --channel`."""
    ask = partial(proofs.asked, settings.api_base, credential(settings), clock, "/cgi-bin/kf/account/list")
    ours: set[str] = set()
    for page in range(PAGES):
        found = await ask(body={"offset": page * PAGE, "limit": PAGE}, check="accounts")
        if isinstance(found, Proof):
            return found
        rows = found.get("account_list") or []
        ours |= {str(row.get("open_kfid")) for row in rows if row.get("manage_privilege", True)}
        if len(rows) < PAGE:
            break
    if missing := [one for one in settings.accounts if one not in ours]:
        todo = "look at LINSHENG_WECOM_KF__ACCOUNTS, and at 可调用接口的应用 → 通过API管理微信客服账号"
        return Proof("accounts", proofs.FAIL, f"this Secret may not answer for {', '.join(missing)}: {todo}.")
    return Proof("accounts", proofs.OK, f"may answer for {len(settings.accounts)} of the {len(ours)} that it has")


async def link(api: ApiClient, account: str, scene: str) -> str:
    """The address for a QR code in a stairway: it opens the chat, and says where the code hangs. scene: signed.

    Raises SendFailed, Uncertain.
    """
    answer = await api.call("/cgi-bin/kf/add_contact_way", {"open_kfid": account, "scene": SCENE})
    # `&` as the page says: the address has a query of its own.
    return f"{answer.get('url', '')}&scene_param={quote(scene, safe='')}"
