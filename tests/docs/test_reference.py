"""Every setting and every metric stands in the docs, and none of them that is not there any more."""

import re
from importlib import import_module
from pkgutil import walk_packages

from prometheus_client import REGISTRY

import bot
from tests.docs.test_deploy import OUTSIDE, ROOT, settings_there_are

PAGES = sorted((ROOT / "docs").rglob("*.md"))
# `LINSHENG_RASA__URL`, `__TOKEN`: a name that begins with __ goes on from the part of the one before it.
NAMED = re.compile(r"`(?:LINSHENG_([A-Z]+(?:_[A-Z]+)*)(?:__([A-Z]+(?:_[A-Z]+)*))?|__([A-Z]+(?:_[A-Z]+)*))(?:=[^`]*)?`")
METRIC = re.compile(r"\blinsheng_[a-z]+(?:_[a-z]+)*\b")
EXAMPLE = "LINSHENG_HOOK"  # the channel that docs/add-a-channel.md writes


def settings_named() -> set[str]:
    found = set()
    for page in PAGES:
        part = ""
        for first, rest, further in NAMED.findall(page.read_text(encoding="utf-8")):
            part = first or part
            found.add(f"LINSHENG_{part}" + (f"__{rest or further}" if rest or further else ""))
    return found


def metrics_there_are() -> set[str]:
    """Names as /metrics shows them, of all modules of the service."""
    for module in walk_packages(bot.__path__, "bot."):
        if module.name.rpartition(".")[2] in ("figures", "metrics"):
            import_module(module.name)
    ours = [metric for metric in REGISTRY.collect() if metric.name.startswith("linsheng_")]
    return {metric.name + ("_total" if metric.type == "counter" else "") for metric in ours}


def test_every_setting_is_explained() -> None:
    assert settings_there_are() - settings_named() == set()


def test_no_page_names_a_setting_that_is_not_there() -> None:
    parts = {name.partition("__")[0] for name in settings_there_are()}
    strange = settings_named() - settings_there_are() - OUTSIDE - parts
    assert {name for name in strange if not name.startswith(EXAMPLE)} == set()


def test_every_metric_is_explained_and_is_there() -> None:
    named = set(METRIC.findall("\n".join(page.read_text(encoding="utf-8") for page in PAGES)))
    assert metrics_there_are() - named == set()
    assert named - metrics_there_are() == set()
