"""An account whose callbacks are encrypted XML: 公众号 in safe mode, a self-built app, 微信客服."""

import secrets

from bot.platform.crypto import BadEnvelope, Sealer, random_word, signature
from bot.platform.letters import BadLetter, Bare, Fields, read, write
from bot.platform.push import Push
from bot.platform.shared import Shared

VERIFY_SECONDS = 5.0


class XmlAccount:
    """receiver: corp id or app id. me: what stands in ToUserName outside. callback: the address, "" for none.

    official: 公众号; its handshake is not encrypted, and its query has openid, encrypt_type and a plain signature.
    """

    def __init__(
        self, shared: Shared, what: str, receiver: str, me: str, *, official: bool, agent: int | None = None
    ) -> None:
        """what: the account among the names."""
        self.token = shared.names.word(f"{what}.token", 24)
        self.aes_key = shared.names.key(what)
        self.secret = shared.names.word(f"{what}.secret", 43)
        self.callback = ""
        self.clock, self.world, self.media = shared.clock, shared.world, shared.media
        self._shared = shared
        self._receiver = receiver
        self._me = me
        self._official = official
        self._agent = agent

    @property
    def seconds(self) -> int:
        """Now, as letters say it."""
        return int(self.clock().timestamp())

    async def verify(self) -> bool:
        """The address check on the admin's page: the very echostr must come back."""
        echo, stamp, nonce = random_word(20), str(self.seconds), random_word(10)
        if self._official:
            query = {"signature": signature(self.token, stamp, nonce), "echostr": echo}
        else:
            sealed = self._sealer().seal(echo)
            query = {"msg_signature": self._sealer().sign(stamp, nonce, sealed), "echostr": sealed}
        query |= {"timestamp": stamp, "nonce": nonce}
        push = await self._shared.pusher.get(self.callback, query, VERIFY_SECONDS)
        return push.taken and push.body == echo

    async def tell(self, user: str, fields: Fields) -> tuple[Push | None, Fields]:
        """Deliver a letter; returns the push (None without an address) and what the app answered at once."""
        if not self.callback:
            return None, {}
        sealer, stamp, nonce = self._sealer(), str(self.seconds), random_word(10)
        sealed = sealer.seal(write(fields))
        query = {"msg_signature": sealer.sign(stamp, nonce, sealed), "timestamp": stamp, "nonce": nonce}
        body: Fields = {"ToUserName": self._me}
        if self._official:
            query |= {"signature": signature(self.token, stamp, nonce), "openid": user, "encrypt_type": "aes"}
        elif self._agent is not None:
            body["AgentID"] = str(self._agent)
        data = write(body | {"Encrypt": sealed}).encode()
        push = await self._shared.pusher.post(self.callback, query, data, content_type="text/xml")
        return push, self._answer(push)

    def complain(self, about: str) -> None:
        """Note an answer that cannot be used."""
        self._shared.complaints.append(about)

    def letter(self, user: str, kind: str, fields: Fields) -> Fields:
        """A letter as the app gets it."""
        head = {"ToUserName": self._me, "FromUserName": user, "CreateTime": self.seconds, "MsgType": kind}
        return head | fields

    def _answer(self, push: Push) -> Fields:
        if not push.taken or push.body.strip() in ("", "success"):
            return {}
        try:
            outer = read(push.body)
            if "Encrypt" not in outer:
                raise BadEnvelope("it is not encrypted")
            inner = self._sealer().open(
                outer["Encrypt"], outer.get("MsgSignature", ""), outer.get("TimeStamp", ""), outer.get("Nonce", "")
            )
            return read(inner)
        except (BadEnvelope, BadLetter, TypeError) as error:
            self.complain(f"{self._me}: the answer cannot be read: {error}")
            return {}

    def _sealer(self) -> Sealer:
        return Sealer(self.token, self.aes_key, self._receiver)


def message_id() -> Bare:
    """A MsgId: 63 bits, as a number."""
    return Bare(str(secrets.randbits(62) | 1 << 62))
