"""Access tokens of both platforms. Sources: 企业微信 91039 gettoken; 公众号 stable_token, token."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.platform.clock import Timepiece
from bot.platform.codes import PlatformError
from bot.platform.crypto import random_word

LIFE = timedelta(seconds=7200)
OVERLAP = timedelta(minutes=5)  # so long the token before a refreshed one stays good
FORCED_A_DAY = 20
FORCED_APART = timedelta(seconds=30)
LENGTH = 214  # 企业微信 asks for room for 512


@dataclass
class _Token:
    account: str
    until: datetime
    revoked: bool = False


class Tokens:
    """All tokens that were given out. accounts: name of the account by credential (id, secret)."""

    def __init__(self, clock: Timepiece) -> None:
        self._clock = clock
        self._accounts: dict[tuple[str, str], str] = {}
        self._tokens: dict[str, _Token] = {}
        self._current: dict[tuple[str, str], str] = {}
        self._forced: dict[str, list[datetime]] = {}
        self.issued = 0

    def add(self, account: str, key: str, secret: str) -> None:
        """An account that may fetch tokens. account: its name, of which `wechat…` are Official Accounts."""
        self._accounts[key, secret] = account

    def account(self, key: str, secret: str) -> str:
        """Whose credential it is. Raises PlatformError 40013 or 40125."""
        if all(known != key for known, _ in self._accounts):
            raise PlatformError(40013)
        found = self._accounts.get((key, secret))
        if found is None:
            raise PlatformError(40125)
        return found

    def give(self, account: str, kind: str = "gettoken", *, force: bool = False) -> tuple[str, int]:
        """The token, the same one while it is good, and the seconds it has left. kind: tokens of two ways of asking
        are apart. Raises PlatformError 45009 for a refresh forced too often."""
        now = self._clock()
        slot = (account, kind)
        if force:
            self._count_forced(account, now)
        held = self._tokens.get(self._current.get(slot, ""))
        early = OVERLAP if kind == "stable" else timedelta()
        if held is None or held.revoked or force or kind == "token" or now >= held.until - early:
            if held is not None:  # what 公众号 gave out before stays good for five minutes
                held.until = min(held.until, now + OVERLAP)
            self.issued += 1
            value = random_word(LENGTH)
            held = self._tokens[value] = _Token(account, now + LIFE)
            self._current[slot] = value
        return self._current[slot], int((held.until - now).total_seconds())

    def check(self, value: str) -> str:
        """Whose token it is. Raises PlatformError 41001, 40014 or 40001, 42001."""
        if not value:
            raise PlatformError(41001)
        token = self._tokens.get(value)
        if token is None:
            raise PlatformError(40014)
        if token.revoked:
            raise PlatformError(40001 if token.account.startswith("wechat") else 40014)
        if self._clock() >= token.until:
            raise PlatformError(42001)
        return token.account

    def revoke(self) -> None:
        """All tokens die at once, long before their time."""
        for token in self._tokens.values():
            token.revoked = True

    def mask(self, text: str) -> str:
        """The text without any token or secret of ours."""
        for value in (*self._tokens, *(secret for _, secret in self._accounts)):
            text = text.replace(value, "***")
        return text

    def _count_forced(self, account: str, now: datetime) -> None:
        recent = [at for at in self._forced.get(account, []) if now - at < timedelta(days=1)]
        if len(recent) >= FORCED_A_DAY or (recent and now - recent[-1] < FORCED_APART):
            raise PlatformError(45009)
        self._forced[account] = [*recent, now]
