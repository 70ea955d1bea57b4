"""How HTTP is read: by httptools where it is installed, otherwise by h11; heads are bounded."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import Any, Literal


def http_protocol(most_bytes: int) -> type[asyncio.Protocol] | Literal["h11"]:
    """The protocol that uvicorn speaks with; a head that is longer and not whole is refused.

    h11 has a bound of its own, which uvicorn passes on.
    """
    if find_spec("httptools") is None:
        return "h11"
    # An optional dependency.
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol  # noqa: PLC0415

    class Bounded(HttpToolsProtocol):
        """Refuses heads that do not end."""

        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self._in_head, self._ended, self._n_bytes = True, False, 0

        def data_received(self, data: bytes) -> None:
            """Gives the parser what came; the parser itself would keep any number of bytes."""
            self._ended = False
            super().data_received(data)
            if self._in_head and not self._ended:
                self._n_bytes += len(data)
                if self._n_bytes > most_bytes:
                    self.send_400_response("The head of the request is too long.")

        def on_headers_complete(self) -> None:
            """Begins the answer."""
            self._in_head = False
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            """Waits for the next head."""
            self._in_head, self._ended, self._n_bytes = True, True, 0
            super().on_message_complete()

    return Bounded
