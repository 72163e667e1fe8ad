"""Pictures and voices of the records: whoever runs the SDK (GetMediaData, 91774) puts them into a folder, under a name
that the record tells; they may come up to a day after it.

By `md5sum`, the name is the record's own and proves that the file is whole; by `sdkfileid`, which is longer than a file
name may be, it is the SHA-256 of it in hexadecimal. Any ending will do.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from bot.channels import media
from bot.channels.media import NotFetched
from models.message import Media

By = Literal["md5sum", "sdkfileid"]
HOURS = 24  # a file is waited for
MD5 = re.compile(r"[0-9a-f]{32}")


def name_of(body: Mapping[str, Any], by: By) -> str:
    """The name, without its ending, of the file that a record speaks of; "" where it names none."""
    told = str(body.get(by) or "")
    if by == "sdkfileid":
        return hashlib.sha256(told.encode()).hexdigest() if told else ""
    return told.lower() if MD5.fullmatch(told.lower()) else ""


class Files:
    """The folder."""

    def __init__(self, folder: Path, by: By) -> None:
        self._folder = folder
        self._by = by

    def kept(self, wanted: Media, into: Path) -> Media:
        """The file, cleaned as all pictures are, on our disk. Blocking. Raises NotFetched while it is not whole."""
        name = wanted.platform_id
        found = next((path for path in sorted(self._folder.glob(f"{name}*")) if _is(path, name)), None)
        if found is None:
            raise NotFetched("nobody has put the file there yet", again=True, hours=HOURS)
        try:
            if found.stat().st_size > media.CAP:
                raise NotFetched("too large")
            data = found.read_bytes()
        except OSError as error:
            raise NotFetched(type(error).__name__, again=True, hours=HOURS) from None
        if self._by == "md5sum" and hashlib.md5(data).hexdigest() != name:  # noqa: S324 - the platform's own sum
            raise NotFetched("the file is not whole yet", again=True, hours=HOURS)
        made = media.keep(into, data, wanted.name)
        return made.model_copy(update={"platform_id": name})


def _is(path: Path, name: str) -> bool:
    return path.is_file() and name in (path.name, path.stem)
