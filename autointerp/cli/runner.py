"""What ``label`` and ``demo`` call, and what they get back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from autointerp.core.config import Budget, JobSpec
from autointerp.core.labels import Label, LabelStatus
from autointerp.core.progress import Progress

if TYPE_CHECKING:
    from autointerp.llm import Ledger
    from autointerp.settings import Settings


class Spent(Protocol):
    """What the LLM cost."""

    @property
    def requests(self) -> int:
        """Requests sent."""
        ...

    @property
    def prompt_tokens(self) -> int:
        """Tokens of their prompts."""
        ...

    @property
    def completion_tokens(self) -> int:
        """Tokens generated."""
        ...

    @property
    def cached_replies(self) -> int:
        """Replies read from the cache: nothing was sent."""
        ...


class Outcome(Protocol):
    """What came of a job."""

    @property
    def folder(self) -> Path:
        """The run's folder, which is the feature dictionary."""
        ...

    @property
    def labels(self) -> tuple[Label, ...]:
        """Every label of the job."""
        ...

    @property
    def n_by_status(self) -> Mapping[LabelStatus, int]:
        """How many labels of each status."""
        ...

    @property
    def n_reused(self) -> int:
        """Labels that were there already."""
        ...

    @property
    def seconds_by_stage(self) -> Mapping[str, float]:
        """Wall-clock seconds."""
        ...

    @property
    def usage(self) -> Spent:
        """What the LLM cost this time."""
        ...

    @property
    def ledger(self) -> Ledger | None:
        """What it cost by stage and unit, earlier runs of the job included."""
        ...

    @property
    def stopped(self) -> str | None:
        """Why units are left without a label; None where none is."""
        ...

    @property
    def n_left(self) -> int:
        """How many units are left without a label."""
        ...


class Runner(Protocol):
    """Runs a job to its end."""

    def __call__(  # noqa: PLR0913 - a job, a folder and how to go about it
        self,
        job: JobSpec,
        *,
        out: Path,
        resume: bool,
        settings: Settings,
        progress: Progress,
        budget: Budget,
    ) -> Outcome:
        """Labels the job's units into the folder."""
        ...


def run_job(  # noqa: PLR0913 - as Runner
    job: JobSpec,
    *,
    out: Path,
    resume: bool,
    settings: Settings,
    progress: Progress,
    budget: Budget,
) -> Outcome:
    """The real runner, imported when it is called: it brings torch, which takes seconds."""
    from autointerp import wiring  # noqa: PLC0415

    return wiring.run_job(
        job, out=out, resume=resume, settings=settings, progress=progress, budget=budget
    )
