"""`override` for modules that a label is read with: typing_extensions takes 5 ms to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import override as override  # noqa: PLC0414 - exported
else:

    def override(method: object) -> object:
        """The method, which replaces one of a base class."""
        return method
