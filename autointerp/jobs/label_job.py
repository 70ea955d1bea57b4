"""A labelling job with everything that it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autointerp.core.config import JobSpec, LlmOrder
from autointerp.core.ids import UnitId
from autointerp.corpora import TokenCorpus
from autointerp.jobs.spending import UnitsLeft
from autointerp.llm import ChatModel, Spent
from autointerp.pipeline import Tools
from autointerp.subjects import HookUnits, SubjectModel


@dataclass(frozen=True, slots=True)
class LimitedLlm:
    """How a job goes about an LLM whose budget may end before the last unit.

    All units are labelled by rules first, which costs nothing; the LLM's labels take their place.
    """

    order: LlmOrder
    reach: Callable[[int, Spent], str]
    """For how many of so many units the budget lasts, in words; takes what was spent before."""
    n_left: UnitsLeft


@dataclass(frozen=True, slots=True)
class LabelJob:
    """A job with everything it needs but the LLM, which is opened when it is needed."""

    spec: JobSpec
    subject: SubjectModel
    corpus: TokenCorpus
    units: tuple[HookUnits, ...]
    open_llm: Callable[[], ChatModel | None]
    build_tools: Callable[[ChatModel | None, tuple[UnitId, ...]], Tools]
    """Takes the units among which some scorers find others; without an LLM, tools that ask none."""
    at_once: int = 4
    """Units that are worked on at the same time."""
    recording: Path | None = None
    """Folder for activations while units are labelled; memory where None."""
    limited: LimitedLlm | None = None
    """None where no budget is known, or units that it does not reach are to stay without label."""
    notes: tuple[str, ...] = ()
    """How its units are read, where a person should know."""

    @property
    def ids(self) -> tuple[UnitId, ...]:
        """Every unit, in job order."""
        name = self.subject.name
        return tuple(UnitId(name, u.hook, i) for u in self.units for i in u.indices)
