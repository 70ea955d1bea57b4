"""The command line called in this process, with a runner that does no work."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from factories import make_label

from autointerp.cli import run
from autointerp.core.config import Budget, JobSpec
from autointerp.core.explanations import Label
from autointerp.core.progress import Progress
from autointerp.jobs import RunReport
from autointerp.jobs.run_totals import LabelOutcome, RunTotals
from autointerp.llm import TotalUsage
from autointerp.settings import Settings


@dataclass
class FakeRunner:
    """Remembers what it was called with; gives labels or raises."""

    labels: tuple[Label, ...] = (make_label(),)
    error: BaseException | None = None
    jobs: list[JobSpec] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)

    def __call__(  # noqa: PLR0913 - as a runner
        self,
        job: JobSpec,
        *,
        out: Path,
        resume: bool,
        settings: Settings,
        progress: Progress,
        budget: Budget,
        collected: Path | None = None,
        keep_collection: bool = False,  # noqa: ARG002 - as a runner
    ) -> RunReport:
        self.jobs.append(job)
        call = {"out": out, "resume": resume, "settings": settings, "budget": budget}
        self.calls.append({**call, "collected": collected})
        progress.start("collect", 64, "tokens")
        progress.advance("collect", 64)
        if self.error is not None:
            raise self.error
        usage = TotalUsage(
            requests=210, prompt_tokens=40_000, completion_tokens=2_000, cached_replies=3
        )
        totals = RunTotals.of(map(LabelOutcome.of, self.labels))
        seconds = {"collect": 12.0}
        return RunReport(self.labels, out, seconds_by_stage=seconds, usage=usage, totals=totals)


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


class Cli:
    """Calls the command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.runner = FakeRunner()

    def __call__(self, *arguments: str) -> Ended:
        code = run(arguments, runner=self.runner)
        captured = self._capsys.readouterr()
        return Ended(code, captured.out, captured.err)
