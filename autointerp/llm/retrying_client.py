"""One call to an endpoint, repeated until it is answered or repeating makes no more sense."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from autointerp.core.errors import RequestFailedError, UpstreamError
from autointerp.llm.api_call import ApiCall, CallRefusedError, TransientFailure
from autointerp.llm.api_errors import ApiError, is_transient
from autointerp.llm.call_attempts import CallAttempts
from autointerp.llm.endpoint_state import EndpointState
from autointerp.llm.rate_limiter import Permit
from autointerp.llm.sending_client import SendingClient

T = TypeVar("T")


class RetryingClient(SendingClient):
    """Calls one model at one endpoint, within the limits that all its callers share."""

    async def call(self, call: ApiCall[T], attempts: CallAttempts | None = None) -> T:
        """The reply to a call, after as many attempts as make sense, with those that it had before.

        Where others were answered since its first failure, it says nothing against the endpoint.

        Raises:
            CallRefusedError: it is refused, or failed each time as some refuse.
            UpstreamError: the endpoint could not be used.
        """
        state, attempts = self._join(), attempts or CallAttempts(self._options)
        attempts.n_lasting = state.check.n_lasting
        attempts.tells_what_lasts = call.tells_what_lasts
        try:
            async with asyncio.timeout_at(attempts.until_s) as attempts.deadline:
                while True:
                    held = state.is_held
                    outcome = await self._asked(call, state, attempts)
                    if not isinstance(outcome, TransientFailure):
                        return outcome[0]
                    if call.gives_up(outcome):
                        given_up = self.words.gave_up(outcome, 1)
                        raise CallRefusedError(outcome.as_error, given_up, failure=outcome)
                    last, asked_s = outcome, attempts.failed(outcome, state, held=held)
                    await self._wait(outcome, attempts.n_failed, asked_s, state)
                    if not attempts.is_tried_again(state):
                        break
                    self._total = replace(self._total, retries=self._total.retries + 1)
                error = self.words.gave_up(last, attempts.n)
                is_there = attempts.others_answered(state)
                if is_there:
                    error = RequestFailedError(str(error))
                lasted = last.status is None or last.is_outage or last.is_limit
                if lasted and call.tells_what_lasts and not is_there:
                    is_there = await self._is_there(last, state, attempts)
        except TimeoutError:
            raise self._too_late(attempts, state) from None
        if last.is_outage:
            state.circuit.give_up(error)
        if not lasted or (call.tells_what_lasts and (is_there or last.is_limit)):
            raise CallRefusedError(last.as_error, error, lasted=lasted)
        raise error

    def _too_late(self, attempts: CallAttempts, state: EndpointState) -> UpstreamError:
        """What to raise once a call's time is over."""
        late = self.words.too_late(attempts.last, attempts.n, is_away=state.circuit.is_open)
        return RequestFailedError(str(late)) if attempts.others_answered(state) else late

    async def _is_there(
        self, last: TransientFailure, state: EndpointState, attempts: CallAttempts
    ) -> bool:
        """Whether the endpoint answers something tiny, so that it is the call that fails."""
        if last.is_limit or not last.reached:
            return False
        once = replace(self.tiny.call, gives_up=lambda _: True)
        try:
            outcome = await self._admitted(once, state, attempts)
            return not isinstance(outcome, TransientFailure)
        except CallRefusedError as refused:
            if refused.error.lasts:
                raise
            # Refused is answered.
            return True

    async def _asked(
        self, call: ApiCall[T], state: EndpointState, attempts: CallAttempts
    ) -> tuple[T] | TransientFailure:
        """One attempt; what one of several servers refuses is asked again, as others may not."""
        refused, body, n = None, None, 0
        while True:
            try:
                outcome = await self._admitted(call, state, attempts, refused)
            except CallRefusedError as error:
                is_over = error is refused or error.lasted
                refused, body, n = error, attempts.body, n + 1
                if is_over or not state.check.is_asked_again(
                    error, n, is_question=call.is_question
                ):
                    raise
                self._total = replace(self._total, retries=self._total.retries + 1)
                if state.check.doubt is None:
                    await self._dependencies.sleep(self._options.wait_s(min(n, 3), rng=self._rng))
            else:
                is_same = attempts.body == body and not isinstance(outcome, TransientFailure)
                if refused is not None and is_same:
                    state.check.was_answered_again(refused)
                return outcome

    async def _admitted(
        self,
        call: ApiCall[T],
        state: EndpointState,
        attempts: CallAttempts,
        refused: CallRefusedError | None = None,
    ) -> tuple[T] | TransientFailure:
        """One attempt, once the limits and the circuit admit it.

        Raises:
            CallRefusedError: it lasts, or was refused before, and is what was refused.
        """
        in_doubt = refused is not None and state.check.doubt is not None
        is_again = attempts.last is not None or in_doubt
        while True:
            await call.until_form_is_known()
            async with state.limiter.acquire(call.n_tokens, is_again=is_again) as permit:
                attempts.was_admitted()
                if call.is_held:
                    continue
                call = call.in_form()
                is_new = state.is_held and attempts.last is None and refused is None
                async with state.attempt(attempts.n_lasting) as is_held:
                    is_again = True
                    if not is_held and is_new:
                        # What was found while it waited may concern its form.
                        continue
                    if not is_held:
                        if attempts.body == call.body:
                            self._stop_where_refused(state, attempts, refused)
                        attempts.body = call.body
                        return await self._attempt(call, state, permit)
                    looks_itself = call.is_question and state.check.is_looked_into_by_questions
                    attempts.body = call.body if looks_itself else attempts.body
                    look = self._looked if looks_itself else self._ask_tiny
                    outcome = await look(call, state, permit)
                    if isinstance(outcome, tuple):
                        return outcome
                    if isinstance(outcome, TransientFailure) and call.gives_up(outcome):
                        return outcome
                    state.check.judge(outcome, self.words)
                    if looks_itself and isinstance(outcome, CallRefusedError):
                        raise outcome

    async def _looked(
        self, call: ApiCall[T], state: EndpointState, permit: Permit
    ) -> tuple[T] | TransientFailure | CallRefusedError:
        """What becomes of a question that looks itself whether a rate limit has passed."""
        try:
            outcome = await self._attempt(call, state, permit)
        except CallRefusedError as refused:
            return refused
        if isinstance(outcome, TransientFailure):
            self._pause_as_asked(outcome, state)
        return outcome

    def _stop_where_refused(
        self, state: EndpointState, attempts: CallAttempts, refused: CallRefusedError | None
    ) -> None:
        """Raises what this form may have been refused with where something tiny is answered."""
        if refused is not None and state.check.is_of_a_question(refused.error):
            raise refused
        last = attempts.last
        if last is not None and attempts.may_be_of_a_form(state):
            given_up = self.words.gave_up(last, attempts.n)
            raise CallRefusedError(last.as_error, given_up, lasted=True)

    async def _wait(
        self, failure: TransientFailure, n: int, asked_s: float | None, state: EndpointState
    ) -> None:
        """Behind an attempt that failed, of so many; where that is asked for, everybody waits."""
        seconds = self._options.wait_s(n, asked_s=asked_s, rng=self._rng)
        self.words.wait(failure, n, seconds if asked_s is not None else 0.0)
        if failure.is_limit and asked_s is not None:
            state.limiter.pause(seconds)
        elif (failure.is_limit or n < self._options.attempts) and not state.is_held:
            await self._dependencies.sleep(seconds)

    def new_attempts(self) -> CallAttempts:
        """For a question that may be asked again in the same form."""
        return CallAttempts(self._options)

    async def servers_differ(self, error: ApiError) -> bool:
        """Whether several servers are behind the address, of which some refuse so, any question."""
        check = self._join().check
        # What may pass was asked several times already.
        if check.has_answered and not (check.is_of_servers(error) or is_transient(error)):
            check.look_for_servers(error)
            with suppress(CallRefusedError):
                await self.call(self.tiny.call)
        return check.is_of_servers(error)

    async def pause(self, error: ApiError) -> None:
        """Waits as long as an error asks, or a moment."""
        await self._dependencies.sleep(self._options.wait_s(2, asked_s=error.asked_wait_s))
