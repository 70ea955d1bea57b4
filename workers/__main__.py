"""``python -m workers activations`` or ``labels``: one worker process."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from typing import Any

from celery import signals

from autointerp.core.errors import InputError
from autointerp.core.garbage import search_for_garbage_less
from autointerp.orchestration.plan import ACTIVATIONS, LABELS, QUEUES
from autointerp.settings import read_settings

from .background import Heartbeat, RequestListener
from .celery_app import build_app, sender
from .process import WorkerProcess, register

_DAY_S = 86_400.0
_NO_REDIS = "a worker needs Redis: set AUTOINTERP_REDIS_URL"


def main(arguments: Sequence[str]) -> int:
    """Runs until it is asked to stop; the exit code."""
    asked = _parser().parse_args(arguments)
    search_for_garbage_less()
    _log_as_json(asked.log_level)
    try:
        settings = read_settings()
        if settings.redis_url is None:
            raise InputError(_NO_REDIS)
        app = build_app(settings.redis_url)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    process = WorkerProcess(app, settings)
    register(app, process)
    keep_s = settings.keep_jobs_days * _DAY_S
    threads: list[Heartbeat | RequestListener] = [
        Heartbeat(process, asked.queue, sender(app), keep_jobs_s=keep_s)
    ]
    if asked.queue == LABELS:
        threads.append(RequestListener(process))
    _run_beside(process, threads)
    pool = asked.pool or ("solo" if asked.queue == ACTIVATIONS else "threads")
    worker = app.Worker(
        hostname=f"{asked.queue}@{process.name}",
        pool_cls=pool,
        concurrency=asked.concurrency,
        queues=[asked.queue],
        loglevel=asked.log_level,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="workers", description=__doc__)
    parser.add_argument("queue", choices=QUEUES)
    parser.add_argument("--concurrency", type=int, default=1, help="chunks of labels at one time")
    parser.add_argument("--pool", choices=("solo", "threads", "prefork"), default=None)
    parser.add_argument("--log-level", default="INFO")
    return parser


# Signals hold their receivers by weak references.
_RECEIVERS: list[object] = []


def _run_beside(process: WorkerProcess, threads: Sequence[Heartbeat | RequestListener]) -> None:
    """Runs the threads while Celery's worker runs, and closes the process before it stops."""

    def ready(**_: Any) -> None:
        for thread in threads:
            thread.start()

    def stopping(**_: Any) -> None:
        for thread in threads:
            thread.stop()
        process.close()

    _RECEIVERS.extend((ready, stopping))
    signals.worker_ready.connect(ready)
    signals.worker_shutting_down.connect(stopping)


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """One JSON object a line."""
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _log_as_json(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("httpx", "httpx2", "celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
