"""Limits of LLM endpoints that all workers share, kept in Redis. Times are the server's."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from typing import Any

from typing_extensions import override

from autointerp.core.backoff import Backoff
from autointerp.core.errors import AutointerpError, UpstreamError
from autointerp.core.limits import EndpointLimits, LimitGrant, LimitReport, LimitStore
from autointerp.store.redis.limit_script import EXCHANGE
from autointerp.store.redis_connection import PREFIX, RedisConnection

_LOG = logging.getLogger(__name__)
_ANSWER_S = 1.0
_BACKOFF = Backoff(0.5, 10.0)


class RedisLimitStore(LimitStore):
    """Keeps limits in Redis. An exchange is one command, which several threads may send.

    While the server is away, it is tried again after waits that double, and every exchange in
    between fails at once.
    """

    def __init__(self, url: str) -> None:
        """Nothing is sent yet.

        Args:
            url: ``redis://``, ``rediss://`` or ``unix://``.
        """
        self._url = url
        self._lock = threading.Lock()
        self._link: RedisConnection | None = None
        self._n_failed, self._retry_at = 0, 0.0

    @override
    def exchange(self, endpoint: str, limits: EndpointLimits, report: LimitReport) -> LimitGrant:
        if time.monotonic() < self._retry_at:
            msg = "Redis could not be reached a moment ago"
            raise UpstreamError(msg, retryable=True)
        # Addresses may hold passwords, and keys are seen by whoever looks into the server.
        name = f"{PREFIX}limits:{hashlib.sha256(endpoint.encode()).hexdigest()[:32]}"
        try:
            reply = self._open().script(
                EXCHANGE, [name, f"{name}:holders"], _arguments(limits, report)
            )
        except AutointerpError as error:
            self._failed(error)
            raise
        self._recovered()
        n, round_, wait_ms, n_sharing = reply
        return LimitGrant(int(n), int(round_), int(wait_ms) / 1000, int(n_sharing))

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        if self._link is not None:
            self._link.close()

    def _open(self) -> RedisConnection:
        with self._lock:
            if self._link is None:
                self._link = RedisConnection(self._url, patience_s=0.0, answer_s=_ANSWER_S)
            return self._link

    def _failed(self, error: Exception) -> None:
        with self._lock:
            if not self._n_failed:
                _LOG.warning(
                    "this worker uses only its own share of the limits of LLMs until Redis "
                    "is back: %s",
                    error,
                )
            self._n_failed += 1
            self._retry_at = time.monotonic() + _BACKOFF.wait_s(self._n_failed)

    def _recovered(self) -> None:
        if self._n_failed:
            with self._lock:
                self._n_failed = 0
            _LOG.info("limits of LLMs are shared through Redis again")


def _arguments(limits: EndpointLimits, report: LimitReport) -> list[Any]:
    return [
        report.holder,
        int(1000 * report.lease_s),
        report.used,
        limits.in_flight,
        limits.requests or 0,
        limits.tokens or 0,
        report.n_succeeded,
        -1 if report.refused_round is None else report.refused_round,
        report.tokens,
        int(1000 * report.pause_s),
        0 if report.held_s is None else max(1, int(1000 * report.held_s)),
        *report.wanted,
    ]
