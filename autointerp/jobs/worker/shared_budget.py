"""A chunk's share of its job's budget: the LLM labels some of its units, rules the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from autointerp.core.config import Budget, JobSpec, LlmOrder
from autointerp.core.job_state import Job
from autointerp.jobs.chunk import ChunkLabels, EarlierLabel
from autointerp.jobs.llm_order import llm_order, table_score
from autointerp.jobs.spending import Spending
from autointerp.jobs.unit_inputs import Target, UnitRecords
from autointerp.pipeline import UnitInput

Units = Mapping[Target, tuple[UnitRecords, UnitInput]]
SHARED_OUT = (
    "the budget is shared out among all units, and where it does not reach, they are labelled "
    "by rules"
)


def share_of(job: Job, n_units: int) -> Budget:
    """What of a job's budget a chunk of so many units may use.

    What is left is shared among the units that are left; those that are named first may use all.
    """
    budget, n_open = job.budget, job.counts.total - job.counts.done
    share = Decimal(1)
    if budget.order != "asked" and n_units < n_open:
        share = Decimal(n_units) / n_open
    usd = None if budget.usd is None else Decimal(str(budget.usd)) - Decimal(str(job.usd or 0))
    tokens = None if budget.tokens is None else budget.tokens - job.tokens
    # A limit of nothing is no limit that a budget can have.
    return Budget(
        usd=None if usd is None else max(1e-9, float(usd * share)),
        tokens=None if tokens is None else max(1, int(tokens * share)),
        order=budget.order,
    )


def by_promise(units: Units, spec: JobSpec, order: LlmOrder) -> list[Target]:
    """Those that can be labelled, in the order in which the LLM labels them."""

    def score(target: Target) -> float | None:
        read = units[target][0]
        return table_score(read.sets, read.token_means, spec)

    living = [target for target, (read, _) in units.items() if read.dead is None]
    return llm_order(living, order, seed=spec.seed, score=score)


async def label_within(
    labels: ChunkLabels,
    rules: ChunkLabels,
    spending: Spending,
    units: Units,
    earlier: Mapping[Target, EarlierLabel],
    *,
    left: Sequence[Target],
    on_rules: Callable[[str], None],
) -> None:
    """Labels all units, those of `left` that the budget does not reach by rules.

    Why is told before they are labelled: a process that ends between the two leaves no job that
    looks as if the LLM had labelled all.
    """
    known = dict(earlier)
    while left and labels.stopped is None and spending.n_left:
        some = spending.next_of(left)
        await labels.label([units[target] for target in some], known)
        for target in some:
            label = labels.store.get_label(*target)
            if label is not None:
                known[target] = EarlierLabel(label.candidates, units[target][0].token_means)
        left = left[len(some) :]
    rest = [both for target, both in units.items() if target not in known]
    if any(read.dead is None for read, _ in rest):
        on_rules(labels.stopped or SHARED_OUT)
    await rules.label(rest, known)
