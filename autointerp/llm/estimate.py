"""What a job will cost, said before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from autointerp.llm.prices import Price
from autointerp.llm.protocol import Usage

_ASSUMPTION = (
    "each unit asks every call that it may ask, replies are as long as planned, nothing comes "
    "from a cache and nothing is asked twice"
)


@dataclass(frozen=True, slots=True)
class PlannedCalls:
    """Calls of one stage for one unit."""

    stage: str
    n_calls: int
    """For one unit."""
    prompt_tokens: int
    """Of one call."""
    completion_tokens: int
    """Of one call; hidden reasoning counts."""


@dataclass(frozen=True, slots=True)
class StageEstimate:
    """One stage over all units."""

    stage: str
    n_calls: int
    prompt_tokens: int
    completion_tokens: int
    usd: Decimal | None
    """None where the price is unknown."""


@dataclass(frozen=True, slots=True)
class JobEstimate:
    """A whole job."""

    stages: tuple[StageEstimate, ...]
    """In the order of the plan."""
    usd: Decimal | None
    """None where the price is unknown."""
    assumption: str = _ASSUMPTION

    @property
    def n_calls(self) -> int:
        """Calls of all stages."""
        return sum(stage.n_calls for stage in self.stages)

    @property
    def prompt_tokens(self) -> int:
        """Prompt tokens of all stages."""
        return sum(stage.prompt_tokens for stage in self.stages)

    @property
    def completion_tokens(self) -> int:
        """Completion tokens of all stages."""
        return sum(stage.completion_tokens for stage in self.stages)

    @property
    def said(self) -> str:
        """One sentence for people."""
        money = "at an unknown price" if self.usd is None else f"about ${self.usd:.2f}"
        return (
            f"{self.n_calls:,} calls, {self.prompt_tokens:,} + {self.completion_tokens:,} tokens, "
            f"{money}, if {self.assumption}"
        )


def estimate_job(n_units: int, calls: Sequence[PlannedCalls], price: Price | None) -> JobEstimate:
    """Tokens and dollars of a job; no discount for cached prompt tokens is expected.

    Args:
        n_units: units with something to label.
        calls: what one unit asks.
        price: None where it is unknown; `Price.batched` where the job runs in batches.
    """
    stages = tuple(_stage(n_units, planned, price) for planned in calls)
    usd = None if price is None else sum((s.usd for s in stages if s.usd is not None), Decimal(0))
    return JobEstimate(stages, usd)


def _stage(n_units: int, planned: PlannedCalls, price: Price | None) -> StageEstimate:
    n_calls = n_units * planned.n_calls
    usage = Usage(n_calls * planned.prompt_tokens, n_calls * planned.completion_tokens)
    usd = None if price is None else price.cost(usage)
    return StageEstimate(planned.stage, n_calls, usage.prompt_tokens, usage.completion_tokens, usd)
