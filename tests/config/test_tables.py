"""Which tables count: the deployment's own, wherever its data folder was named."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from config import tables
from config.settings import load_settings
from config.tables import TableError, category_name
from handlers.limits import Limit, limits
from handlers.questions import answer_to
from handlers.texts import say
from nlu.lexicon import lexicon

URGENT = "urgent: {limit: {minutes: %d}}\ntiers: {}\n"


@pytest.fixture(autouse=True)
def nobody_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No data folder but an empty one, before and after."""
    monkeypatch.setenv("LINSHENG_HOME", str(tmp_path / "empty"))
    for name in ("CONFIG", "SECRETS_DIR"):
        monkeypatch.delenv(f"LINSHENG_{name}", raising=False)
    tables.use(tmp_path / "empty")
    tables.use(None)
    yield
    tables.use(tmp_path / "empty")
    tables.use(None)


def home(folder: Path, **files: str) -> Path:
    """A data folder with tables of its own."""
    (folder / "config").mkdir(parents=True)
    for name, text in files.items():
        (folder / "config" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def minutes() -> int:
    return limits().urgent.minutes


def test_the_environment_alone_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINSHENG_HOME", str(home(tmp_path / "a", tiers=URGENT % 7)))
    assert minutes() == 7


def test_the_folder_that_yaml_names_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = home(tmp_path / "own", tiers=URGENT % 9)
    (tmp_path / "linsheng.yaml").write_text(f"home: {own}\n", encoding="utf-8")
    monkeypatch.delenv("LINSHENG_HOME")
    monkeypatch.setenv("LINSHENG_CONFIG", str(tmp_path / "linsheng.yaml"))
    assert minutes() != 9
    assert load_settings().home == own
    assert minutes() == 9


def test_another_folder_makes_every_table_be_read_anew(tmp_path: Path) -> None:
    first = home(
        tmp_path / "first", tiers=URGENT % 5, replies="opened: 一\n", lexicon="urgent: {fire: {words: 火}}\n",
        faq="faq: [{ask: [几点开门], answer: 八点}]\n",
    )  # fmt: skip
    (first / "config" / "categories.csv").write_text(
        "code,parent,name,tier,covers\nfacility,,设施,2,\nfacility.elevator,facility,升降机,2,\n", encoding="utf-8"
    )

    def read() -> tuple[object, ...]:
        said = answer_to("几点开门")
        return minutes(), say("opened", number="", place="", category="", due=""), len(lexicon()["urgent"]), said

    shipped = (*read(), category_name("facility.elevator"))
    tables.use(first)
    assert (*read(), category_name("facility.elevator")) == (5, "一", 1, "八点", "设施/升降机")
    tables.use(tmp_path / "second")
    assert (*read(), category_name("facility.elevator")) == shipped


def test_the_same_folder_again_reads_nothing_anew(tmp_path: Path) -> None:
    own = home(tmp_path / "own", tiers=URGENT % 5)
    tables.use(own)
    read = limits()
    (own / "config" / "tiers.yaml").write_text("tiers: [", encoding="utf-8")
    tables.use(own)
    assert limits() is read
    tables.use(None)
    assert limits().urgent != Limit(minutes=5)
    tables.use(own)
    with pytest.raises(TableError, match=r"tiers\.yaml"):
        limits()


def test_settings_that_are_wrong_change_no_table(tmp_path: Path) -> None:
    tables.use(home(tmp_path / "own", tiers=URGENT % 5))
    with pytest.raises(Exception, match="LOG_LEVEL"):
        load_settings(home=tmp_path / "other", log_level="loud")
    assert minutes() == 5
