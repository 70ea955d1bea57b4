"""What is said of calls that are waited for, given up or refused."""

from __future__ import annotations

import math

from autointerp.core.errors import RequestRefusedError, UpstreamError
from autointerp.llm.api_call import TransientFailure
from autointerp.llm.api_errors import ApiError, final_error, message_part, stops_everything
from autointerp.llm.endpoint import Endpoint
from autointerp.llm.options import ClientDependencies, ClientOptions, Failure, Meter

_MODELS_SHOWN = 8
_OF_ONE_REQUEST = (400, 451)
SAID_AFTER = 2
"""Failures in a row after which it is said that a call is waited for."""
_SAID_AGAIN_S = 300.0


class FailureWords:
    """Sentences about one model at one endpoint."""

    def __init__(
        self,
        endpoint: Endpoint,
        meter: Meter,
        model: str,
        secret: str,
        *,
        options: ClientOptions,
        dependencies: ClientDependencies,
    ) -> None:
        """Nothing has failed so far."""
        self._endpoint, self._address, self._model = endpoint, endpoint.address, model
        self._secret, self._options, self._meter = secret, options, meter
        self._clock, self._on_event = dependencies.clock, dependencies.on_event
        self._said_s: dict[Failure, float] = {}
        self._waited_s = -math.inf

    def wait(self, failure: TransientFailure, n_failed: int, asked_s: float = 0.0) -> None:
        """Says that a call is waited for, once in a while; each long wait that is asked for."""
        now, kind = self._clock(), failure.failure
        if asked_s > self._options.longest_wait_s:
            if now >= self._waited_s:
                self._waited_s = now + asked_s
                self._on_event(
                    f"the LLM at {self._address} {_predicate(failure)} and asks to wait: it is "
                    f"asked again in {asked_s:.0f} s: {failure.advice}"
                )
            return
        after = 1 if kind is Failure.TIMEOUT else SAID_AFTER
        if n_failed < after or now - self._said_s.get(kind, -math.inf) < _SAID_AGAIN_S:
            return
        self._said_s[kind] = now
        self._on_event(
            f"the LLM at {self._address} {_predicate(failure)}; it is asked again, for at most "
            f"{self._options.deadline_s:g} s a question: {failure.advice}"
        )

    def too_late(self, last: TransientFailure | None, n: int, *, is_away: bool) -> UpstreamError:
        """What to raise once a call's time is over, after so many attempts."""
        if last is not None and last.is_limit:
            return self.gave_up(last, n)
        within = f"within {self._options.deadline_s:g} s"
        if last is not None and is_away:
            what = f"{_predicate(last)} and did not come back {within}; start it again"
        else:
            what = (
                f"gave no answer {within}, all attempts together; "
                "use a faster model or allow more time"
            )
        return UpstreamError(f"{self._address} {what}", retryable=True)

    def gave_up(self, failure: TransientFailure, n: int) -> UpstreamError:
        """What to raise for a call that failed so often."""
        times = "once" if n == 1 else f"{n} times"
        if not failure.reached:
            msg = f"could not reach {self._address}: {failure.advice} (tried {times})"
        else:
            msg = f"{self._address} {failure.what}, {times}: {failure.advice}"
        return UpstreamError(msg, retryable=True)

    def lasting(self, error: ApiError, *, is_hint: bool, answered: bool) -> UpstreamError:
        """What to raise for a refusal that lasts, of something tiny too.

        Its words, or a delay, say so, or neither is known to. Something was answered before.
        """
        start = f"{self._address} answered {error.status} to a tiny question too"
        said, asked_s = message_part(error, self._secret), error.asked_wait_s
        if asked_s is not None:
            msg = f"{start} and asks to wait {asked_s:.0f} s: try again then, or use another"
            return UpstreamError(f"{msg} endpoint{said}", retryable=True)
        if is_hint:
            msg = f"{start}: check the key, the account and its credit, or use another endpoint"
            return UpstreamError(f"{msg}{said}", retryable=False)
        msg = (
            f"{start}, and does not say how long to wait: add credit or use another endpoint where "
            f"a quota is used up, else try again later{said}"
        )
        # What has answered before may do so again: it may be a rate limit after all.
        return UpstreamError(msg, retryable=answered)

    def refused(self, error: ApiError) -> UpstreamError:
        """What to raise for a question where others are answered."""
        self._meter.failed(Failure.REFUSED)
        what = f"{self._address} refused the request ({error.status})"
        return RequestRefusedError(what + message_part(error, self._secret))

    async def final(self, error: ApiError) -> UpstreamError:
        """What to raise for a refusal that nothing can be done about."""
        refused = error.status in _OF_ONE_REQUEST and not stops_everything(error)
        self._meter.failed(Failure.REFUSED if refused else Failure.REJECTED)
        if error.status == 404:
            message = message_part(error, self._secret)
            return UpstreamError(await self._not_found() + message, retryable=False)
        return final_error(error, endpoint=self._address, model=self._model, secret=self._secret)

    async def _not_found(self) -> str:
        names = await self._endpoint.model_names()
        start = f"{self._address} answered 404 for model {self._model!r}: "
        if names is None or self._model in names:
            return start + "check AUTOINTERP_LLM_BASE_URL (it usually ends in /v1) and the model"
        shown = ", ".join(names[:_MODELS_SHOWN]) + (", ..." if len(names) > _MODELS_SHOWN else "")
        return start + f"it has {shown or 'no model'}; set AUTOINTERP_LLM_MODEL to one of those"


def _predicate(failure: TransientFailure) -> str:
    return failure.what if failure.reached else "could not be reached"
