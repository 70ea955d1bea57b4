"""Holds requests to an endpoint back, so that a test can act at a moment that it knows."""

from __future__ import annotations

import threading
from collections.abc import Callable

from fake_endpoint import FakeEndpoint

from autointerp.llm import ChatReply, ChatRequest


class HeldRequests:
    """Stands before an endpoint's handler, and holds requests back from some moment on."""

    def __init__(self, endpoint: FakeEndpoint, *, hold_when: Callable[[], bool]) -> None:
        """Holds requests back from the handler that the endpoint has now.

        Args:
            endpoint: whose handler it takes the place of.
            hold_when: asked at each request; where it is true the request waits for `release`.
        """
        self._endpoint, self._handler = endpoint, endpoint.handler
        self._hold_when, self._released = hold_when, threading.Event()
        endpoint.handler = self

    def __call__(self, request: ChatRequest) -> str | ChatReply | Exception:
        """The handler's answer, when it may be given."""
        if not self._released.is_set() and self._hold_when():
            while not self._released.wait(0.05) and not self._endpoint.stopping.is_set():
                pass
        return self._handler(request)

    def release(self) -> None:
        """Passes on all requests that wait, and all that come."""
        self._released.set()
