"""Takes questions of the API from the mailbox: when nothing else is done, and in the midst of work.

A shard takes minutes, and a caller who typed a text waits seconds.
"""

from __future__ import annotations

import json
import logging
import time

from autointerp.core.errors import AutointerpError
from autointerp.jobs.workshop.answers import Answers
from autointerp.store.jobs import WorkerMailbox

_LOG = logging.getLogger(__name__)
_LOOK_S, _AWAY_S = 0.2, 5.0


class Questions:
    """The questions of one queue of workers."""

    def __init__(self, mailbox: WorkerMailbox, answers: Answers, queue: str) -> None:
        self._mailbox, self._answers, self._queue = mailbox, answers, queue
        self._look_again = 0.0

    def answer_all(self, *, wait_s: float = 0) -> None:
        """Answers every question that waits; waits a while for the first."""
        while (question := self._mailbox.next_request(self._queue, wait_s=wait_s)) is not None:
            kind, payload = json.loads(question.text)
            self._answers.answer(question.id, kind, payload)
            wait_s = 0

    def answer_between(self) -> None:
        """Answers what can be answered without giving up what the work in hand needs.

        It may be called as often as one likes, and does not raise where Redis is away or full:
        the work goes on without it. What needs another model waits in the mailbox, for another
        worker or until this one has nothing to do.
        """
        if time.monotonic() < self._look_again:
            return
        try:
            self._answer_ready()
        except AutointerpError as error:
            _LOG.warning("no question could be taken: %s", error)
            self._look_again = time.monotonic() + _AWAY_S
        else:
            self._look_again = time.monotonic() + _LOOK_S

    def _answer_ready(self) -> None:
        while (question := self._mailbox.next_request(self._queue)) is not None:
            kind, payload = json.loads(question.text)
            if not self._answers.is_ready_for(kind, payload):
                self._mailbox.send(self._queue, question.id, question.text, ttl_s=question.left_s)
                return
            self._answers.answer(question.id, kind, payload)
