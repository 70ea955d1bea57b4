"""The API as a process: its configuration from settings, and uvicorn on a port."""

from __future__ import annotations

import copy
import gc
import logging
import logging.config
import sys
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from autointerp.api.api_config import ApiConfig, ApiLimits, KeyRing
from autointerp.api.app import create_app
from autointerp.api.app_state import Services
from autointerp.api.connections import HEAD_S, Connections, GuardedProtocol
from autointerp.api.middleware.security import is_loopback
from autointerp.api.served_rescorings import ServedRescorings
from autointerp.core.errors import InputError
from autointerp.settings import Settings
from autointerp.wiring.backends import known_shapes, providers_of

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
_SWITCH_S = 0.0005
_IDLE_S, _STOP_S, _CONNECTIONS = 30, 5, 1000


def config_of(settings: Settings) -> ApiConfig:
    """The API's part of the settings.

    Raises:
        InputError: a key, the file of providers or a folder of rescored labels cannot be used.
    """
    ServedRescorings(settings.rescored)
    return ApiConfig(
        keys=KeyRing.of(key.get_secret_value() for key in settings.api_keys),
        providers=providers_of(settings),
        shapes=known_shapes(settings),
        folder=settings.cache_dir / "downloads",
        indexes=settings.cache_dir / "indexes",
        store_address=_address_of(settings.store or settings.redis_url or ""),
        replies=settings.cache_dir / "replies",
        rescored=settings.rescored,
        limits=ApiLimits(
            job_units=settings.limits_units,
            jobs_waiting=settings.limits_jobs,
            body_bytes=settings.limits_body,
            text_tokens=settings.limits_text,
        ),
    )


def _address_of(store: str) -> str:
    """The absolute folder of a store, or its address without user and password."""
    kind, _, folder = store.partition(":")
    if kind == "json":
        return str(Path(folder).absolute())
    scheme, at, rest = store.partition("://")
    return scheme + at + rest.rpartition("@")[2]


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
    # What is made at the start stays: searches for garbage among it take a tenth of the time.
    gc.disable()
    app = create_app(services, settled=_settle)
    server = uvicorn.Server(uvicorn_config(app, host=host, port=port))
    server.run()


def _settle() -> None:
    """Excludes what is loaded now from garbage collection, whose full passes delay requests."""
    gc.collect()
    gc.freeze()
    gc.enable()


def uvicorn_config(
    app: Any,
    *,
    host: str,
    port: int,
    connections: Connections | None = None,
    head_s: float = HEAD_S,
) -> uvicorn.Config:
    """How uvicorn runs it: requests are logged by the application, connections are counted.

    Where uvloop is installed, which takes half the time, it is used.
    """
    protocol = partial(GuardedProtocol, connections=connections or Connections(), head_s=head_s)
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol,  # type: ignore[arg-type]  # What makes one, as a class would.
        loop="auto",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=_STOP_S,
        limit_concurrency=_CONNECTIONS,
    )
