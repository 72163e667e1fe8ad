"""居民上报 (政务版): orders that residents placed with the product's own robot; read only for us. Sources: 企业微信
93513-93519, 97154-97158.

The order of the answers is the order of creation; the cursor is opaque and belongs to one pair of conditions.
"""

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from bot.platform.api import WECOM, Api
from bot.platform.codes import PlatformError, fine, need, number
from bot.platform.crypto import random_word
from bot.platform.shared import Shared
from bot.platform.world import Body

LIMIT = 50
CREATED, ACCEPTED, ASSIGNED, PASSED_ON, SOLVED, REFUSED, IN_HAND = range(1, 8)


@dataclass
class Order:
    """One order. body: as the platform tells it."""

    body: Body
    modified: datetime
    steps: list[Body] = field(default_factory=list)


class Reports:
    """All orders of the corporation. secret: of the app that is listed under 可调用接口."""

    def __init__(self, shared: Shared, api: Api) -> None:
        self.secret = shared.names.word("report.secret", 43)
        self.orders: dict[str, Order] = {}
        self.grids: list[Body] = []
        self._clock = shared.clock
        self._world = shared.world
        for kind in ("resident", "patrol"):
            api.post(f"{WECOM}:report", f"report/{kind}/get_order_list", self._list)
            api.post(f"{WECOM}:report", f"report/{kind}/get_order_info", self._info)
            api.get(f"{WECOM}:report", f"report/{kind}/get_grid_info", self._grids)
            waiting = "pending" if kind == "resident" else "to_be_assigned"
            api.post(f"{WECOM}:report", f"report/{kind}/get_corp_status", partial(self._status, waiting))
            api.post(f"{WECOM}:report", f"report/{kind}/get_user_status", partial(self._status, "pending"))
            api.post(f"{WECOM}:report", f"report/{kind}/category_statistic", self._statistic)

    def order(self, desc: str, **fields: Any) -> str:
        """A resident reports something; returns the order's id. fields: over the defaults (grid_id, location, …)."""
        order_id = f"ORD{random_word(16)}"
        now = self._clock()
        body: Body = {
            "order_id": order_id, "desc": desc, "urge_type": 1, "case_name": "其他", "grid_name": "", "grid_id": "",
            "create_time": int(now.timestamp()), "reporter_name": "", "reporter_mobile": "", "unionid": "",
            "image_urls": [], "video_media_ids": [], "processor_userids": [],
            "location": {"name": "", "address": "", "latitude": 0.0, "longitude": 0.0},
        } | fields  # fmt: skip
        self.orders[order_id] = Order(body, now)
        self.step(order_id, ACCEPTED, status=0)
        return order_id

    def step(self, order_id: str, kind: int, by: str = "", desc: str = "", *, status: int = 1) -> None:
        """The product's workers go on. kind: process_type 1 to 7. status: 0 in progress, 1 done."""
        order = self.orders[order_id]
        now = self._clock()
        if order.steps:
            order.steps[-1]["status"] = 1
        order.steps.append(
            {
                "process_type": kind, "solve_userid": by, "process_desc": desc, "status": status,
                "solved_time": int(now.timestamp()), "image_urls": [],
            }
        )  # fmt: skip
        order.modified = now
        self._world.touch()

    def _list(self, body: Body) -> Body:
        limit = number(body.get("limit", 20), "limit")
        need(1 <= limit <= LIMIT, 40058, "limit")
        created, modified = (int(body.get(name) or 0) for name in ("begin_create_time", "begin_modify_time"))
        begin = self._place(str(body.get("cursor") or ""), created, modified)
        found = [
            order
            for order in self.orders.values()
            if order.body["create_time"] >= created and int(order.modified.timestamp()) >= modified
        ]
        page, rest = found[begin : begin + limit], found[begin + limit :]
        cursor = _cursor(begin + limit, created, modified) if rest else ""
        return fine(next_cursor=cursor, order_list=[_told(order) for order in page])

    def _info(self, body: Body) -> Body:
        order = self.orders.get(str(body.get("order_id")))
        if order is None:
            raise PlatformError(40058, "order_id")
        return fine(order_info=_told(order))

    def _grids(self, _body: Body) -> Body:
        told = ("grid_id", "grid_name", "grid_admin")
        return fine(grid_list=[{name: grid[name] for name in told if name in grid} for grid in self.grids])

    def _place(self, cursor: str, created: int, modified: int) -> int:
        if not cursor:
            return 0
        try:
            place, *conditions = json.loads(base64.b64decode(cursor))
        except ValueError:
            raise PlatformError(40058, "cursor") from None
        need(conditions == [created, modified], 40058, "the cursor is of other conditions")
        return int(place)

    def _status(self, waiting: str, body: Body) -> Body:
        last = [order.steps[-1]["process_type"] for order in self.orders.values()]
        solved = last.count(SOLVED)
        counts = {"processing": last.count(IN_HAND), waiting: last.count(ACCEPTED), "added_today": len(last)}
        counts |= {"solved_today": solved, "total_case": len(last), "total_solved": solved}
        return fine(**counts, total_accepted=len(last) - last.count(REFUSED) if "userid" not in body else 0)

    def _statistic(self, _body: Body) -> Body:
        names = sorted({order.body["case_name"] for order in self.orders.values()})
        rows = [
            {
                "category_id": name, "category_name": name, "category_level": 1, "category_type": 1,
                "total_case": len(mine), "total_solved": sum(o.steps[-1]["process_type"] == SOLVED for o in mine),
            }
            for name in names
            for mine in [[order for order in self.orders.values() if order.body["case_name"] == name]]
        ]  # fmt: skip
        return fine(dashboard_list=rows)


def _told(order: Order) -> Body:
    return order.body | {"process_list": order.steps}


def _cursor(place: int, created: int, modified: int) -> str:
    return base64.b64encode(json.dumps([place, created, modified]).encode()).decode()
