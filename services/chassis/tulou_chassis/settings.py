"""What a service process is told by its environment. Read once; a wrong value stops the process with its name."""

import os
import re
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, AnyHttpUrl, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from tulou_chassis.postgresql import PARAMETERS

S = TypeVar("S", bound="Settings")
# What a broker's URI may say behind its question mark, as RabbitMQ's own clients name it.
BROKER_FILES = ("cacertfile", "certfile", "keyfile")


def _has_port(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not (host and re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) <= 65535):
        raise ValueError("must be a host and a port of 1 to 65535, like 127.0.0.1:50051")
    return value


Address = Annotated[str, AfterValidator(_has_port)]


class Settings(BaseSettings):
    """Settings (`TULOU_…`) that every service has. A service's own class adds its fields."""

    model_config = SettingsConfigDict(env_prefix="TULOU_", env_ignore_empty=True, frozen=True, extra="ignore")

    database_url: str = Field(description="sqlite:///… or postgresql://…; {service} stands for the service's name")
    grpc_address: Address = "127.0.0.1:50051"
    metrics_address: Address = "127.0.0.1:9464"
    oidc_issuer: str = Field(min_length=1)
    oidc_audience: str = "tulou"
    oidc_jwks: str = Field(min_length=1, description="a file or an http(s) URL")
    keyring_file: Path
    amqp_uri: str | None = Field(default=None, pattern=r"^amqps?://")
    otlp_endpoint: AnyHttpUrl | None = None
    trace_ratio: float = Field(default=1.0, ge=0, le=1)
    calendar_files: Annotated[tuple[Path, ...], NoDecode] = ()
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    drain_delay: float = Field(
        default=0, ge=0, le=60, description="seconds in which a server that is to end says so and still takes calls"
    )
    drain_seconds: float = Field(default=20, ge=0, le=300)
    database_pool: int = Field(default=10, ge=1, le=200, description="a server's for reading, and as many for writing")

    @field_validator("calendar_files", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part for part in value.split(",") if part) if isinstance(value, str) else value

    @field_validator("calendar_files")
    @classmethod
    def _exists(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        for path in value:
            # Path.is_file raises for a name that is too long.
            if not os.path.isfile(path):
                raise ValueError(f"{path} is not a file")
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        try:
            url = make_url(value)
        except (ArgumentError, ValueError):
            # Not in the library's words, which repeat a part of the URL: without a host that is the password.
            raise ValueError("is not a database URL") from None
        match url.get_backend_name():
            case "sqlite":
                return value
            case "postgresql":
                if unknown := sorted(url.query.keys() - PARAMETERS):
                    raise ValueError(f"says {', '.join(unknown)}, which is not one of {', '.join(sorted(PARAMETERS))}")
                for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl"):
                    if name in url.query and not os.path.isfile(str(url.query[name])):
                        raise ValueError(f"says {name}={url.query[name]}, which is not a file")
                return value
            case _:
                raise ValueError("must begin with sqlite:// or postgresql://")

    @field_validator("amqp_uri")
    @classmethod
    def _known_broker(cls, value: str | None) -> str | None:
        for name, file in parse_qsl(urlsplit(value or "").query, keep_blank_values=True):
            if name not in BROKER_FILES:
                raise ValueError(f"says {name}, which is not one of {', '.join(BROKER_FILES)}")
            if not os.path.isfile(file):
                raise ValueError(f"says {name}={file}, which is not a file")
        return value

    @field_validator("oidc_jwks")
    @classmethod
    def _file_or_http(cls, value: str) -> str:
        if not (re.match("https?://[^/]", value) if "://" in value else os.path.isfile(value)):
            raise ValueError("must be a file, or a URL that begins with http:// or https://")
        return value

    @field_validator("keyring_file")
    @classmethod
    def _is_file(cls, value: Path) -> Path:
        if not os.path.isfile(value):
            # The path is not told: someone may have set the keyring itself.
            raise ValueError("is not a file")
        return value

    def database_for(self, service: str) -> str:
        """The database URL of one service."""
        return self.database_url.replace("{service}", service)


def read_settings(kind: type[S]) -> S:
    """The settings from the environment. Raises SystemExit naming every variable that is missing or wrong."""
    try:
        # mypy does not know that the fields come from the environment.
        return kind()  # type: ignore[call-arg]
    except ValidationError as error:
        lines = [
            # The variable only: a place inside its value is no name in the environment.
            f"  TULOU_{str(e['loc'][0]).upper()}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors(include_input=False)
        ]
        raise SystemExit("\n".join(["These settings are missing or wrong:", *lines])) from None
