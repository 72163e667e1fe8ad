"""The grids and kinds of events of 居民上报 and 巡查上报, kept by the corporation: `report/grid/*`. Sources: 企业微信
94478-94481, 94536-94540.

Where the pages are silent: any broken rule is 40058 with the field's name; `grid/list` tells a grid and those just
below it with the fields that `grid/add` takes; a category with others below it goes with them.
"""

from typing import Any

from bot.platform.api import WECOM, Api
from bot.platform.codes import PlatformError, fine, need, number
from bot.platform.crypto import random_word
from bot.platform.reports import Reports
from bot.platform.world import Body

NAME_CHARS = 30
LEVELS = 10
ADMINS, MEMBERS = 20, 100
CATEGORY_LEVELS = (1, 2)


class ReportGrids:
    """Registers the calls. The grids themselves are those of the reports."""

    def __init__(self, reports: Reports, api: Api) -> None:
        self.categories: dict[str, Body] = {}
        self._reports = reports
        for path, call in {
            "add": self._add, "update": self._update, "delete": self._delete, "list": self._list,
            "add_cata": self._add_category, "update_cata": self._update_category,
            "delete_cata": self._delete_category, "list_cata": self._list_categories,
        }.items():  # fmt: skip
            api.post(f"{WECOM}:report", f"report/grid/{path}", call)

    # --- grids ------------------------------------------------------------------------------------------------------

    def _add(self, body: Body) -> Body:
        grid = self._grid(body, "")
        grid["grid_id"] = f"G{random_word(12)}"
        self._reports.grids.append(grid)
        return fine(grid_id=grid["grid_id"], invalid_userids=[])

    def _update(self, body: Body) -> Body:
        old = self._known(body.get("grid_id"))
        old.update(self._grid(body, old["grid_id"]))
        return fine(invalid_userids=[])

    def _delete(self, body: Body) -> Body:
        """The grid and all below it."""
        gone = {self._known(body.get("grid_id"))["grid_id"]}
        while below := {one["grid_id"] for one in self._reports.grids if one.get("grid_parent_id") in gone} - gone:
            gone |= below
        self._reports.grids[:] = [one for one in self._reports.grids if one["grid_id"] not in gone]
        return fine()

    def _list(self, body: Body) -> Body:
        """A grid and those just below it; without an id the top ones and those below them."""
        grids = self._reports.grids
        if body.get("grid_id"):
            top = [self._known(body["grid_id"])]
        else:
            top = [one for one in grids if not one.get("grid_parent_id")]
        tops = [one["grid_id"] for one in top]
        return fine(grid_list=[*top, *(one for one in grids if one.get("grid_parent_id") in tops)])

    def _grid(self, body: Body, own: str) -> Body:
        """What a grid is to be. own: its id, "" for a new one. Raises PlatformError."""
        name, parent = _name(body, "grid_name"), str(body.get("grid_parent_id") or "")
        admins, members = body.get("grid_admin") or [], body.get("grid_member") or []
        need(1 <= len(admins) <= ADMINS, 40058, "grid_admin")
        need(len(members) <= MEMBERS, 40058, "grid_member")
        same = [one for one in self._reports.grids if one.get("grid_parent_id", "") == parent and one["grid_id"] != own]
        need(name not in [one["grid_name"] for one in same], 40058, "grid_name is used already")
        above = parent
        for _ in range(LEVELS - 1):
            if not above:
                break
            need(above != own, 40058, "grid_parent_id is below it")
            above = str(self._known(above, "grid_parent_id").get("grid_parent_id") or "")
        need(not above, 40058, "more than 10 levels")
        return {"grid_name": name, "grid_parent_id": parent, "grid_admin": admins, "grid_member": members}

    def _known(self, code: Any, field: str = "grid_id") -> Body:
        found = next((one for one in self._reports.grids if one["grid_id"] == code), None)
        if found is None:
            raise PlatformError(40058, field)
        return found

    # --- kinds of events --------------------------------------------------------------------------------------------

    def _add_category(self, body: Body) -> Body:
        made = self._category(body, "")
        made["category_id"] = f"C{random_word(12)}"
        self.categories[made["category_id"]] = made
        return fine(category_id=made["category_id"])

    def _update_category(self, body: Body) -> Body:
        code = str(body.get("category_id"))
        need(code in self.categories, 40058, "category_id")
        self.categories[code].update(self._category(body, code))
        return fine()

    def _delete_category(self, body: Body) -> Body:
        code = str(body.get("category_id"))
        need(code in self.categories, 40058, "category_id")
        kept = {
            key: one for key, one in self.categories.items() if code not in (key, one["parent_category_id"])
        }  # fmt: skip
        self.categories = kept
        return fine()

    def _list_categories(self, _body: Body) -> Body:
        """Under the name of the page's sample; its table of fields says `cata_list`."""
        return fine(category_list=list(self.categories.values()))

    def _category(self, body: Body, own: str) -> Body:
        name, level = _name(body, "category_name"), number(body.get("level"), "level")
        need(level in CATEGORY_LEVELS, 40058, "level")
        parent = str(body.get("parent_category_id") or "") if level > 1 else ""
        need(level == 1 or self.categories.get(parent, {}).get("level") == 1, 40058, "parent_category_id")
        same = [
            one["category_name"] for key, one in self.categories.items()
            if one["parent_category_id"] == parent and key != own
        ]  # fmt: skip
        need(name not in same, 40058, "category_name is used already")
        return {"category_name": name, "level": level, "parent_category_id": parent}


def _name(body: Body, field: str) -> str:
    name = str(body.get(field) or "")
    need(0 < len(name) <= NAME_CHARS, 40058, field)
    return name
