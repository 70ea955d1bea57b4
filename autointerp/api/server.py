"""The API as a process: its configuration from settings, and uvicorn on a port."""

from __future__ import annotations

import asyncio
import copy
import gc
import logging
import logging.config
import sys
from importlib.util import find_spec
from typing import Any, Literal

import uvicorn
from typing_extensions import override

from autointerp.api.api_config import ApiConfig, ApiLimits, KeyRing
from autointerp.api.app import create_app
from autointerp.api.app_state import Services
from autointerp.api.middleware.security import is_loopback
from autointerp.core.errors import InputError
from autointerp.settings import Settings
from autointerp.wiring.backends import providers_of

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"lines": {"()": "autointerp.api.middleware.request_log.JsonLines"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "lines"},
    },
    "loggers": {
        "autointerp": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
    },
}
"""Everything that is logged is a line of JSON on stderr."""
_HEADER_BYTES = 32 * 1024
_SWITCH_S = 0.0005
_IDLE_S, _STOP_S, _CONNECTIONS = 30, 5, 1000


def config_of(settings: Settings) -> ApiConfig:
    """The API's part of the settings.

    Raises:
        InputError: a key or the file of providers cannot be used.
    """
    return ApiConfig(
        keys=KeyRing.of(key.get_secret_value() for key in settings.api_keys),
        providers=providers_of(settings),
        folder=settings.cache_dir / "downloads",
        limits=ApiLimits(
            job_units=settings.limits_units,
            jobs_waiting=settings.limits_jobs,
            body_bytes=settings.limits_body,
            text_tokens=settings.limits_text,
        ),
    )


def refuse_open(host: str, keys: KeyRing) -> None:
    """Refuses to listen for strangers without API keys.

    Raises:
        InputError: the host is not loopback, and there are no keys.
    """
    if not keys and not is_loopback(host):
        raise InputError(
            f"without API keys the server listens on loopback only, not on {host}; "
            "set AUTOINTERP_API_KEYS or use --host 127.0.0.1"
        )


def serve(services: Services, *, host: str, port: int) -> None:
    """Answers until it is asked to stop.

    Raises:
        InputError: without keys, a host that is not loopback.
    """
    refuse_open(host, services.config.keys)
    logging.config.dictConfig(copy.deepcopy(LOGGING))
    # A thread that computes gives way to the event loop sooner than Python's 5 ms.
    sys.setswitchinterval(_SWITCH_S)
    app = create_app(services, settled=_settle)
    server = uvicorn.Server(uvicorn_config(app, host=host, port=port))
    server.run()


def _settle() -> None:
    """Excludes what is loaded now from garbage collection, whose full passes delay requests."""
    gc.collect()
    gc.freeze()


def uvicorn_config(app: Any, *, host: str, port: int) -> uvicorn.Config:
    """How uvicorn runs it: requests are logged by the application, headers are bounded.

    Where httptools and uvloop are installed, which take half the time, they are used.
    """
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=http_protocol(_HEADER_BYTES),
        loop="auto",
        h11_max_incomplete_event_size=_HEADER_BYTES,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=_STOP_S,
        limit_concurrency=_CONNECTIONS,
    )


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

        @override
        def data_received(self, data: bytes) -> None:
            # The parser itself would keep any number of bytes.
            self._ended = False
            super().data_received(data)
            if self._in_head and not self._ended:
                self._n_bytes += len(data)
                if self._n_bytes > most_bytes:
                    self.send_400_response("The head of the request is too long.")

        @override
        def on_headers_complete(self) -> None:
            self._in_head = False
            super().on_headers_complete()

        @override
        def on_message_complete(self) -> None:
            self._in_head, self._ended, self._n_bytes = True, True, 0
            super().on_message_complete()

    return Bounded
