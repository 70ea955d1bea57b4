"""Whether a model at an endpoint is refused for good, found out with tiny questions.

Nothing else is sent to the model meanwhile, with this key. What is refused alike each time lasts:
- a limit that names no delay and no rate, and has words of its own: twice over 6 s where nothing
  was answered so far, as no rate was exceeded by anything sent from here; else five times over a
  minute, as rates are counted by the minute. Which words they are plays no part;
- a rate limit, which several calls met in a row: six times over 90 s. Once one tiny question is
  answered all go on. Once one has met the limit, questions that wait take its place, since it would
  take the room of a small rate;
- words or codes that are known to tell of what lasts, such as a balance that is used up, or a
  delay that is longer than a question may take: twice over 6 s; in words with a status from 500
  on, as a limit is;
- a status that refuses a key, a path or access where questions were answered before: ten times, as
  it may be one of several servers behind the address. Where some are answered and some are not it
  is, and what it refuses is asked again. Where all are, a question that was refused with a status
  that some use for a form or a prompt is what was refused, and is not asked again as it stands.
What that costs: where a rate limit in unknown words lasts longer than a minute a run stops, and is
to be resumed; where a quota is used up in unknown words, a minute passes before it stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from autointerp.core.backoff import Backoff
from autointerp.llm.api_call import ApiCall, CallRefusedError, TransientFailure
from autointerp.llm.api_errors import ApiError, is_about_content, wording
from autointerp.llm.capabilities import PROBE
from autointerp.llm.chat_model import Usage
from autointerp.llm.failure_words import FailureWords
from autointerp.llm.lasting_words import Reason, is_of_all, says_it_lasts
from autointerp.llm.wire_format import read_reply

_TINY_TOKENS = 64
_TRIES, _TRIES_ONCE_ANSWERED = 2, 5
_SERVERS_TRIES, _FEW_TRIES, _FEW_ANSWERS, _ANSWERS, _MOST_ASKED = 10, 3, 3, 7, 20
_IN_A_ROW, _MOST_LOOKS = 10, 2
"""Refusals by one of several servers before it is looked whether all refuse."""
_ALIKE_AFTER, _RATE_TRIES = 3, 6
"""Times that a rate limit is met, or others fail, nothing answered between them, before all wait
together."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What must be looked into before anything else is sent."""

    reason: Reason
    said: str
    tries: int
    """Times that something tiny is refused alike before it lasts."""
    answers: int
    """Times that something tiny is answered, and nothing refused, before it is of a question."""


class TinyQuestion:
    """Sent in place of a call that may be what fails."""

    def __init__(self, model: str) -> None:
        self._model, self._usage = model, Usage()
        body = {"model": model, "messages": [{"role": "user", "content": PROBE}]}
        self.call = ApiCall("chat/completions", body, self._read, _TINY_TOKENS)

    def _read(self, body: bytes) -> tuple[None, Usage]:
        usage = read_reply(body, model=self._model).usage
        self.charge(usage)
        return None, usage

    def charge(self, usage: Usage) -> None:
        """Adds what another question has cost that finds something out."""
        self._usage = self._usage.plus(usage)

    def take_usage(self) -> Usage:
        """What finding things out has cost that no reply includes yet."""
        taken, self._usage = self._usage, Usage()
        return taken


class LastingCheck:
    """What is known of refusals of one model with one key. One event loop."""

    def __init__(self, *, sleep: Callable[[float], Awaitable[None]], backoff: Backoff) -> None:
        """Nothing is in doubt so far."""
        self._sleep, self._backoff = sleep, backoff
        self.turn = asyncio.Lock()
        self.has_answered = False
        """Whether anything was answered so far, by an earlier process too."""
        self.doubt: Doubt | None = None
        self._n_alike = self._n_answered = 0
        self._lasting: CallRefusedError | None = None
        self.n_lasting = 0
        """Refusals that were found to last so far."""
        self.n_in_a_row = 0
        """Refusals that may be one server's since the last answer."""
        self.n_answered = 0
        """Questions that were answered so far."""
        self.n_of_forms = 0
        """Times that something tiny was answered so far where questions had failed in a row."""
        self._n_limits = self._n_broken = 0
        self._of_servers: set[str] = set()
        """What was said by one server while another answered."""
        self._of_questions: set[str] = set()
        """What was said of questions alone."""

    def look_into(
        self, failure: TransientFailure, looked_into: set[str], *, may_be_form: bool = False
    ) -> None:
        """Has it looked into whether a failure lasts, once for a call, or is of its form.

        Where something tiny is answered, it is the call that fails.
        """
        said = wording(failure.as_error)
        self._n_limits += failure.is_limit
        self._n_broken += failure.may_be_of_a_form
        if failure.may_last and said not in looked_into and len(looked_into) < _MOST_LOOKS:
            looked_into.add(said)
            reason = Reason.HINT if failure.is_hint else Reason.LIMIT
            self._begin(reason, said, is_patient=failure.may_be_outage)
        elif failure.is_limit and self._n_limits >= _ALIKE_AFTER:
            self._begin(Reason.RATE, said)
        elif failure.may_be_of_a_form and may_be_form and self._n_broken >= _ALIKE_AFTER:
            self._begin(Reason.FORM, said)

    @property
    def is_about_servers(self) -> bool:
        """Whether it matters that another server is asked, if there are several."""
        in_doubt = self.doubt is not None and self.doubt.reason is Reason.SERVER
        return in_doubt or self.n_in_a_row > 0

    @property
    def is_looked_into_by_questions(self) -> bool:
        """Whether questions that wait look themselves: once something tiny met the rate limit too.

        Tiny ones would take the room of a small rate.
        """
        is_rate = self.doubt is not None and self.doubt.reason in (Reason.RATE, Reason.LIMIT)
        return is_rate and self.has_answered and self._n_alike > 0

    def look_for_servers(self, error: ApiError) -> None:
        """Has it looked into whether a refusal is one server's of several."""
        said = wording(error)
        # Where words differ from prompt to prompt it was looked into often enough.
        answers = _FEW_ANSWERS if self._of_questions - {said} else _ANSWERS
        self._begin(Reason.SERVER, said, answers=answers, is_told=says_it_lasts(error))

    def is_of_servers(self, error: ApiError) -> bool:
        """Whether servers are known to differ in what they refuse in these words."""
        return wording(error) in self._of_servers

    def _begin(
        self,
        reason: Reason,
        said: str,
        *,
        is_patient: bool = False,
        is_told: bool = False,
        answers: int = 1,
    ) -> None:
        if self.doubt is None:
            limit = _TRIES_ONCE_ANSWERED if self.has_answered else _TRIES
            servers = _FEW_TRIES if is_told else _SERVERS_TRIES
            all_tries = {Reason.LIMIT: limit, Reason.HINT: _TRIES, Reason.SERVER: servers}
            tries = limit if is_patient else all_tries.get(reason, _RATE_TRIES)
            self.doubt = Doubt(reason, said, tries, answers)
            self._n_alike = self._n_answered = self._n_limits = self._n_broken = 0

    async def wait(self) -> None:
        """Before something tiny is asked."""
        is_server = self.doubt is not None and self.doubt.reason is Reason.SERVER
        wait_s = self._backoff.wait_s(1 if is_server else self._n_alike + 2)
        await self._sleep(wait_s / 2 if is_server else wait_s)

    def judge(
        self, outcome: TransientFailure | CallRefusedError | None, words: FailureWords
    ) -> None:
        """Learns from what became of something tiny: None where it was answered.

        Where it is refused otherwise, nothing is in doubt any more.

        Raises:
            CallRefusedError: it lasts; all that wait fail too.
        """
        reason = self.doubt.reason if self.doubt is not None else None
        if reason is Reason.FORM and not isinstance(outcome, TransientFailure):
            # Refused is answered.
            self.n_of_forms, self.doubt = self.n_of_forms + 1, None
        elif outcome is None:
            self._tiny_was_answered()
        if outcome is None or not self._lasts(outcome):
            return
        if isinstance(outcome, CallRefusedError):
            error, instead = outcome.error, outcome.instead
        else:
            error, passes = outcome.as_error, self.has_answered or reason is Reason.RATE
            instead = words.lasting(error, is_hint=outcome.is_hint, answered=passes)
        self._lasting = CallRefusedError(replace(error, lasts=True), instead)
        self.n_lasting, self.doubt = self.n_lasting + 1, None
        raise self._lasting

    def _tiny_was_answered(self) -> None:
        # Answers to others say less: servers may take turns in step with them.
        self._n_answered += 1
        if self.doubt is not None and self._n_answered >= self.doubt.answers:
            self._of_questions.add(self.doubt.said)
            self.doubt = None

    def _lasts(self, outcome: TransientFailure | CallRefusedError) -> bool:
        if self.doubt is None:
            # In an outage, which may turn out to be none.
            if isinstance(outcome, TransientFailure):
                self.look_into(outcome, set())
            return False
        if not _is_alike(self.doubt, outcome):
            if self.doubt.reason is Reason.SERVER and isinstance(outcome, CallRefusedError):
                # Refused for another reason, as for lack of a limit, is answered.
                self._tiny_was_answered()
            else:
                self.doubt = None
            return False
        self._n_alike += 1
        if self.doubt.reason is Reason.SERVER and self._n_answered:
            self._differ_in(self.doubt.said)
            return False
        return self._n_alike >= self.doubt.tries

    def fail_as_others(self, n_lasting: int) -> None:
        """Raises what was found to last since so many were."""
        if self._lasting is not None and self.n_lasting > n_lasting:
            # What failed late with the same begins no new look at it.
            self.doubt = self.doubt if self._n_alike else None
            raise CallRefusedError(self._lasting.error, self._lasting.instead)

    def succeeded(self, *, is_question: bool) -> None:
        """It answered."""
        self.has_answered, self.n_in_a_row = True, 0
        self._n_limits = self._n_broken = 0
        self.n_answered += is_question
        if self.doubt is None:
            return
        if self.doubt.reason is Reason.SERVER and self._n_alike:
            self._differ_in(self.doubt.said)
        elif self.doubt.answers == 1 and (is_question or self.doubt.reason is not Reason.FORM):
            self.doubt = None

    def is_asked_again(
        self, refused: CallRefusedError, n_refused: int, *, is_question: bool
    ) -> bool:
        """Whether what was refused so often is asked again, at once or after a look."""
        error, said = refused.error, wording(refused.error)
        is_final = error.lasts or is_about_content(error) or n_refused >= _MOST_ASKED
        if is_final or not self.has_answered:
            return False
        if not self.is_of_servers(error):
            is_new = n_refused == 1 and said not in self._of_questions
            if not (is_question and is_new and is_of_all(error)):
                return False
            self._begin(Reason.SERVER, said, answers=_FEW_ANSWERS)
            return True
        self.n_in_a_row += 1
        if self.n_in_a_row >= _IN_A_ROW:
            self._begin(Reason.SERVER, said)
        return True

    def is_of_a_question(self, error: ApiError) -> bool:
        """Whether a question is known to be what was refused, by a look at something tiny."""
        return not error.lasts and wording(error) in self._of_questions

    def takes_for_a_form(self, error: ApiError) -> None:
        """Takes note that something tiny was answered where the same with an option was refused."""
        self._of_questions.add(wording(error))

    def was_answered_again(self, refused: CallRefusedError) -> None:
        """What was refused was answered when asked again."""
        self._of_servers.add(wording(refused.error))

    def _differ_in(self, said: str) -> None:
        self.doubt = None
        self._of_servers.add(said)
        self._of_questions.discard(said)


def _is_alike(doubt: Doubt, outcome: TransientFailure | CallRefusedError) -> bool:
    if doubt.reason in (Reason.RATE, Reason.FORM):
        is_limit = isinstance(outcome, TransientFailure) and outcome.is_limit
        return is_limit and doubt.reason is Reason.RATE
    if isinstance(outcome, CallRefusedError):
        is_said_again = wording(outcome.error) == doubt.said
        return doubt.reason is not Reason.LIMIT and (is_said_again or is_of_all(outcome.error))
    said_again = outcome.may_last and wording(outcome.as_error) == doubt.said
    is_hint = doubt.reason is Reason.HINT and outcome.is_hint
    return (said_again or is_hint) and doubt.reason is not Reason.SERVER
