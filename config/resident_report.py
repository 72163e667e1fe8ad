"""Settings of WeCom's 居民上报 (政务版): orders that residents place with the product's own robot. Off until it is set.

They stand under LINSHENG_RESIDENT_REPORT__.
"""

from typing import Literal

from pydantic import BaseModel, Field, SecretStr

from config.values import HttpAddress


class ResidentReportSettings(BaseModel):
    """On when the corporation's id and the secret of an app are set; the app is listed under 可调用接口 of 居民上报.

    grids: the product's grid_id → a grid's code of ours, where the two are not the same and the names are not either.
    """

    corp_id: str | None = None
    secret: SecretStr | None = None
    api_base: HttpAddress = "https://qyapi.weixin.qq.com"
    grids: dict[str, str] = Field(default_factory=dict, description='JSON: {"grid_id": "QX-01"}')
    kinds: dict[str, str] = Field(
        default_factory=dict, description='JSON: {"设施": "facility.lighting"}, for orders with pictures and no words'
    )
    poll_seconds: float = Field(default=60.0, gt=0, le=3600, description="all processes together look so often")
    # Their clock and ours, and what changes while the pages are read. What is read twice is kept once.
    overlap_seconds: int = Field(default=300, ge=30, le=86_400)
    # How soon a changed order shows in the list is not written down either: once an hour the look goes back so far.
    late_hours: float = Field(default=24.0, ge=0, le=168, description="0: never")
    first_days: float = Field(default=3.0, gt=0, le=60, description="how far back the very first look goes")
    # The pages do not say what urge_type means for residents' orders; in 巡查 it is 1 一般, 2 重要, 3 紧急.
    urgent: frozenset[int] = frozenset({3})
    # Nor in which coordinates a position is; WeCom's own messages have GCJ-02.
    coordinates: Literal["gcj02", "wgs84"] = "gcj02"
    # Nor where pictures lie. What lies elsewhere is not fetched.
    media_hosts: tuple[str, ...] = ("*.qpic.cn", "*.myqcloud.com", "qyapi.weixin.qq.com")

    @property
    def missing(self) -> list[str]:
        """Names of the settings that are not there yet."""
        return [name for name in ("corp_id", "secret") if not getattr(self, name)]

    @property
    def enabled(self) -> bool:
        """All that the channel needs is there."""
        return not self.missing
