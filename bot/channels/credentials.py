"""How an account proves itself to its platform: where its token is fetched, and in which part of a query it goes.

Source: 获取稳定版接口调用凭据 (公众号), 91039 获取access_token (企业微信), 91770 消息推送配置说明.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Credential:
    """name: of the account, for the shared row; it holds no secret. path: where a token is fetched, "" for none.

    body: what is posted there; None: it is a GET with `params`. forces: the platform can be told to make a new token.
    query: the parameter that carries the token in every call, "" for none. fixed: what never needs fetching.
    """

    name: str
    secret: str = field(repr=False)
    path: str = ""
    body: Mapping[str, object] | None = field(default=None, repr=False)
    params: Mapping[str, str] | None = field(default=None, repr=False)
    forces: bool = False
    query: str = "access_token"
    fixed: str | None = field(default=None, repr=False)


def stable_token(app_id: str, secret: str) -> Credential:
    """An Official Account's. It does not kill other holders' tokens as `cgi-bin/token` does."""
    body = {"grant_type": "client_credential", "appid": app_id, "secret": secret}
    return Credential(f"stable_token:{app_id}", secret, "/cgi-bin/stable_token", body=body, forces=True)


def gettoken(corp_id: str, secret: str) -> Credential:
    """One app of a WeCom corporation; asked again before its end, the platform gives the same token."""
    which = hashlib.sha256(secret.encode()).hexdigest()[:12]  # a corporation has one token for each app's secret
    params = {"corpid": corp_id, "corpsecret": secret}
    return Credential(f"gettoken:{corp_id}:{which}", secret, "/cgi-bin/gettoken", params=params)


def robot_key(key: str) -> Credential:
    """A group robot (群机器人): its key is all there is, in every call."""
    return Credential("robot", key, query="key", fixed=key)
