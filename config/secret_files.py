"""Secrets as files in a folder, one a setting: what an editor put before them, and who else may read them."""

import stat
from collections.abc import Iterator
from pathlib import Path

from pydantic_settings import NestedSecretsSettingsSource

MARK = "\ufeff"  # editors of Windows write it in front of UTF-8


class SecretFiles(NestedSecretsSettingsSource):
    """The files of the folder; no part of a secret is a blank, a line's end or an editor's mark around it."""

    @classmethod
    def load_secrets(cls, path: Path) -> dict[str, str]:
        """File name → what is in it."""
        return {name: told.removeprefix(MARK).strip() for name, told in super().load_secrets(path).items()}


def files(folder: Path) -> Iterator[Path]:
    """The files themselves; hidden ones are the folder's own business."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))


def readable_by_all(folder: Path) -> list[str]:
    """Names of the files that everybody on this machine may read."""
    if not folder.is_dir() or not folder.stat().st_mode & stat.S_IXOTH:
        return []  # nobody else gets into it
    return [path.name for path in files(folder) if path.stat().st_mode & stat.S_IROTH]
