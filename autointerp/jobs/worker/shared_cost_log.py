"""The cost log of a job that several workers spend on, stored with the job."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from typing_extensions import override

from autointerp.core.job_state import Job
from autointerp.llm import CostLog, Spent
from autointerp.store.jobs import JobStore


class SharedCostLog(CostLog):
    """Records the calls of all workers of a job together, so that its limits hold for their sum.

    The most that a call can cost is added to what the job has spent before the sum is looked at,
    and taken back where it is over a limit. As additions are atomic, calls that were let through
    never cost more than the limit together, whoever made them. A worker that is killed leaves
    its calls recorded at the most they can have cost.
    """

    def __init__(
        self,
        jobs: JobStore,
        job: Job,
        *,
        moved: Callable[[], None],
        paid: Callable[[], None] = lambda: None,
        closed: Callable[[], bool] = lambda: False,
    ) -> None:
        """Opens the cost log of a job.

        `moved` is called after every reply, `paid` after every call that was sent and ended; while
        it is `closed` new calls are refused, and those in flight are still recorded.
        """
        super().__init__()
        self._jobs, self._job, self._is_closed = jobs, job.id, closed
        self._moved, self._paid = moved, paid

    @override
    def committed(self, *, resumed: str = "") -> tuple[int, Decimal | None]:
        """Tokens and dollars spent by all workers, open calls at the most they can cost."""
        job = self._jobs.summary(self._job)
        if job is None:
            return 0, Decimal(0)
        if job.usd is None:
            return job.tokens, None if job.requests else Decimal(0)
        return job.tokens, Decimal(str(job.usd))

    @override
    def begin_within(
        self, key: str, worst: Spent, *, tokens: int | None, usd: float | None
    ) -> int | None:
        if self._is_closed():
            return None
        self._spend(worst, 1)
        if tokens is not None or usd is not None:
            spent_tokens, spent_usd = self.committed()
            over = tokens is not None and spent_tokens > tokens
            if usd is not None and spent_usd is not None:
                over = over or spent_usd > Decimal(str(usd))
            if over:
                self._spend(worst, -1)
                return None
        return self.begin_call(key, worst)

    @override
    def end_call(self, number: int, spent: Spent) -> None:
        """Records what a call has cost in place of the most it could."""
        worst = self.worst(number)
        known = spent.usd is not None and worst.usd is not None
        self._jobs.spend(
            self._job,
            requests=spent.requests - worst.requests,
            tokens=spent.tokens - worst.tokens,
            usd=float((spent.usd or Decimal(0)) - (worst.usd or Decimal(0))) if known else None,
        )
        super().end_call(number, spent)
        self._moved()
        self._paid()

    @override
    def add(self, spent: Spent) -> None:
        super().add(spent)
        self._moved()

    def _spend(self, spent: Spent, sign: int) -> None:
        self._jobs.spend(
            self._job,
            requests=sign * spent.requests,
            tokens=sign * spent.tokens,
            usd=None if spent.usd is None else float(sign * spent.usd),
        )
