"""Whether a model at an endpoint is refused for good, found out with tiny questions.

Nothing else is sent to the model meanwhile, with this key. What is refused alike each time lasts:
- a limit that names no delay and no rate, and has words of its own: twice over 6 s where nothing
  was answered so far, as no rate was exceeded by anything sent from here; else five times over a
  minute, as rates are counted by the minute. Which words they are plays no part;
- words or codes that are known to tell of what lasts, such as a balance that is used up, or a
  delay that is longer than a question may take: twice over 6 s; in words with a status from 500
  on, as a limit is;
- a status that refuses a key, a path or access where questions were answered before: ten times, as
  it may be one of several servers behind the address. Where some are answered it is, and what it
  refuses is asked again.
What that costs: where a rate limit in unknown words lasts longer than a minute a run stops, and is
to be resumed; where a quota is used up in unknown words, a minute passes before it stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from autointerp.core.backoff import Backoff
from autointerp.core.errors import UpstreamError
from autointerp.llm.api_call import CallRefusedError, TransientFailure
from autointerp.llm.api_errors import ApiError, wording
from autointerp.llm.lasting_words import OF_A_FORM, Reason, reason_to_doubt

_TRIES, _TRIES_ONCE_ANSWERED = 2, 5
_SERVERS_TRIES, _FEW_ASKED, _MOST_ASKED = 10, 5, 20
_IN_A_ROW, _MOST_LOOKS = 10, 2
"""Refusals by one of several servers before it is looked whether all refuse."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What must be looked into before anything else is sent."""

    reason: Reason
    said: str
    tries: int
    """Times that something tiny is refused alike before it lasts."""


class LastingCheck:
    """What is known of refusals of one model with one key. One event loop."""

    def __init__(self, *, sleep: Callable[[float], Awaitable[None]], backoff: Backoff) -> None:
        """Nothing is in doubt so far."""
        self._sleep, self._backoff = sleep, backoff
        self.turn = asyncio.Lock()
        self.has_answered = False
        """Whether anything was answered so far, by an earlier process too."""
        self.doubt: Doubt | None = None
        self._n_alike = 0
        self._lasting: CallRefusedError | None = None
        self.n_lasting = 0
        """Refusals that were found to last so far."""
        self.n_in_a_row = 0
        """Refusals that may be one server's since the last answer."""
        self._of_servers: set[str] = set()
        """What was said by one server while another answered the same."""
        self._of_questions: set[str] = set()
        """What was said of questions alone."""

    def look_into(self, failure: TransientFailure, looked_into: set[str]) -> None:
        """Has it looked into whether a failure lasts, once for a call.

        Where something tiny is answered, it is the call that fails.
        """
        said = wording(failure.as_error)
        if failure.may_last and said not in looked_into and len(looked_into) < _MOST_LOOKS:
            looked_into.add(said)
            reason = Reason.HINT if failure.is_hint else Reason.LIMIT
            self._begin(reason, said, is_patient=failure.may_be_outage)

    def _begin(self, reason: Reason, said: str, *, is_patient: bool = False) -> None:
        if self.doubt is None:
            limit = _TRIES_ONCE_ANSWERED if self.has_answered else _TRIES
            all_tries = {Reason.LIMIT: limit, Reason.HINT: _TRIES, Reason.SERVER: _SERVERS_TRIES}
            tries = limit if is_patient else all_tries[reason]
            self.doubt, self._n_alike = Doubt(reason, said, tries), 0

    async def wait(self) -> None:
        """Before something tiny is asked."""
        is_server = self.doubt is not None and self.doubt.reason is Reason.SERVER
        wait_s = self._backoff.wait_s(1 if is_server else self._n_alike + 2)
        await self._sleep(wait_s / 2 if is_server else wait_s)

    def lasts(self, outcome: TransientFailure | CallRefusedError | None) -> bool:
        """Whether it lasts, by what became of something tiny: None where it was answered.

        Where it is refused otherwise, nothing is in doubt any more.
        """
        if self.doubt is None:
            # In an outage, which may turn out to be none.
            if isinstance(outcome, TransientFailure):
                self.look_into(outcome, set())
            return False
        if outcome is None or not _is_alike(self.doubt, outcome):
            self.doubt = None
            return False
        self._n_alike += 1
        return self._n_alike >= self.doubt.tries

    def refuse(self, error: ApiError, instead: UpstreamError | None) -> CallRefusedError:
        """What to raise for what lasts, with which all that wait fail too."""
        self._lasting = CallRefusedError(replace(error, lasts=True), instead)
        self.n_lasting, self.doubt = self.n_lasting + 1, None
        return self._lasting

    def fail_as_others(self, n_lasting: int) -> None:
        """Raises what was found to last since so many were."""
        if self._lasting is not None and self.n_lasting > n_lasting:
            # What failed late with the same begins no new look at it.
            self.doubt = self.doubt if self._n_alike else None
            raise CallRefusedError(self._lasting.error, self._lasting.instead)

    def succeeded(self) -> None:
        """It answered."""
        if self.doubt is not None and self.doubt.reason is Reason.SERVER and self._n_alike:
            self._of_servers.add(self.doubt.said)
        self.doubt, self.has_answered, self.n_in_a_row = None, True, 0

    def is_asked_again(
        self, refused: CallRefusedError, n_refused: int, *, is_question: bool
    ) -> bool:
        """Whether what was refused so often is asked again, at once or after a look."""
        error, said = refused.error, wording(refused.error)
        reason = reason_to_doubt(error)
        if error.lasts or reason is None or not self.has_answered or said in self._of_questions:
            return False
        is_servers = said in self._of_servers
        if error.status in OF_A_FORM and not (is_question or is_servers):
            return False
        self.n_in_a_row += 1
        may_be_a_questions = error.status in OF_A_FORM and not is_servers
        if n_refused >= (_FEW_ASKED if may_be_a_questions else _MOST_ASKED):
            if may_be_a_questions:
                self._of_questions.add(said)
            return False
        # In turns of three, as servers take turns too.
        if (self.n_in_a_row >= _IN_A_ROW) if is_servers else (n_refused % 3 == 1):
            self._begin(reason, said)
        return True

    def was_answered_again(self, refused: CallRefusedError) -> None:
        """What was refused was answered when asked again."""
        self._of_servers.add(wording(refused.error))


def _is_alike(doubt: Doubt, outcome: TransientFailure | CallRefusedError) -> bool:
    if isinstance(outcome, CallRefusedError):
        reason = reason_to_doubt(outcome.error)
        return reason is not None and doubt.reason is not Reason.LIMIT
    said_again = outcome.may_last and wording(outcome.as_error) == doubt.said
    is_hint = doubt.reason is Reason.HINT and outcome.is_hint
    return (said_again or is_hint) and doubt.reason is not Reason.SERVER
