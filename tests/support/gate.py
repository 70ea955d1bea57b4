"""Keeps what an endpoint is asked waiting, so that a test can act at a moment that it knows."""

from __future__ import annotations

import threading
from collections.abc import Callable

from fake_endpoint import FakeEndpoint

from autointerp.llm import ChatReply, ChatRequest


class Gate:
    """Stands before the endpoint's handler, and lets nobody through from some moment on."""

    def __init__(self, endpoint: FakeEndpoint, *, shut_when: Callable[[], bool]) -> None:
        """A gate before the handler that the endpoint has now.

        Args:
            endpoint: whose handler it takes the place of.
            shut_when: asked at each request; where it is true the request waits for `open`.
        """
        self._endpoint, self._handler = endpoint, endpoint.handler
        self._shut_when, self._opened = shut_when, threading.Event()
        endpoint.handler = self

    def __call__(self, request: ChatRequest) -> str | ChatReply | Exception:
        """The handler's answer, when it may be given."""
        if not self._opened.is_set() and self._shut_when():
            while not self._opened.wait(0.05) and not self._endpoint.stopping.is_set():
                pass
        return self._handler(request)

    def open(self) -> None:
        """Lets all through that wait, and all that come."""
        self._opened.set()
