"""Secrets as files: what surrounds them is no part of them, and what is shown to all is told; so is a wrong name."""

from pathlib import Path

import pytest

from bot.doctor import WARN, examine
from config.names import unknown
from config.settings import Settings, load_settings

SECRET = "characters-" * 3


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    made = tmp_path / "secrets"
    made.mkdir(mode=0o755)
    monkeypatch.setenv("LINSHENG_SECRETS_DIR", str(made))
    monkeypatch.setenv("LINSHENG_HOME", str(tmp_path / "home"))
    return made


def said(check: str) -> list[str]:
    return [one.said for one in examine() if (one.check, one.state) == (check, WARN)]


@pytest.mark.parametrize("around", ["{}", "{}\n", "\ufeff{}\r\n"])
def test_an_editors_mark_is_no_part_of_a_secret(folder: Path, around: str) -> None:
    (folder / "secret_key").write_text(around.format(SECRET), encoding="utf-8")
    key = load_settings().secret_key
    assert key is not None
    assert key.get_secret_value() == SECRET


def test_a_secret_that_everybody_may_read_is_told(folder: Path) -> None:
    file = folder / "secret_key"
    file.write_text(SECRET, encoding="utf-8")
    file.chmod(0o644)
    (told,) = said("secret files")
    assert ("secret_key" in told, SECRET in told) == (True, False)
    file.chmod(0o640)
    assert said("secret files") == []
    file.chmod(0o644)
    folder.chmod(0o750)
    assert said("secret files") == []


def test_a_name_that_is_none_of_ours_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINSHENG_WECOM_APP__SECERT", SECRET)
    (folder / "wechat_mp__tokn").write_text(SECRET, encoding="utf-8")
    (file,) = [one for one in said("names") if "file" in one]
    assert ("wechat_mp__tokn" in file, "mean wechat_mp__token?" in file) == (True, True)
    (variable,) = [one for one in said("names") if "SECERT" in one]
    assert ("mean LINSHENG_WECOM_APP__SECRET?" in variable, SECRET in file + variable) == (True, False)


@pytest.mark.parametrize(
    "name",
    [
        "LINSHENG_WORKER", "LINSHENG_WORKER__BATCH", "linsheng_home", "LINSHENG_GROUP_ROBOT__KEYS__DUTY", "HOME",
        "LINSHENG_SECRETS_DIR", "LINSHENG_CONFIG",
    ],
)  # fmt: skip
def test_names_that_there_are(name: str) -> None:
    assert unknown(Settings, [name]) == {}
