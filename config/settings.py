"""Settings: the environment (`LINSHENG_…`, `__` between levels) over a YAML file over the defaults below.

Secrets come from the environment or from files in `LINSHENG_SECRETS_DIR` (a file `wechat_mp__token`), and none has a
default: what is not set is switched off, and `linsheng doctor` says so.
"""

import json
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Literal, get_origin
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, Field, IPvAnyNetwork, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)
from pydantic_settings import SettingsError as Unreadable

from config import tables
from config.callbacks import CallbackKeys
from config.names import PREFIX
from config.resident_report import ResidentReportSettings
from config.secret_files import SecretFiles
from config.side_channels import ArchiveSettings, GroupRobotSettings, OneBotSettings
from config.values import HttpAddress, SocketAddress
from config.wecom_app import WecomAppSettings
from config.wecom_kf import WecomKfSettings

DEMO_TOWN = Path(__file__).parent / "demo"


class SettingsError(Exception):
    """The settings cannot be used; the message names each field that is wrong."""


class OfficialAccountSettings(CallbackKeys):
    """WeChat Official Account (公众号). The channel is on when all four secrets are set."""

    app_id: str | None = None
    app_secret: SecretStr | None = None
    api_base: HttpAddress = "https://api.weixin.qq.com"
    rate: float = Field(default=20.0, gt=0, description="messages a second towards the platform")
    media_hosts: tuple[str, ...] = Field(default=(), description="from where videos come; unset: the platform's")
    menus: bool = Field(default=True, description="buttons and ratings are pressed (msgmenu), not typed")
    template_id: str = Field(default="", description="the notice sent once the 48 hours are over (模板消息)")
    template_fields: dict[str, str] = Field(default_factory=dict, description='JSON: {"thing1": "{text}"}')
    templates_a_day: int = Field(default=100_000, gt=0, description="what the platform takes from the account in 24 h")
    subscription_id: str = Field(default="", description="the same for 订阅通知; goes first where somebody agreed")
    subscription_fields: dict[str, str] = Field(default_factory=dict)
    subscription_long_term: bool = Field(default=False, description="长期订阅: one agreement is good for all notices")

    @field_validator("template_fields", "subscription_fields")
    @classmethod
    def _blanks(cls, value: dict[str, str]) -> dict[str, str]:
        for name, pattern in value.items():
            try:
                pattern.format(text="", number="", time="")
            except (LookupError, ValueError) as error:
                raise ValueError(f"{name}: the blanks are {{text}}, {{number}} and {{time}}") from error
        return value

    @property
    def missing(self) -> list[str]:
        """Names of the settings that are not there yet."""
        return [name for name in ("token", "aes_key", "app_id", "app_secret") if not getattr(self, name)]

    @property
    def enabled(self) -> bool:
        """All that the channel needs is there."""
        return not self.missing


class WecomBotSettings(CallbackKeys):
    """WeCom AI bot (企业微信智能机器人). On when `bot_id` is set and what its mode needs: `secret` for the long
    connection (长连接), `token` and `aes_key` for the webhook (短连接); the platform allows one of them at a time."""

    mode: Literal["connection", "webhook"] = "connection"
    bot_id: str | None = None
    secret: SecretStr | None = None
    corp_id: str = Field(default="", description="whoever is said to be of another corporation is refused")
    name: str = Field(default="", description="how people @ it; unset: whatever stands first in a group's message")
    connect: bool = Field(
        default=True, description="unset: where a worker runs; true: also where only pages are served"
    )
    standby_seconds: float = Field(default=1.0, gt=0, description="between two looks whether the holder is gone")
    feedback: bool = Field(default=False, description="buttons under an answer; not documented for long connections")
    photos_in_groups: bool = Field(
        default=False, description="show a worker's photo of the work done in groups, too; who sees it may be anybody"
    )
    ws_url: SocketAddress = "wss://openws.work.weixin.qq.com"
    response_url: HttpAddress = "https://qyapi.weixin.qq.com/cgi-bin/aibot/response"
    media_hosts: tuple[str, ...] = ("*.myqcloud.com", "*.qpic.cn", "qyapi.weixin.qq.com")
    rate: float = Field(default=20.0, gt=0, description="messages a second towards the platform, all chats together")
    per_minute: int = Field(
        default=30, ge=1, description="messages into one chat; written down for long connections only"
    )
    per_hour: int = Field(default=1_000, ge=1)
    finish_unanswered: bool = Field(
        default=True, description="long connection: a word ends a message that needs no answer; 3 of a user may be open"
    )

    @property
    def missing(self) -> list[str]:
        """Names of the settings that are not there yet."""
        needed = ("bot_id", "secret") if self.mode == "connection" else ("bot_id", "token", "aes_key")
        return [name for name in needed if not getattr(self, name)]

    @property
    def enabled(self) -> bool:
        """All that the channel needs is there."""
        return not self.missing


class WorkerSettings(BaseModel):
    """How a worker takes messages from the inbox."""

    batch: int = Field(default=32, ge=1, le=500)
    lease_seconds: float = Field(default=30.0, gt=0)
    poll_seconds: float = Field(default=1.0, gt=0, description="the slow poll that runs even when no wake-up comes")
    attempts: int = Field(default=8, ge=1)
    unsent_minutes: float = Field(
        default=5.0, ge=1, description="then an alert that cannot leave goes on by another channel"
    )
    sample: float = Field(default=0.015, ge=0, le=1, description="share of the silence that staff look at")
    sample_days: int = Field(default=60, ge=1, le=60, description="then a sample is removed, looked at or not")


class IngestSettings(BaseModel):
    """The door: how long callbacks are collected for one commit, and how many may wait."""

    linger_ms: float = Field(default=2.0, ge=0, le=100)
    waiting: int = Field(default=5_000, ge=1)
    body_bytes: int = Field(default=64 * 1024, ge=1024)


class RasaSettings(BaseModel):
    """The server that `make rasa-serve` starts, asked when LINSHENG_NLU=rasa; see nlu/rasa/README.md."""

    url: HttpAddress = "http://127.0.0.1:5005"
    token: SecretStr | None = Field(default=None, description="unset: the one in HOME/rasa/token, made by rasa-serve")
    # It reads a text in about 5 ms and in one thread: more connections only wait there instead of here, and one that is
    # silent for a second is loading another model, or gone.
    connections: int = Field(default=4, ge=1, le=64)
    timeout_seconds: float = Field(default=1.0, gt=0, le=10)
    # A batch of 32 takes a fifth of a second. Whatever has no answer by then is understood without it, long before the
    # lease of the batch (30 s) is over.
    batch_seconds: float = Field(default=5.0, gt=0, le=20)
    failures: int = Field(default=5, ge=1, description="in a row, until it is left in peace: one batch without it")
    pause_seconds: float = Field(default=30.0, gt=0, description="then one message tries; it starts in 15 to 20 s")


class Settings(BaseSettings):
    """All settings of a deployment."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="ignore", yaml_file_encoding="utf-8"
    )

    home: Path = Path("var")
    database_url: SecretStr | None = None
    town: Path | None = None
    demo: bool = Field(default=False, description="the web chat at /chat, where one may be anybody")
    timezone: str = "Asia/Shanghai"
    public_url: HttpAddress = "http://127.0.0.1:8080"
    platform_addresses: bool = Field(default=False, description="callbacks only from the addresses that platforms name")
    trusted_proxies: tuple[IPvAnyNetwork, ...] = Field(
        default=(), description='JSON: ["10.0.0.0/8"]; whose X-Forwarded-For says who called'
    )
    secret_key: SecretStr | None = None
    log_level: str = "info"
    log_json: bool = True
    nlu: Literal["embedded", "rasa"] = "embedded"
    reader: Literal["off", "uncertain", "all"] = Field(
        default="off", description="whom the second reader is asked about; needs the extra `reader` and a tuned one"
    )
    ocr: bool = Field(default=False, description="`linsheng look` reads pictures; needs the extra `ocr`")
    asr_model: Path | None = Field(default=None, description="`linsheng look` hears voices; needs the extra `asr`")
    rasa: RasaSettings = RasaSettings()
    worker: WorkerSettings = WorkerSettings()
    ingest: IngestSettings = IngestSettings()
    wechat_mp: OfficialAccountSettings = OfficialAccountSettings()
    wecom_bot: WecomBotSettings = WecomBotSettings()
    wecom_kf: WecomKfSettings = WecomKfSettings()
    wecom_app: WecomAppSettings = WecomAppSettings()
    onebot: OneBotSettings = OneBotSettings()
    group_robot: GroupRobotSettings = GroupRobotSettings()
    archive: ArchiveSettings = ArchiveSettings()
    resident_report: ResidentReportSettings = ResidentReportSettings()

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"there is no time zone {value!r}") from error
        return value

    @field_validator("log_level")
    @classmethod
    def _level(cls, value: str) -> str:
        if value.lower() not in ("debug", "info", "warning", "error"):
            raise ValueError("must be debug, info, warning or error")
        return value.lower()

    @cached_property
    def zone(self) -> ZoneInfo:
        """The deployment's zone, in which days begin and end."""
        return ZoneInfo(self.timezone)

    @property
    def url(self) -> str:
        """The database: the one that is set, else SQLite in the data folder."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{(self.home / 'linsheng.db').resolve()}"

    @property
    def media(self) -> Path:
        """Where pictures and voices are kept."""
        return self.home / "media"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Explicit values, environment, secret files, YAML; in this order."""
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        if folder := os.environ.get(f"{PREFIX}SECRETS_DIR"):
            sources.append(
                SecretFiles(
                    file_secret_settings,
                    secrets_dir=folder,
                    secrets_nested_delimiter="__",
                    env_prefix="",
                )
            )
        return (*sources, YamlConfigSettingsSource(settings_cls, yaml_file=_file()))


def _file() -> Path:
    """The YAML file of the settings; it need not be there."""
    named = os.environ.get(f"{PREFIX}CONFIG")
    return Path(named) if named else Path(os.environ.get(f"{PREFIX}HOME", "var")) / "linsheng.yaml"


def _no_json(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """The variables that hold no JSON although their setting is a list or a mapping."""
    for name, field in model.model_fields.items():
        variable, kind = f"{prefix}{name.upper()}", field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _no_json(kind, f"{variable}__")
        elif get_origin(kind) in (tuple, dict, frozenset) and variable in os.environ:
            try:
                json.loads(os.environ[variable])
            except ValueError:
                example = '{"name": "value"}' if get_origin(kind) is dict else '["value"]'
                yield f"{variable}: must be JSON, such as {example}"


def load_settings(**values: object) -> Settings:
    """Read the settings; the tables of their data folder count from now on.

    Raises SettingsError naming every field that is wrong, never its value.
    """
    try:
        found = Settings(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = [
            f"{PREFIX}{'__'.join(str(part) for part in fault['loc']).upper()}: {fault['msg']}"
            for fault in error.errors(include_input=False)
        ]
        raise SettingsError("; ".join(wrong)) from error
    except Unreadable as error:  # a value that must be JSON; it names the part and not the value
        raise SettingsError("; ".join(_no_json(Settings, PREFIX)) or str(error)) from error
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{_file()}:{mark.line + 1}" if mark else str(_file())
        what = getattr(error, "problem", None) or "it must be YAML in UTF-8 whose top is a mapping"
        raise SettingsError(f"{where}: cannot be read: {what}") from error
    tables.use(found.home)
    return found
