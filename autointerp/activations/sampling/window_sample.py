"""Windows that were chosen: which, and what they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from autointerp.core.records import Stratum

NEAR = "near"
"""Stratum of the windows that were chosen for being near exemplars, and not by chance."""


class SampledWindow(NamedTuple):
    """One chosen window."""

    window: int
    """Id in the corpus."""
    stratum: str
    weight: float
    """Windows that it stands for; one over its inclusion probability where chance chose it."""
    influence: float = 1.0
    """As of the record."""


@dataclass(frozen=True, slots=True)
class WindowSample:
    """Chosen windows, with the strata they were drawn from."""

    sampled: tuple[SampledWindow, ...]
    """The most influential first, in a scored set."""
    strata: tuple[Stratum, ...] = ()
    """With their exact sizes; empty where no estimate is to be made from the windows."""

    @property
    def windows(self) -> tuple[int, ...]:
        """Ids of the windows, in their order."""
        return tuple(chosen.window for chosen in self.sampled)
