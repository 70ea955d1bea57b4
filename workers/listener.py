"""Answers questions of the API beside the making of labels: a thread in every worker of labels."""

from __future__ import annotations

import logging
import threading

from autointerp.core.errors import AutointerpError
from autointerp.orchestration.naming import LABELS

from .tasks import Floor

_LOG = logging.getLogger(__name__)
_LISTEN_S, _AGAIN_S = 2.0, 1.0


class Listener:
    """Waits for questions, one after the other: chunks of labels take minutes, callers seconds."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="questions", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends."""
        self._ended.set()

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                self._floor.workshop.answer_waiting(LABELS, wait_s=_LISTEN_S)
            except AutointerpError as error:
                _LOG.warning("no question could be taken: %s", error)
                self._ended.wait(_AGAIN_S)
            except Exception:  # noqa: BLE001 - outermost frame of a thread that must not end
                _LOG.exception("a question failed")
                self._ended.wait(_AGAIN_S)
