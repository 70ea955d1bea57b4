"""The attempts of one call so far, and whether one more makes sense."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from autointerp.llm.api_call import TransientFailure
from autointerp.llm.endpoint_state import EndpointState
from autointerp.llm.lasting_check import LastingCheck
from autointerp.llm.options import ClientOptions, Failure

_SLOW = 3
"""Times that a call may give no answer in time while others are answered."""
_AFTER_A_LOOK, _MOST_LOOKS = 4, 4
"""Times that a call may meet a rate limit once something tiny was answered, and nothing else; the
tiny one may have taken the room."""


@dataclass(slots=True)
class CallAttempts:
    """What became of one call; kept where it is asked again in the same form."""

    options: ClientOptions
    tells_what_lasts: bool = False
    """Whether what may pass may be how its form is refused."""
    deadline: asyncio.Timeout | None = None
    until_s: float | None = None
    """When its time is over, on the clock of the event loop; None before it is first sent."""
    n_lasting: int = 0
    """Refusals that had been found to last when it began."""
    is_form_taken: bool = False
    """Whether what may pass is no longer taken for a refusal of its form."""
    body: dict[str, Any] | None = None
    """What was sent last."""
    last: TransientFailure | None = None
    n: int = 0
    """Attempts so far, those that came earlier than asked among them."""
    n_failed: int = 0
    n_answered: int = 0
    """Questions to the model that had been answered at its first failure."""
    _n_early: int = 0
    _n_seen: int = 0
    """Questions that had been answered at its last failure."""
    _n_in_vain: int = 0
    """Failures since another question was answered."""
    _n_looks: int = 0
    """Times since then that something tiny was asked before it failed."""
    _n_of_forms: int = 0
    _looked_into: set[str] = field(default_factory=set)

    def was_admitted(self) -> None:
        """Begins its time, where that has not begun."""
        if self.until_s is None and self.deadline is not None:
            self.until_s = asyncio.get_running_loop().time() + self.options.deadline_s
            self.deadline.reschedule(self.until_s)

    def failed(
        self, failure: TransientFailure, state: EndpointState, *, held: bool
    ) -> float | None:
        """Counts a failed attempt, which was held back before or not; seconds it asks to wait."""
        n_now = state.check.n_answered
        is_first = self.n == 0
        self.n_answered = n_now if is_first else self.n_answered
        self._n_in_vain += 1
        if is_first or n_now > self._n_seen:
            self._n_in_vain, self._n_looks = 1, 0
        if held and failure.is_limit and self._n_looks < _MOST_LOOKS:
            self._n_looks += 1
            self._ask_on()
        asked_s = failure.asked_s(is_again=self.last is not None and self.last.is_limit)
        is_early = self.options.cuts(asked_s, self._n_early)
        self.last, self._n_seen, self.n = failure, n_now, self.n + 1
        self._n_early, self.n_failed = self._n_early + is_early, self.n_failed + (not is_early)
        self._n_of_forms = state.check.n_of_forms
        state.check.look_into(failure, self._looked_into, may_be_form=self.may_be_form)
        return asked_s

    def may_be_of_a_form(self, state: EndpointState) -> bool:
        """Whether something tiny was answered since it failed in a way that a form may be refused.

        It is not sent again as it is then, until its form is known to be taken.
        """
        is_so = self.may_be_form and self.last is not None and self.last.may_be_of_a_form
        return is_so and state.check.n_of_forms > self._n_of_forms

    @property
    def may_be_form(self) -> bool:
        """Whether its form may be what is refused, as it is not known to be taken."""
        return self.tells_what_lasts and not self.is_form_taken

    @property
    def is_limited(self) -> bool:
        """Whether it met a rate limit the last time."""
        return self.last is not None and self.last.is_limit

    def takes_form(self) -> bool:
        """Takes what may pass for no refusal of its form from now on, and allows a few more.

        Whether it may have been one so far.
        """
        is_so = self.last is not None and (self.last.is_limit or self.last.may_be_of_a_form)
        may_be_form, self.is_form_taken = is_so and not self.is_form_taken, True
        self._ask_on()
        return may_be_form

    def _ask_on(self) -> None:
        self._n_in_vain = min(self._n_in_vain, max(1, self.options.attempts - _AFTER_A_LOOK))

    def others_answered(self, state: EndpointState) -> bool:
        """Whether another question was answered since it failed first."""
        return self.last is not None and state.check.n_answered > self.n_answered

    def was_passed(self, check: LastingCheck) -> bool:
        """Whether another was answered since it failed last; where one is limited others may be."""
        return check.n_answered > self._n_seen and not self.is_limited

    def is_tried_again(self, state: EndpointState) -> bool:
        """Whether the call is sent once more.

        A rate limit says nothing against a call while others are answered: then it is asked until
        its time is over, once its form is known not to be what is refused.
        """
        last, most = self.last, self.options.attempts
        if last is None or (last.is_outage and state.circuit.is_open):
            return True
        if last.is_limit:
            n = self.n_failed if self.may_be_form else self._n_in_vain
            return n < most or (state.check.doubt is not None and self._n_looks < _MOST_LOOKS)
        slow = last.failure is Failure.TIMEOUT and self.others_answered(state)
        return self.n_failed < (min(_SLOW, most) if slow else most)
