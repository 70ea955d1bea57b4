"""Threads beside the work: heartbeats with the reconciler, and replies to requests of the API."""

from __future__ import annotations

import json
import logging
import threading
import time
from abc import ABC, abstractmethod
from importlib.util import find_spec

from typing_extensions import override

from autointerp.core.errors import AutointerpError
from autointerp.core.files import SMOLLM2_GGUF
from autointerp.orchestration import Send, reconcile, remove_expired
from autointerp.orchestration.plan import LABELS

from .process import WorkerProcess

_LOG = logging.getLogger(__name__)
_HEARTBEAT_S, _ALIVE_S, _LEAD_S = 2.0, 12.0, 8.0
_CLEAN_UP_S = 600.0
_LISTEN_S, _AGAIN_S = 2.0, 1.0


class _Background(ABC):
    """A thread that repeats one step until it is stopped, and survives its errors."""

    def __init__(self, name: str) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends."""
        self._stopped.set()

    @abstractmethod
    def _step(self) -> float:
        """Does one step; seconds until the next."""

    def _run(self) -> None:
        while not self._stopped.is_set():
            pause_s = _AGAIN_S
            try:
                pause_s = self._step()
            except AutointerpError as error:
                _LOG.warning("%s: %s", self._thread.name, error)
            except Exception:  # noqa: BLE001 - outermost frame of a thread that must not end
                _LOG.exception("%s failed", self._thread.name)
            self._stopped.wait(pause_s)


class RequestListener(_Background):
    """Replies to requests one after the other: chunks of labels take minutes, callers seconds."""

    def __init__(self, process: WorkerProcess) -> None:
        super().__init__("requests")
        self._process = process

    @override
    def _step(self) -> float:
        self._process.worker.reply_to_waiting(LABELS, wait_s=_LISTEN_S)
        return 0.0


class Heartbeat(_Background):
    """Registers this worker as alive; sends lost work again where it is the one to do so."""

    def __init__(
        self, process: WorkerProcess, queue: str, send: Send, *, keep_jobs_s: float
    ) -> None:
        """Jobs that have ended are kept for `keep_jobs_s` seconds; 0 is for good."""
        super().__init__("heartbeat")
        self._process, self._queue, self._send = process, queue, send
        self._keep_jobs_s = keep_jobs_s
        self._cleaned_up = 0.0
        self._is_warm = self._has_reported_llm = False

    @override
    def _step(self) -> float:
        process = self._process
        backend, name = process.backends.backend, process.name
        backend.workers.heartbeat(name, self._queue, process.doing, ttl_s=_ALIVE_S)
        backend.jobs.put_note("metrics", name, json.dumps(process.metrics))
        if backend.workers.lead("reconciler", name, ttl_s=_LEAD_S):
            reconcile(backend, self._send)
            self._clean_up()
        if self._queue == LABELS and not self._has_reported_llm:
            backend.jobs.put_note("llms", "embedded", _why_no_embedded_llm())
            self._has_reported_llm = True
        if not self._is_warm:
            # Its imports take seconds, for which the first work item need not wait.
            self._is_warm = process.worker is not None
        return _HEARTBEAT_S

    def _clean_up(self) -> None:
        if not self._keep_jobs_s or time.monotonic() < self._cleaned_up + _CLEAN_UP_S:
            return
        backends, self._cleaned_up = self._process.backends, time.monotonic()
        n = remove_expired(backends.backend.jobs, backends.artifacts, keep_s=self._keep_jobs_s)
        if n:
            _LOG.info("%d jobs that ended long ago were deleted", n)


def _why_no_embedded_llm() -> str:
    """Why this worker could not start one; empty where it could."""
    if find_spec("xllamacpp") is not None and SMOLLM2_GGUF.find() is not None:
        return ""
    return (
        "it is not installed where labels are made: run `pip install 'autointerp[embedded]'` and "
        f"`{SMOLLM2_GGUF.install_command}`"
    )
