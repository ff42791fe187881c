"""The two ways in which events travel: over RabbitMQ, or straight to the subscribers in the same process."""

from collections.abc import Callable
from typing import Final, Protocol

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


class BusError(Exception):
    """The event was not taken over; it is to be offered again."""


class Bus(Protocol):
    """Takes events over."""

    def publish(self, event: Event) -> None:
        """Returns when the event is safe: with the broker, or with all subscribers. Raises BusError."""

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

    def close(self) -> None:
        """Does nothing."""


class AmqpBus:
    """The topic exchange `tulou.events`. One connection, made when it is first used and again after each failure."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._connection: Connection | None = None
        self._producer: Producer | None = None

    def publish(self, event: Event) -> None:
        """Returns when the broker has confirmed that it keeps the event. Raises BusError."""
        try:
            producer = self._producer or self._connect()
            producer.publish(  # type: ignore[no-untyped-call]
                event.SerializeToString(),
                routing_key=f"{event.source}.{event.type}",
                content_type=CONTENT_TYPE,
                content_encoding="binary",
                delivery_mode="persistent",
                message_id=event.id,
                headers={"traceparent": event.traceparent},
                confirm_timeout=CONFIRM_SECONDS,
            )
        except BROKER_ERRORS as error:
            self.close()
            raise BusError(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            # Without a word to a broker that may not be there.
            self._connection.collect()  # type: ignore[no-untyped-call]
        self._connection = self._producer = None

    def _connect(self) -> Producer:
        self._connection = Connection(  # type: ignore[no-untyped-call]
            self._uri, connect_timeout=CONNECT_SECONDS, transport_options={"confirm_publish": True}
        )
        # Made with a channel of its own it declares the exchange at once.
        channel = self._connection.channel()  # type: ignore[no-untyped-call]
        self._producer = Producer(channel, exchange=EXCHANGE)  # type: ignore[no-untyped-call]
        return self._producer
