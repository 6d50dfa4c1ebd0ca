"""Every setting of the studio, declared once; the only reader of the environment.

A setting comes from the environment, else from `.env` in the project's folder, else from its default.
`Settings.load()` reads them; `Settings(...)` takes values alone, so that a test sees nothing of its machine.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from limits import parse as parse_rate
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from imagegen.core import crypto
from imagegen.core.secrets import keep_once

PROJECT_ROOT = Path(__file__).resolve().parent.parent
ENV_FILE = PROJECT_ROOT / ".env"

NO_LIMIT = "off"
"""What a rate limit says that lets everything through."""

_CREDENTIALS = re.compile(r"://([^:/@]*):(.*)@")
_SECRET_PARAMETER = re.compile(r"([?&]\w*(?:password|passwd|secret|token)=)([^&#]*)", re.IGNORECASE)
_MASK = "********"


class SettingsError(Exception):
    """A setting is wrong or missing; the text is one sentence that names the variable."""


class Origin(StrEnum):
    """Where the value in force came from."""

    DEFAULT = "default"
    ENVIRONMENT = "environment"
    ENV_FILE = ".env"
    DATA_FOLDER = "data folder"


class Documented(NamedTuple):
    """A setting as documentation shows it."""

    name: str
    default: str
    help: str


class InForce(NamedTuple):
    """A setting as it is now; secrets and passwords are masked in `value`."""

    name: str
    value: str
    origin: Origin


def _wrong(reason: str) -> PydanticCustomError:
    return PydanticCustomError("setting", "{reason}", {"reason": reason})


def _folder(path: Path) -> Path:
    # Relative to the project and not to wherever a command was called, so that all processes mean one folder.
    return Path(os.path.normpath(PROJECT_ROOT / path.expanduser()))


def _database(url: str) -> str:
    """Return `url` as SQLAlchemy wants it: PostgreSQL with its driver, SQLite with the file's full path."""
    scheme, _, rest = url.partition("://")
    if scheme in ("postgres", "postgresql", "postgresql+psycopg") and rest:
        return f"postgresql+psycopg://{rest}"
    if scheme == "sqlite" and rest.startswith("/") and rest.strip("/") not in ("", ":memory:"):
        return f"sqlite:///{_folder(Path(rest[1:]))}"
    raise _wrong("must be sqlite:////path/to/file or postgresql://user:password@host/name")


def _redis(url: str) -> str:
    if urlsplit(url).scheme not in ("redis", "rediss", "unix"):
        raise _wrong("must begin with redis://, rediss:// or unix://")
    return url


def _web_address(url: str) -> str:
    """Return `url` without its last slash, so that paths can be put behind it."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _wrong("must be an address that begins with http:// or https://")
    return url.rstrip("/")


def _smtp(url: str) -> str:
    parts = urlsplit(url)
    try:
        _port = parts.port
    except ValueError:
        raise _wrong("has a port that is no number") from None
    if parts.scheme not in ("smtp", "smtps", "smtp+starttls") or not parts.hostname:
        raise _wrong("must be smtp://, smtps:// or smtp+starttls:// with a host")
    return url


def _split(text: str) -> tuple[str, ...]:
    return tuple(filter(None, re.split(r"[\s,]+", text)))


def _words(value: object) -> object:
    return _split(value) if isinstance(value, str) else value


def _rate(text: str) -> str:
    if text != NO_LIMIT:
        try:
            parse_rate(text)
        except ValueError:
            raise _wrong("must be a number of jobs and a time, such as 5/minute, or off") from None
    return text


def _sealing_keys(given: SecretStr) -> SecretStr:
    """Return the keys one way, with commas between, so that what reads them has nothing to check."""
    try:
        return SecretStr(",".join(crypto.read_key(key) for key in _split(given.get_secret_value())))
    except ValueError:
        raise _wrong("must be keys of 32 bytes in base64 (openssl rand -base64 32), separated by commas") from None


Folder = Annotated[Path, AfterValidator(_folder)]
DatabaseUrl = Annotated[str, AfterValidator(_database)]
RedisUrl = Annotated[str, AfterValidator(_redis)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
SmtpUrl = Annotated[str, AfterValidator(_smtp)]
RateLimit = Annotated[str, AfterValidator(_rate)]
SealingKeys = Annotated[SecretStr, AfterValidator(_sealing_keys)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]


class Settings(BaseSettings):
    """The settings in force. Attributes are the variables' names in lower case."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True, validate_default=True
    )

    host: str = Field("127.0.0.1", description="Address on which the web server listens.")
    port: int = Field(8000, ge=1, le=65535, description="Port on which the web server listens.")
    studio_data_dir: Folder = Field(
        Path("instance"),
        description="Folder for the database, pictures and keys; a relative one starts in the project.",
        json_schema_extra={"shown": "./instance"},
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="Signs sessions and links; must be given with PostgreSQL.",
        json_schema_extra={"shown": "made once in the data folder"},
    )
    encryption_keys: SealingKeys = Field(
        SecretStr(""),
        description="Seal providers' keys at rest: the first seals, all open; must be given with PostgreSQL.",
        json_schema_extra={"shown": "made once in the data folder"},
    )
    database_url: DatabaseUrl = Field(
        default_factory=lambda data: f"sqlite:///{data['studio_data_dir'] / 'studio.db'}",
        description="SQLite or PostgreSQL database.",
        json_schema_extra={"shown": "studio.db in the data folder"},
    )
    redis_url: RedisUrl | None = Field(
        None,
        description="Redis server to use instead of the embedded one.",
        json_schema_extra={"shown": "embedded server"},
    )
    workers: int = Field(2, ge=1, le=64, description="Worker processes that `make run` starts.")
    shots_per_worker: int = Field(16, ge=1, le=256, description="Images on which one worker works at once.")
    provider_concurrency: int = Field(
        64, ge=1, le=10_000, description="Calls to one provider under way at once, over all workers; a 429 lowers it."
    )
    lease_seconds: int = Field(
        90,
        ge=2,
        le=3600,
        description="After this long without a sign of life a worker's image is taken over.",
    )
    heartbeat_seconds: int = Field(
        15,
        ge=1,
        le=1800,
        description="How often a worker gives a sign of life; at most half of LEASE_SECONDS.",
    )
    sweep_seconds: int = Field(30, ge=1, le=3600, description="How often the scheduler looks for lost and due work.")
    clean_hour: int = Field(
        3, ge=0, le=23, description="Hour of the day, in UTC, from which the scheduler cleans up once a day."
    )
    provider_timeout_seconds: int = Field(
        300, ge=1, le=3600, description="Longest time that one call to a provider may take in all."
    )
    generate_rate_limit: RateLimit = Field(
        "5/minute", description="Jobs that a person may ask for, such as 5/minute or 100/hour; `off` for any number."
    )
    storage_backend: Literal["local"] = Field(
        "local", description="Where pictures are kept: `local` is the data folder."
    )
    openai_api_key: SecretStr | None = Field(None, description="Key for OpenAI's image models.")
    openai_base_url: WebAddress = Field(
        "https://api.openai.com/v1", description="OpenAI's API, or a proxy or compatible server in its place."
    )
    studio_admin_email: str | None = Field(
        None, description="Makes the first admin without the set-up page, with STUDIO_ADMIN_PASSWORD."
    )
    studio_admin_password: SecretStr | None = Field(
        None, description="Password of the admin that STUDIO_ADMIN_EMAIL names."
    )
    public_url: WebAddress | None = Field(
        None, description="Address under which people reach the studio, for links that leave it."
    )
    trusted_hosts: Words = Field(
        (), description="Host names that are answered, separated by commas; empty answers all."
    )
    proxy_hops: int = Field(
        0, ge=0, le=10, description="Reverse proxies in front whose X-Forwarded headers are believed."
    )
    smtp_url: SmtpUrl | None = Field(
        None, description="Server for letters: smtp://, smtps:// or smtp+starttls://user:password@host:port."
    )
    mail_from: str | None = Field(
        None,
        description="Sender of letters.",
        json_schema_extra={"shown": "studio@ the host of PUBLIC_URL"},
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least weight of the log lines that are written."
    )

    _origins: dict[str, Origin] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the constructor's values alone; `load` reads the environment."""
        return (init_settings,)

    @classmethod
    def load(cls, env_file: Path | None = ENV_FILE) -> Self:
        """Return the settings of this process, making the data folder and its keys if they are missing.

        Raises SettingsError with one sentence when a setting is wrong.
        """
        try:
            values, origins = _read_layers(cls, env_file)
            settings = cls(**values)
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{env_file} cannot be read: {error}.") from None
        except ValidationError as error:
            raise SettingsError(_sentence(error.errors()[0])) from None
        for name, kept in _KEPT.items():
            if not getattr(settings, name).get_secret_value():
                settings = settings.model_copy(update={name: SecretStr(_kept_secret(settings, name, kept))})
                origins[name] = Origin.DATA_FOLDER
        settings._origins = origins
        return settings

    @property
    def uses_postgresql(self) -> bool:
        """Whether the database is PostgreSQL; otherwise it is SQLite."""
        return self.database_url.startswith("postgresql")

    @classmethod
    def documented(cls) -> list[Documented]:
        """Return name, default and help of every setting, in the order of declaration."""
        return [
            Documented(name.upper(), _default_text(name), field.description or "")
            for name, field in cls.model_fields.items()
        ]

    def in_force(self) -> list[InForce]:
        """Return name, masked value and origin of every setting, in the order of declaration."""
        return [
            InForce(name.upper(), _masked(getattr(self, name)), self._origins.get(name, Origin.DEFAULT))
            for name in type(self).model_fields
        ]

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        if 2 * self.heartbeat_seconds > self.lease_seconds:
            raise _wrong("HEARTBEAT_SECONDS must be at most half of LEASE_SECONDS")
        if bool(self.studio_admin_email) != bool(self.studio_admin_password):
            raise _wrong("STUDIO_ADMIN_EMAIL and STUDIO_ADMIN_PASSWORD must be given together")
        return self


def _read_layers(cls: type[Settings], env_file: Path | None) -> tuple[dict[str, Any], dict[str, Origin]]:
    """Return the values given and where each came from; the environment goes before the file."""
    layers = (
        (Origin.ENV_FILE, DotEnvSettingsSource(cls, env_file=env_file)),
        (Origin.ENVIRONMENT, EnvSettingsSource(cls)),
    )
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for origin, read in layers:
        given = {name: value for name, value in read().items() if name in cls.model_fields}
        values |= given
        origins |= dict.fromkeys(given, origin)
    return values, origins


_REASONS = {
    "int_parsing": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "setting": "{reason}",
}


def _sentence(error: ErrorDetails) -> str:
    """Return one sentence for a pydantic error; the value is left out because it may be a secret."""
    reason = _REASONS.get(error["type"], error["msg"]).format(**error.get("ctx", {}))
    return " ".join([*(str(part).upper() for part in error["loc"][:1]), reason]) + "."


class _Kept(NamedTuple):
    """A secret that is made once where none is given: the file's name in the data folder, and what makes it."""

    file: str
    make: Callable[[], str]


_KEPT: Mapping[str, _Kept] = {
    "secret_key": _Kept("secret-key", lambda: secrets.token_hex(32)),
    "encryption_keys": _Kept("encryption-keys", crypto.new_key),
}


def _kept_secret(settings: Settings, name: str, kept: _Kept) -> str:
    """Return the secret kept in the data folder; the first process to come makes it."""
    if settings.uses_postgresql:
        raise SettingsError(f"{name.upper()} must be given when DATABASE_URL is PostgreSQL.")
    try:
        return keep_once(settings.studio_data_dir / kept.file, kept.make)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(
            f"STUDIO_DATA_DIR is {settings.studio_data_dir}, which cannot be used: {reason}."
        ) from None


def _default_text(name: str) -> str:
    field = Settings.model_fields[name]
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "shown" in extra:
        return str(extra["shown"])
    return _masked(field.default)


def _masked(value: object) -> str:
    """Return `value` for people's eyes: no secret, and no password inside an address."""
    if value is None or value == ():
        return ""
    if isinstance(value, SecretStr):
        return _MASK if value.get_secret_value() else ""
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return _SECRET_PARAMETER.sub(rf"\1{_MASK}", _CREDENTIALS.sub(rf"://\1:{_MASK}@", text))


def passwords_in(address: str) -> set[str]:
    """Return the passwords within an address, as they are written in it: before the host, or among the parameters."""
    found = {urlsplit(address).password or "", *(match[2] for match in _SECRET_PARAMETER.finditer(address))}
    return found - {""}
