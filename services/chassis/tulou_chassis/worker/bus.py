"""The two ways in which events travel: over RabbitMQ, or straight to the subscribers in the same process."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, urlsplit

from amqp.exceptions import AMQPError, MessageNacked
from kombu.connection import Connection
from kombu.entity import Exchange
from kombu.exceptions import OperationalError
from kombu.messaging import Producer

from tulou.type.v1.event_pb2 import Event

EXCHANGE: Final = Exchange("tulou.events", type="topic", durable=True)  # type: ignore[no-untyped-call]
CONTENT_TYPE: Final = "application/cloudevents+protobuf"
CONFIRM_SECONDS: Final = 10
CONNECT_SECONDS: Final = 5
# What a connection to the broker may raise when the broker is away, goes away or refuses.
BROKER_ERRORS: Final = (AMQPError, MessageNacked, OperationalError, OSError)


def broker(uri: str, **options: Any) -> Connection:
    """A connection to RabbitMQ, not made yet. With amqps:// the broker's certificate and name are checked, against the
    system's authorities or those in the file that `?cacertfile=` names; `certfile` and `keyfile` are our own.
    """
    parts = urlsplit(uri)
    files = dict(parse_qsl(parts.query))
    tls: dict[str, Any] | bool = parts.scheme == "amqps" and {
        "server_hostname": parts.hostname,
        "cert_reqs": ssl.CERT_REQUIRED,
        "ca_certs": files.get("cacertfile"),
        "certfile": files.get("certfile"),
        "keyfile": files.get("keyfile"),
    }
    return Connection(  # type: ignore[no-untyped-call]
        parts._replace(query="").geturl(), ssl=tls, connect_timeout=CONNECT_SECONDS, **options
    )


class BusError(Exception):
    """The event was not taken over; it is to be offered again."""


class Bus(Protocol):
    """Takes events over: one relay's, in their order."""

    def publish(self, event: Event) -> None:
        """Hands the event over. Raises BusError."""

    def settle(self) -> None:
        """Returns when all that was handed over is safe: with the broker, or with all subscribers. Raises BusError."""

    def close(self) -> None:
        """Lets go of what it holds; a later `publish` takes it again."""


class LocalBus:
    """The subscribers of the services in this process."""

    def __init__(self) -> None:
        self.subscribers: list[Callable[[Event], None]] = []

    def publish(self, event: Event) -> None:
        """Returns when every handler has succeeded or buried the event. Raises BusError when a subscriber stops."""
        for deliver in self.subscribers:
            deliver(event)

    def settle(self) -> None:
        """Does nothing: what was published is safe."""

    def close(self) -> None:
        """Does nothing."""


class AmqpBus:
    """The topic exchange `tulou.events`. One connection, made when it is first used and again after each failure."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._connection: Connection | None = None
        self._producer: Producer | None = None
        self._sent = 0
        self._unconfirmed: set[int] = set()

    def publish(self, event: Event) -> None:
        """Sends the event. Waiting for the broker's word on each would take a disk's time for each (see `settle`)."""
        with self._closing_on_failure():
            producer = self._producer or self._connect()
            self._sent += 1
            self._unconfirmed.add(self._sent)
            producer.publish(  # type: ignore[no-untyped-call]
                event.SerializeToString(),
                routing_key=f"{event.source}.{event.type}",
                content_type=CONTENT_TYPE,
                content_encoding="binary",
                delivery_mode="persistent",
                message_id=event.id,
                headers={"traceparent": event.traceparent},
            )

    def settle(self) -> None:
        """Returns when the broker has confirmed that it keeps all that was sent. Raises BusError."""
        with self._closing_on_failure():
            while self._unconfirmed:
                if self._connection is None:
                    raise ConnectionError("the connection was lost before the broker had confirmed")
                self._connection.drain_events(timeout=CONFIRM_SECONDS)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            # Without a word to a broker that may not be there.
            self._connection.collect()  # type: ignore[no-untyped-call]
        self._connection = self._producer = None

    @contextmanager
    def _closing_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BROKER_ERRORS as error:
            self.close()
            raise BusError(f"{type(error).__name__}: {error}") from error

    def _connect(self) -> Producer:
        self._connection = broker(self._uri)
        channel = self._connection.channel()  # type: ignore[no-untyped-call]
        channel.confirm_select()
        channel.events["basic_ack"].add(self._confirmed)
        channel.events["basic_nack"].add(self._refused)
        self._sent = 0
        self._unconfirmed.clear()
        # Made with a channel of its own it declares the exchange at once.
        self._producer = Producer(channel, exchange=EXCHANGE)  # type: ignore[no-untyped-call]
        return self._producer

    def _confirmed(self, tag: int, multiple: bool) -> None:
        self._unconfirmed -= {sent for sent in self._unconfirmed if sent <= tag} if multiple else {tag}

    def _refused(self, tag: int, multiple: bool) -> None:
        raise MessageNacked
