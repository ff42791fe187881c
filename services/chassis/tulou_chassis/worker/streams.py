"""Events from RabbitMQ: one durable queue for each subscribing service and source, read in order by one consumer."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import structlog
from eventlet.queue import LightQueue
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.message import Message
from kombu.mixins import ConsumerMixin

from tulou_chassis.worker.bus import BROKER_ERRORS, EXCHANGE, broker

PREFETCH: Final = 20
# A broker that has been silent for two of these is given up, and so is a consumer by the broker: another worker's turn.
HEARTBEAT_SECONDS: Final = 15
RECONNECT_SECONDS: Final = 5
log = structlog.get_logger()


class Stream:
    """What one service has subscribed to of one source. `inbound` holds the messages that came and wait."""

    def __init__(self, service: str, source: str, types: Iterable[str]) -> None:
        self.source = source
        self.inbound: LightQueue = LightQueue()
        self._ended = False
        # Of several workers the broker feeds one: the order of the queue is the order of the work.
        self.queue = Queue(  # type: ignore[no-untyped-call]
            f"tulou.{service}.{source}",
            bindings=[
                EXCHANGE.binding(routing_key=f"{source}.{type_}")  # type: ignore[no-untyped-call]
                for type_ in sorted(types)
            ],
            durable=True,
            queue_arguments={"x-single-active-consumer": True},
        )

    def restart(self) -> None:
        """Forgets what came over a connection that is gone: the broker sends it again."""
        while not self.inbound.empty():
            self.inbound.get_nowait()
        if self._ended:
            self.inbound.put(None)

    def end(self) -> None:
        """Puts None behind what came."""
        self._ended = True
        self.inbound.put(None)


class StreamReader(ConsumerMixin):
    """Fills the streams over one connection, and makes it anew for as long as it takes."""

    def __init__(self, uri: str, streams: Sequence[Stream], declared: Callable[[], None]) -> None:
        self.connection = broker(uri, heartbeat=HEARTBEAT_SECONDS)
        self._streams = streams
        self._declared = declared
        # Whether the queues are read.
        self.connected = False

    def get_consumers(self, consumer: Any, channel: object) -> list[Any]:
        """The consumers of a new connection."""
        for stream in self._streams:
            stream.restart()
        return [
            consumer(queues=[stream.queue], on_message=stream.inbound.put, prefetch_count=PREFETCH)
            for stream in self._streams
        ]

    @contextmanager
    def establish_connection(self) -> Iterator[Connection]:
        """A connection, however often it has to be tried. kombu's own waits up to 30 seconds between tries."""
        self.connected = False
        with self.create_connection() as connection:  # type: ignore[no-untyped-call]
            connection.ensure_connection(
                self.on_connection_error, interval_start=1, interval_step=1, interval_max=RECONNECT_SECONDS
            )
            try:
                yield connection
            except BROKER_ERRORS:
                # Without a word more: kombu would wait for an answer to it, for ever where none comes.
                connection.collect()
                raise

    def on_consume_ready(self, *_: object, **__: object) -> None:
        """The queues are there: from now on events wait in them."""
        self.connected = True
        self._declared()

    def on_connection_error(self, error: Exception, interval: float) -> None:
        """Says that the broker cannot be reached."""
        log.warning("broker_unreachable", error=str(error), retry_in=interval)


def acknowledge(message: Message) -> None:
    """Takes the message off its queue. Where its connection is gone it comes again, and the inbox knows it."""
    try:
        message.ack()  # type: ignore[no-untyped-call]
    except BROKER_ERRORS as error:
        log.info("not_acknowledged", error=str(error))
