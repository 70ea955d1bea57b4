"""``autointerp serve``: the API on a Redis, or with everything it needs on this machine."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli.rendering.console import say
from autointerp.core.errors import InputError, UpstreamError

if TYPE_CHECKING:
    from autointerp.serving.valkey import Valkey
    from autointerp.settings import Settings

# A caller of the API waits no longer for Redis than this.
_PATIENCE_S = 5.0


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def serve(
        host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
        port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)] = 8000,
        embedded: Annotated[
            bool, typer.Option("--embedded", help="Start Redis and workers as well.")
        ] = False,
        redis: Annotated[
            str | None, typer.Option(metavar="URL", help="Redis that workers share.")
        ] = None,
        data: Annotated[
            Path | None, typer.Option(metavar="DIR", help="Folder that --embedded keeps.")
        ] = None,
    ) -> None:
        """Serves the API; with --embedded everything that it needs on this machine."""
        from autointerp.settings import read_settings  # noqa: PLC0415 - not needed for --help

        changes = {"redis_url": redis, "data_dir": data}
        settings = read_settings().model_copy(
            update={name: value for name, value in changes.items() if value is not None}
        )
        if embedded and redis is not None:
            msg = "--embedded starts a Redis of its own; leave out --redis or --embedded"
            raise InputError(msg)
        if embedded:
            _serve_everything(settings, host, port)
        else:
            _serve_api(settings, host, port)


def _serve_api(settings: Settings, host: str, port: int) -> None:
    from autointerp.api import Services  # noqa: PLC0415 - brings FastAPI
    from autointerp.api.server import config_of, refuse_open, serve  # noqa: PLC0415
    from autointerp.serving.programs import workers_package  # noqa: PLC0415
    from autointerp.wiring.backends import build_job_service, open_backends  # noqa: PLC0415

    config = config_of(settings)
    refuse_open(host, config.keys)
    backends = open_backends(settings, patience_s=_PATIENCE_S)
    queues = import_module(f"{workers_package()}.celery_app")
    app = queues.build_app(settings.redis_url)
    send_request = queues.request_sender(app, backends.backend.mailbox)
    jobs = build_job_service(settings, backends, send=queues.sender(app), send_request=send_request)
    services = Services(
        backend=backends.backend, stores=backends.stores, job_service=jobs, config=config
    )
    serve(services, host=host, port=port)


def _serve_everything(settings: Settings, host: str, port: int) -> None:
    from autointerp.api.server import config_of, refuse_open  # noqa: PLC0415 - brings FastAPI
    from autointerp.orchestration.naming import QUEUES  # noqa: PLC0415
    from autointerp.serving.programs import (  # noqa: PLC0415
        api_program,
        settings_for,
        worker_program,
    )
    from autointerp.serving.supervisor import Supervisor  # noqa: PLC0415
    from autointerp.serving.valkey import Valkey  # noqa: PLC0415

    refuse_open(host, config_of(settings).keys)
    folder = settings.data_dir.absolute()
    given = {
        "data_dir": folder,
        "store": settings.store or f"json:{folder / 'labels'}",
        "artifacts": settings.artifacts or str(folder / "artifacts"),
    }
    server = Valkey(folder / "valkey")
    supervisor = Supervisor(
        server,
        (api_program(host=host, port=port), *map(worker_program, QUEUES)),
        lambda url: settings_for(os.environ, redis_url=url, **given),
        folder / "logs",
    )
    say(f"starting; logs and data are in {folder}")
    is_ready = _Ready(server, f"http://{_reached(host)}:{port}")
    supervisor.run(
        ready=is_ready, told=lambda what: say(f"{what}: {is_ready.address}, its API at /docs")
    )


def _reached(host: str) -> str:
    if host in {"0.0.0.0", "::"}:
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


class _Ready:
    """Whether the API answers and a worker of each kind lives."""

    def __init__(self, server: Valkey, address: str) -> None:
        self._server, self.address = server, address

    def __call__(self) -> bool:
        import httpx  # noqa: PLC0415 - not needed for --help

        from autointerp.orchestration.naming import QUEUES  # noqa: PLC0415
        from autointerp.store.jobs.redis_backend import redis_backend  # noqa: PLC0415
        from autointerp.store.redis_connection import RedisConnection  # noqa: PLC0415

        try:
            httpx.get(f"{self.address}/healthz", timeout=1.0)
            connection = RedisConnection(self._server.url, patience_s=1.0)
            living = redis_backend(connection).workers.alive()
        except (httpx.HTTPError, UpstreamError):
            return False
        return set(QUEUES) <= {worker.queue for worker in living}
