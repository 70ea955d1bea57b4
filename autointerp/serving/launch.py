"""Starting the API on a Redis, or the whole service on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module

import httpx

from autointerp.api import Services
from autointerp.api.server import config_of, refuse_open, serve
from autointerp.core.errors import UpstreamError
from autointerp.orchestration.plan import QUEUES
from autointerp.serving.supervisor import (
    Supervisor,
    api_program,
    settings_for,
    worker_program,
    workers_package,
)
from autointerp.serving.valkey import Valkey
from autointerp.settings import Settings
from autointerp.store.jobs.redis_backend import redis_backend
from autointerp.store.redis_connection import RedisConnection
from autointerp.wiring.backends import build_job_service, open_backends

_REDIS_PATIENCE_S = 5.0
"""How long a request to the API waits for Redis at most."""


def serve_api(settings: Settings, *, host: str, port: int) -> None:
    """Serves the API on the Redis of the settings until it is stopped.

    Raises:
        InputError: the settings cannot be used.
        UpstreamError: Redis cannot be reached.
    """
    config = config_of(settings)
    refuse_open(host, config.keys)
    backends = open_backends(settings, patience_s=_REDIS_PATIENCE_S)
    queues = import_module(f"{workers_package()}.celery_app")
    app = queues.build_app(settings.redis_url)
    send_request = queues.request_sender(app, backends.backend.mailbox)
    jobs = build_job_service(settings, backends, send=queues.sender(app), send_request=send_request)
    services = Services(
        backend=backends.backend, stores=backends.stores, job_service=jobs, config=config
    )
    serve(services, host=host, port=port)


def serve_everything(
    settings: Settings, *, host: str, port: int, on_event: Callable[[str], None]
) -> None:
    """Runs the API, Redis and workers on this machine until it is stopped.

    Raises:
        InputError: the settings cannot be used, or the folder is already served.
        UpstreamError: Redis does not start.
    """
    refuse_open(host, config_of(settings).keys)
    folder = settings.data_dir.absolute()
    values = {
        "data_dir": folder,
        "store": settings.store or f"json:{folder / 'labels'}",
        "artifacts": settings.artifacts or str(folder / "artifacts"),
        "rescored": ",".join(str(one.absolute()) for one in settings.rescored),
    }
    server = Valkey(folder / "valkey")
    supervisor = Supervisor(
        server,
        (api_program(host=host, port=port), *map(worker_program, QUEUES)),
        lambda url: settings_for(os.environ, redis_url=url, **values),
        folder / "logs",
    )
    on_event(f"starting; logs and data are in {folder}")
    address = f"http://{_local_address(host)}:{port}"
    supervisor.run(
        ready=lambda: is_ready(server, address),
        on_event=lambda message: on_event(f"{message}: {address} in a browser, its API at /docs"),
    )


def _local_address(host: str) -> str:
    if host in {"0.0.0.0", "::"}:
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def is_ready(server: Valkey, address: str) -> bool:
    """Whether the API answers and a worker of each kind is running."""
    try:
        httpx.get(f"{address}/healthz", timeout=1.0)
        workers = redis_backend(RedisConnection(server.url, patience_s=1.0)).workers.alive()
    except (httpx.HTTPError, UpstreamError):
        return False
    return set(QUEUES) <= {worker.queue for worker in workers}
