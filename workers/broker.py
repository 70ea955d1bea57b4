"""Kombu's connection to Redis, which waits for one that takes no writes as for one that is away."""

from __future__ import annotations

from typing import Any

from kombu import Connection
from kombu.transport import redis as transport
from kombu.transport import virtual
from redis.exceptions import ResponseError
from typing_extensions import override

from autointerp.store.redis_connection import PREFIX
from autointerp.store.redis_faults import write_probe

_PROBE_KEY = f"{PREFIX}probe:queues"


class _Acknowledging(transport.QoS):  # type: ignore[misc]
    @override
    def ack(self, delivery_tag: str) -> None:
        try:
            super().ack(delivery_tag)
        except Exception:
            # It would take the place of the next one for ever. The message comes again some time
            # later, and finds its work done.
            virtual.QoS.ack(self, delivery_tag)
            raise


class _Channel(transport.Channel):  # type: ignore[misc]
    QoS = _Acknowledging

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        try:
            # A replica, or a server that is full, answers, but hands out no message.
            write_probe(self.client, _PROBE_KEY)
        except Exception:
            self.connection.cycle.discard(self)
            self._disconnect_pools()
            raise


class _Transport(transport.Transport):  # type: ignore[misc]
    Channel = _Channel
    connection_errors = (*transport.Transport.connection_errors, ResponseError)

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        # Set anew by the above.
        self.connection_errors = _Transport.connection_errors


class BrokerConnection(Connection):  # type: ignore[misc]
    """A connection whose refusals of writes count as its loss: it is opened again until they end.

    Celery ends a worker over a refusal, but waits for a server that is away.
    """

    @override
    def get_transport_cls(self) -> type[_Transport]:
        return _Transport
