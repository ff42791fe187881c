"""What a service process is told by its environment. Read once; a wrong value stops the process with its name."""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AnyHttpUrl, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url

S = TypeVar("S", bound="Settings")


class Settings(BaseSettings):
    """Settings (`TULOU_…`) that every service has. A service's own class adds its fields."""

    model_config = SettingsConfigDict(env_prefix="TULOU_", env_ignore_empty=True, frozen=True, extra="ignore")

    database_url: str = Field(description="sqlite:///… or postgresql://…; {service} stands for the service's name")
    grpc_address: str = Field(default="127.0.0.1:50051", pattern=r"^.+:\d+$")
    metrics_address: str = Field(default="127.0.0.1:9464", pattern=r"^.+:\d+$")
    oidc_issuer: str = Field(min_length=1)
    oidc_audience: str = "tulou"
    oidc_jwks: str = Field(min_length=1, description="a file or an http(s) URL")
    keyring_file: Path
    amqp_uri: str | None = Field(default=None, pattern=r"^amqps?://")
    otlp_endpoint: AnyHttpUrl | None = None
    trace_ratio: float = Field(default=1.0, ge=0, le=1)
    calendar_files: Annotated[tuple[Path, ...], NoDecode] = ()
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    drain_seconds: float = Field(default=20, ge=0, le=300)
    database_pool: int = Field(default=10, ge=1, le=200)

    @field_validator("calendar_files", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part for part in value.split(",") if part) if isinstance(value, str) else value

    @field_validator("calendar_files")
    @classmethod
    def _exists(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        for path in value:
            if not path.is_file():
                raise ValueError(f"{path} is not a file")
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        backend = make_url(value).get_backend_name()
        if backend not in {"sqlite", "postgresql"}:
            raise ValueError(f"sqlite or postgresql, not {backend}")
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
            f"  TULOU_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors(include_input=False)
        ]
        raise SystemExit("The environment is not complete:\n" + "\n".join(lines)) from None
