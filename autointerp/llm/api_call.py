"""One call to an endpoint, and how it fails or is refused."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from autointerp.core.errors import UpstreamError
from autointerp.llm.api_errors import ApiError
from autointerp.llm.chat_model import Usage
from autointerp.llm.options import Failure

T = TypeVar("T")
BEHIND_A_GATEWAY = frozenset({502, 503, 504, *range(520, 526), 527, 529, 530, 598, 599})
"""Statuses of an outage, which the request itself can hardly have caused."""


@dataclass(frozen=True, slots=True)
class TransientFailure:
    """A failed attempt that may be repeated."""

    what: str
    """Predicate of a sentence about the endpoint: ``answered 503``."""
    advice: str
    status: int | None = None
    """None where no status came."""
    asked_wait_s: float | None = None
    """Seconds that it asks to wait."""
    whole_s: float | None = None
    """Seconds until the limit that was exceeded is whole again, where it takes some before."""
    reached: bool = True
    cut: bool = False
    """Whether the connection was lost on the way."""
    is_unreadable: bool = False
    """Whether a reply came that cannot be read."""
    error: ApiError | None = None
    """What it was read from."""
    may_last: bool = False
    """Whether it may be no rate limit and no outage, but last."""
    is_hint: bool = False
    """Whether its words, its codes or a delay of hours say that it lasts."""
    may_be_of_a_prompt: bool = False
    """Whether nothing tells whether the endpoint fails or a prompt is refused."""
    may_be_outage: bool = False
    """Whether a status of an outage makes it likely that it passes, whatever its words."""

    def asked_s(self, *, is_again: bool) -> float | None:
        """Seconds that it asks to wait, which are more once that was in vain."""
        wait_s = self.whole_s if is_again and self.whole_s is not None else self.asked_wait_s
        return None if self.is_hint else wait_s

    @property
    def failure(self) -> Failure:
        """Its class, for the meter."""
        if not self.reached:
            return Failure.UNREACHABLE
        if self.is_limit:
            return Failure.RATE_LIMITED
        if self.cut or self.is_unreadable:
            return Failure.CUT if self.cut else Failure.UNREADABLE
        return Failure.TIMEOUT if self.status is None else Failure.SERVER

    @property
    def as_error(self) -> ApiError:
        """What it comes to where it is a refusal."""
        if self.error is not None:
            return replace(self.error, asked_wait_s=self.asked_wait_s)
        timed_out = self.failure is Failure.TIMEOUT
        status = 408 if timed_out else 502 if self.cut else 0
        return ApiError(self.status or status, self.what)

    @property
    def is_limit(self) -> bool:
        """Whether the endpoint works and wants fewer requests."""
        return self.status == 429 or (self.status == 503 and self.asked_wait_s is not None)

    @property
    def is_broken(self) -> bool:
        """Whether it speaks against the endpoint as a whole."""
        broken = self.status is not None and self.status >= 500 and not self.is_limit
        return broken or self.cut or not self.reached

    @property
    def may_be_of_a_form(self) -> bool:
        """Whether the endpoint is there, and what it says may be how it refuses an option."""
        is_told = self.status is not None or self.cut or self.is_unreadable
        return is_told and not (self.is_limit or self.may_last or self.may_be_of_a_prompt)

    @property
    def is_outage(self) -> bool:
        """Whether the request itself cannot be what it fails on."""
        return self.is_broken and (self.status is None or self.status in BEHIND_A_GATEWAY)


def not_json(detail: object) -> TransientFailure:
    """The failure for a body that is a proxy's page, half a reply or nothing."""
    return TransientFailure(
        f"answered with something that is not JSON ({detail})",
        "check AUTOINTERP_LLM_BASE_URL, which usually ends in /v1",
        is_unreadable=True,
    )


def broken_reply(reason: str) -> TransientFailure:
    """The failure for a reply that says that it ended so by a fault."""
    what = f"ended a reply with {reason!r}"
    return TransientFailure(what, "try again later", is_unreadable=True, may_be_of_a_prompt=True)


def not_a_completion() -> TransientFailure:
    """The failure for JSON without words that is no reply, where others were."""
    return TransientFailure(
        "answered with JSON that is not a chat completion",
        "see the server's log or try again later",
        is_unreadable=True,
    )


class OutOfRequestsError(Exception):
    """No more requests may be sent to find something out."""


@dataclass(slots=True)
class Allowance:
    """How many requests may still be sent to find something out, attempts in vain among them."""

    n_left: float = math.inf
    last: TransientFailure | None = None
    """The last that failed."""

    def take(self) -> None:
        """Counts a request.

        Raises:
            OutOfRequestsError: it is one too many.
        """
        if self.n_left <= 0:
            raise OutOfRequestsError
        self.n_left -= 1


@dataclass(frozen=True, slots=True)
class ApiCall(Generic[T]):
    """What is sent, and how its reply is read."""

    path: str
    body: dict[str, Any]
    read: Callable[[bytes], tuple[T, Usage]]
    n_tokens: int
    """Approximate cost."""
    gives_up: Callable[[TransientFailure], bool] = lambda _: False
    """Whether a failure that may pass counts as a refusal at once."""
    tells_what_lasts: bool = False
    """Whether any failure that may pass counts as a refusal once it has lasted."""
    is_question: bool = False
    """Whether it is asked in a form that is known to be taken."""
    is_probe: bool = False
    """Whether it only finds out what is taken."""
    renewed: Callable[[], ApiCall[T]] | None = None
    """Gives it in the form that is known once its turn comes."""
    behind: asyncio.Lock | None = None
    """Held while that form is found out, so that it is not sent."""
    allowance: Allowance = field(default_factory=Allowance)
    """What each of its attempts is counted in, and each tiny question that it waits for."""

    @property
    def is_held(self) -> bool:
        """Whether its form is being found out."""
        return self.behind is not None and self.behind.locked()

    async def until_form_is_known(self) -> None:
        """Returns once its form is not being found out; what it waits for may need a permit."""
        if self.behind is not None:
            async with self.behind:
                pass

    def in_form(self) -> ApiCall[T]:
        """The same in the form that is known by now."""
        return self if self.renewed is None else self.renewed()


class CallRefusedError(Exception):
    """The endpoint refuses a call as it stands; whoever made it knows what to do."""

    def __init__(
        self,
        error: ApiError,
        instead: UpstreamError | None = None,
        *,
        lasted: bool = False,
        failure: TransientFailure | None = None,
    ) -> None:
        """The error, and what to raise where nothing can be done, if that is known.

        Whether it is a failure that may pass and has lasted, or which failure counts as a refusal
        at once.
        """
        super().__init__()
        self.error, self.instead, self.lasted, self.failure = error, instead, lasted, failure
