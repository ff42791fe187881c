"""The city's services. A new one is an entry here, in the Procfile and in the gateway's clusters."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Service:
    """A service and where its two ports lie, counted from the city's first port."""

    name: str
    grpc_offset: int
    metrics_offset: int


SERVICES: Final = (
    Service("approval", grpc_offset=10, metrics_offset=11),
    Service("credit", grpc_offset=12, metrics_offset=13),
)
