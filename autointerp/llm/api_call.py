"""One call to an endpoint, and how it is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from autointerp.core.errors import UpstreamError
from autointerp.llm.api_errors import ApiError
from autointerp.llm.chat_model import Usage
from autointerp.llm.endpoint import TransientFailure

T = TypeVar("T")


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


class CallRefusedError(Exception):
    """The endpoint refuses a call as it stands; whoever made it knows what to do."""

    def __init__(
        self, error: ApiError, instead: UpstreamError | None = None, *, lasted: bool = False
    ) -> None:
        """The error, and what to raise where nothing can be done, if that is known.

        Whether it is a failure that may pass and has lasted.
        """
        super().__init__()
        self.error, self.instead, self.lasted = error, instead, lasted
