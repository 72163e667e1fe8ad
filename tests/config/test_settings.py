"""What a wrong setting says: the name, what is wrong, and never the value."""

import pytest

from config.settings import SettingsError, load_settings

KEY = "an EncodingAESKey has 43 characters"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("WECOM_KF__AES_KEY", "geheim", KEY),
        ("WECOM_APP__AES_KEY", "geheim" + "*" * 37, KEY),  # as long as a key, and none
        ("WECOM_BOT__AES_KEY", "geheim" + "é" * 37, KEY),
        ("WECHAT_MP__AES_KEY", "geheim" + "a" * 38, KEY),
        ("WECOM_KF__ACCOUNTS", "geheim", "must be JSON"),
        ("WECHAT_MP__TEMPLATE_FIELDS", "geheim", "must be JSON"),
        ("ONEBOT__MEDIA_HOSTS", "geheim", "must be JSON"),
        ("WECOM_BOT__WS_URL", "geheim", "must be an address like wss:"),
        ("WECOM_BOT__WS_URL", "https://geheim", "must be an address like wss:"),
        ("WECOM_APP__API_BASE", "geheim", "must be an address like https:"),
        ("PUBLIC_URL", "geheim.example.cn", "must be an address like https:"),
        ("RASA__URL", "ftp://geheim", "must be an address like https:"),
        ("WORKER__BATCH", "geheim", "valid integer"),
        ("TIMEZONE", "Mars", "no time zone"),
    ],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    monkeypatch.setenv(f"LINSHENG_{name}", value)
    with pytest.raises(SettingsError) as told:
        load_settings()
    assert str(told.value).startswith(f"LINSHENG_{name}: ")
    assert says in str(told.value)
    assert "geheim" not in str(told.value)


def test_an_address_loses_its_last_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINSHENG_PUBLIC_URL", "https://example.cn/")
    assert load_settings().public_url == "https://example.cn"
