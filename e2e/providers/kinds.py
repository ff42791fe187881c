"""What a provider of a server hands over, or why it cannot."""

from dataclasses import dataclass


class Unavailable(Exception):
    """This way does not give the server; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server for tests. `uri`'s user may create databases or vhosts; `api` is RabbitMQ's management address."""

    uri: str
    origin: str
    api: str = ""
