"""What is done about one stored value that cannot be read, so that it costs no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from autointerp.core.errors import AutointerpError, InputError, StorageError

T = TypeVar("T")
OnUnreadable = Callable[[AutointerpError], None]
"""Is told why a value cannot be read, which is then left out: damaged, or of a newer version."""


def refuse_unreadable(error: AutointerpError) -> None:
    """Leaves nothing out.

    Raises:
        StorageError: the value is damaged.
        InputError: a newer autointerp wrote it.
    """
    raise error


def pass_over(_error: AutointerpError) -> None:
    """Says nothing."""


def if_readable(read: Callable[[], T], on_unreadable: OnUnreadable) -> T | None:
    """What is read; None where it cannot be, and that was told."""
    try:
        return read()
    except (InputError, StorageError) as error:
        on_unreadable(error)
        return None
