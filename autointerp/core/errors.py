"""Every error that autointerp raises on purpose.

AutointerpError
├── InputError            the caller's: exit code 2, HTTP 4xx, never retried
├── UpstreamError         an LLM endpoint or a store could not be used: exit code 3, HTTP 502/503
│   └── RequestRefusedError   this one request was refused; others may still succeed
│       └── RequestFailedError    this one met passing faults every time, while others succeeded
├── StorageError          the disk refused a write: exit code 3, nothing that was written is lost
│   └── DamagedError          what is stored is not what was written; reading it again is pointless
└── BudgetExhaustedError  the next call could cost more than is left; what is finished is kept
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

_MOST = 200
"""Characters that are shown of where something is wrong: names of fields may be of any length."""


class AutointerpError(Exception):
    """Base of all. The message says what was asked, what was found and what to do."""


class InputError(AutointerpError):
    """The caller's request cannot be carried out as it stands."""


class UpstreamError(AutointerpError):
    """Something that autointerp depends on did not answer as it should."""

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


class RequestRefusedError(UpstreamError):
    """An endpoint refused one request for what is in it; asking again is pointless."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=False)


class RequestFailedError(RequestRefusedError):
    """Every attempt at one request failed on what may pass, while others were answered.

    It may have been charged all the same.
    """


class StorageError(AutointerpError):
    """A file could not be written or read for a reason outside the program."""


class DamagedError(StorageError):
    """What is stored is not what was written there."""


class BudgetExhaustedError(AutointerpError):
    """Nothing more fits into the money or tokens that a job may spend; never retried."""


def newer_version(what: str, version: int, known: int) -> InputError:
    """The error for something whose schema this autointerp does not know yet."""
    return InputError(
        f"{what} was written by a newer autointerp (schema {version}, this one reads {known}); "
        "upgrade autointerp to read it"
    )


def unreadable(what: str, error: ValidationError, advice: str) -> InputError | DamagedError:
    """The error for stored JSON without a schema number: a newer version writes unknown fields."""
    kinds = {"extra_forbidden", "unexpected_keyword_argument"}
    unknown = [e for e in error.errors(include_url=False) if e["type"] in kinds]
    if unknown:
        field = field_name(unknown[0]["loc"])
        return InputError(
            f"{what} was written by a newer autointerp (this one does not know {field}); "
            "upgrade autointerp to read it"
        )
    return DamagedError(f"{what} is damaged: {first_problem(error)}; {advice}")


def first_problem(error: ValidationError, *, whole: str = "") -> str:
    """The first thing that pydantic found wrong, and where, without the value.

    `whole` names the place where the value as a whole is wrong.
    """
    first = error.errors(include_url=False, include_input=False)[0]
    place = field_name(first["loc"]) or whole
    return f"{place}: {first['msg']}" if place else str(first["msg"])


def field_name(parts: Iterable[int | str]) -> str:
    """The name of a field that somebody wrote, ``a.b.0``: printable, and cut where it is long."""
    name = ".".join(map(str, parts))
    name = name if len(name) <= _MOST else f"{name[:_MOST]}..."
    return name if name.isprintable() else ascii(name)[1:-1]
