"""The daemon's settings: from flags, then the environment, then a YAML file, then defaults."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from ifru.engine.settings import EngineSettings
from ifrud.problems import InvalidSettings, nearest, problems
from ifrud.secret_files import with_secrets_from_files
from ifrud.streams.endpoints import FORMS, parse_endpoint, same_stream

PREFIX = "IFRUD_"
# Kubernetes sets these for a service that is called ifrud, in every pod of the namespace.
_SERVICE_LINK = re.compile(r"^IFRUD(_[A-Z0-9]+)*_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_.*)?)$")

_DURATION = re.compile(r"\d{1,5}[mhd]|\d{1,9}s")
STORES = "s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, file:///DIR or memory://NAME"
_STORE_SHAPE = re.compile(r"(s3|gs|az)://[^/@]+(/.*)?|file:///.+|memory://.*")


def _stream(url: str) -> str:
    parse_endpoint(url)
    return url


def _store(url: str) -> str:
    if "@" in url:
        raise ValueError("URL holds credentials; they belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if not _STORE_SHAPE.fullmatch(url):
        raise ValueError(f"URL {url!r} is no store; allowed are {STORES}")
    return url


StreamUrl = Annotated[str, AfterValidator(_stream), Field(description=FORMS)]
StoreUrl = Annotated[str, AfterValidator(_store), Field(description=STORES)]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _read_secrets(cls, given: Any) -> Any:
        return with_secrets_from_files(given, cls)


class BatchSettings(_Group):
    """When a micro-batch closes. Its limit is max_requests events, and max_backlog while more of them wait.

    max_bytes: of payload.
    """

    max_requests: PositiveInt = 1000
    max_backlog: PositiveInt = 10_000
    max_bytes: PositiveInt = 64 * 1024 * 1024
    max_age_ms: NonNegativeFloat = 50
    idle_ms: NonNegativeFloat = 20

    @model_validator(mode="after")
    def _ordered(self) -> BatchSettings:
        if self.max_backlog < self.max_requests:
            raise ValueError(
                f"max_backlog is {self.max_backlog}; at least max_requests, {self.max_requests}, is allowed"
            )
        return self


class PublishSettings(_Group):
    """How often versions are published. min_interval_ms: requests that come within it wait for one version."""

    min_interval_ms: NonNegativeFloat = 0


class CollectSettings(_Group):
    """Which old versions go in idle time. older_than: `30d`, `12h`, `5m` or `0s`; None: none go. keep: so many stay."""

    older_than: str | None = None
    keep: PositiveInt = 1

    @field_validator("older_than")
    @classmethod
    def _duration(cls, text: str | None) -> str | None:
        if text is not None and not _DURATION.fullmatch(text):
            raise ValueError(f"{text!r} is no duration; allowed are 30d, 12h, 5m, 0s and the like")
        return text


class AdminSettings(_Group):
    """The HTTP port for the status page, probes, metrics and `ifrud status`. Port 0 lets the kernel choose.

    token, token_file: what all but the probes ask for, or a file that holds it. runbooks: URL of the folder that the
    status page's links lead to.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 9377
    file: Path | None = None
    stalled_after_s: PositiveFloat = 120
    token: SecretStr | None = Field(default=None, min_length=1)
    token_file: Path | None = None
    runbooks: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] | None = None


class LogSettings(_Group):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class KafkaSettings(_Group):
    """How brokers are reached. The group only shows lag to tools; positions live in the store.

    max_decompressed_bytes: a batch of records that is larger is a dead letter. oauth_token_url: where OAUTHBEARER gets
    its tokens by client credentials (RFC 6749, section 4.4).
    """

    group: str | None = "ifrud"
    max_decompressed_bytes: PositiveInt = 128 * 1024 * 1024
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    sasl_password_file: Path | None = None
    oauth_token_url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] | None = None
    oauth_client_id: str | None = None
    oauth_client_secret: SecretStr | None = None
    oauth_client_secret_file: Path | None = None
    oauth_scope: str | None = None
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    ssl_password: SecretStr | None = None
    ssl_password_file: Path | None = None
    ssl_check_hostname: bool = True

    @model_validator(mode="after")
    def _complete(self) -> KafkaSettings:
        if self.security_protocol.startswith("SASL"):
            oauth = self.sasl_mechanism == "OAUTHBEARER"
            by_token = ("oauth_token_url", "oauth_client_id", "oauth_client_secret")
            for name in ("sasl_mechanism", *(by_token if oauth else ("sasl_username", "sasl_password"))):
                if getattr(self, name) is None:
                    asking = "sasl_mechanism OAUTHBEARER" if oauth else f"security_protocol {self.security_protocol}"
                    raise ValueError(f"{name} is not set; {asking} needs it")
        return self


class DecodeSettings(_Group):
    """What other systems write to the stream besides requests.

    tombstones: whose id the key of a record without a value is; none: such a record is a dead letter.
    debezium_user, debezium_item: columns of a table whose deleted rows Debezium tells. Both: a row is an interaction;
    one: it is a user, or an item.
    values: whether records with a value are requests, or rows of somebody's table, which ask for nothing.
    """

    tombstones: Literal["none", "user", "item"] = "none"
    debezium_user: str | None = Field(default=None, min_length=1)
    debezium_item: str | None = Field(default=None, min_length=1)
    values: Literal["requests", "ignored"] = "requests"

    @property
    def reads_debezium(self) -> bool:
        return self.debezium_user is not None or self.debezium_item is not None

    @model_validator(mode="after")
    def _one_meaning(self) -> DecodeSettings:
        if self.tombstones != "none" and self.reads_debezium:
            raise ValueError(
                f"tombstones is {self.tombstones!r}, and debezium_user or debezium_item is set; Debezium writes a "
                "tombstone after each deletion, which is no request of its own: allowed is one of the two"
            )
        if self.values == "ignored" and self.tombstones == "none":
            raise ValueError(
                "values is 'ignored' and tombstones is 'none', so no request would be read; set tombstones"
            )
        return self


class Common(BaseSettings):
    """What all commands read from the same file and environment.

    model: `package.module:factory` that is imported for versions of the user's own module; no version causes that.
    hash_key, hash_key_file: the key of hashes in versions, in hex or in a file, where it is not kept with them.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_parse_none_str="null", extra="forbid", frozen=True
    )

    batch: BatchSettings = BatchSettings()
    publish: PublishSettings = PublishSettings()
    engine: EngineSettings = EngineSettings()
    admin: AdminSettings = AdminSettings()
    log: LogSettings = LogSettings()
    kafka: KafkaSettings = KafkaSettings()
    decode: DecodeSettings = DecodeSettings()
    max_event_bytes: PositiveInt = 256 * 1024
    max_consecutive_bad: PositiveInt = 1000
    remember_days: PositiveInt = 90
    brake_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    dead_letters_payload: Literal["full", "digest"] = "full"
    memory_bytes: PositiveInt | None = None
    patience_s: PositiveFloat = 30
    refine: bool = True
    refine_after_ms: NonNegativeFloat = 500
    prove: bool = True
    prove_requests: bool = True
    prove_share: Annotated[float, Field(ge=0, le=1)] = 0.25
    full_every: PositiveInt = 100
    full_after_s: NonNegativeFloat = 86400
    purge_receipts_s: NonNegativeFloat = 60
    collect: CollectSettings = CollectSettings()
    model: str | None = None
    hash_key: SecretStr | None = None
    hash_key_file: Path | None = None

    @field_validator("hash_key_file")
    @classmethod
    def _one_key(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file is not None and info.data.get("hash_key") is not None:
            raise ValueError("hash_key and hash_key_file are both given; allowed is one of them")
        return file


class Settings(Common):
    """What `ifrud run` needs. accept_lost: the word of a loss of events that is accepted, as an error named it."""

    events: StreamUrl
    store: StoreUrl
    receipts: StreamUrl
    dead_letters: StreamUrl
    accept_lost: str | None = None

    @field_validator("receipts", "dead_letters")
    @classmethod
    def _distinct(cls, url: str, info: ValidationInfo) -> str:
        for other in ("events", "receipts"):
            if other != info.field_name and other in info.data and same_stream(url, info.data[other]):
                raise ValueError(f"{url!r} is the same stream as {other}; allowed is another one")
        return url


class SubmitSettings(Common):
    """What `ifrud submit` needs: the daemon's settings as far as they say where events go."""

    events: StreamUrl
    store: StoreUrl | None = None
    receipts: StreamUrl | None = None
    dead_letters: StreamUrl | None = None


class LetterSettings(Common):
    """What `ifrud dead-letters` needs: the same, as far as they say where dead letters are and where events go."""

    events: StreamUrl | None = None
    store: StoreUrl | None = None
    receipts: StreamUrl | None = None
    dead_letters: StreamUrl | None = None
    accept_lost: str | None = None


S = TypeVar("S", bound=Common)


def load_settings(kind: type[S], config: Path | None, flags: Mapping[str, Any]) -> S:
    """Settings from flags (nested as in the YAML file), environment, file and defaults, in this order.

    Raises InvalidSettings, which names every field that is wrong, its value and what is allowed.
    """
    _check_environment(os.environ)
    content = {} if config is None else _read(config)

    class Layered(kind):  # type: ignore[valid-type, misc]
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], **sources: PydanticBaseSettingsSource
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return sources["init_settings"], sources["env_settings"], InitSettingsSource(settings_cls, content)

    try:
        return cast("S", Layered(**flags))
    except ValidationError as error:
        raise InvalidSettings(problems(error, kind)) from None
    except SettingsError as error:
        raise InvalidSettings([f"environment: {error}; allowed is JSON, or one variable a field"]) from None


def _check_environment(environment: Mapping[str, str]) -> None:
    unknown = []
    for name in sorted(environment):
        if not name.upper().startswith(PREFIX) or _SERVICE_LINK.match(name.upper()):
            continue
        field = name[len(PREFIX) :].lower().split("__")[0]
        if field not in Settings.model_fields:
            close = nearest(field, Settings.model_fields)
            unknown.append(f"{name}: is not a setting; the nearest is {PREFIX}{close.upper()}")
    if unknown:
        raise InvalidSettings(unknown)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSettings([f"--config: {str(path)!r} cannot be read ({error.strerror})"]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidSettings([f"--config: {str(path)!r} is not valid YAML: {' '.join(str(error).split())}"]) from None
    if content is not None and not isinstance(content, dict):
        kind = type(content).__name__
        raise InvalidSettings([f"--config: {str(path)!r} holds a {kind}; allowed is a mapping of settings"])
    return content or {}
