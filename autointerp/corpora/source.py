"""What a source of text is to the rest of the package."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from autointerp.core.text import Document


class Source(Protocol):
    """Documents from one place."""

    @property
    def name(self) -> str:
        """How the source is written in a corpus spec."""
        ...

    def documents(self, rng: np.random.Generator, /) -> Iterator[Document]:
        """Every document once: shuffled by ``rng``, or in its own order where it is a stream.

        Raises:
            InputError: the source cannot be read; the message says where.
        """
        ...
