"""Fields that came after the first labels were stored.

Stored only where they hold something, so that labels without them keep the bytes they had.
"""

from __future__ import annotations

from functools import cache
from typing import Any


def __getattr__(name: str) -> Any:
    # Made where pydantic asks for it: whoever only reads labels needs no pydantic.
    if name == "LATER":
        return _later()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _later() -> Any:
    from pydantic import Field  # noqa: PLC0415 - takes as long as reading a label does

    return Field(exclude_if=lambda value: not value)
