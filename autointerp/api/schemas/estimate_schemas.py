"""What a job would cost, as it travels."""

from __future__ import annotations

from pydantic import Field

from autointerp.api.schemas import Wire


class StageTimeOut(Wire):
    """One stage of a job."""

    seconds: float = Field(description="Of the clock.")
    cpu_s: float = Field(description="Of all cores together.")


class WindowCounts(Wire):
    """Windows of the text by what they are for, in the mean."""

    explain: int
    validation: int
    held_out: int


class LlmEstimate(Wire):
    """What the LLM would be asked, if each unit makes every call that it may make."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    usd: float | None = Field(description="Null where the price is unknown.")
    price: str = Field(description="Where dollars come from, or why there are none.")


class EstimateOut(Wire):
    """What a job would need. What is null is told in `unknown`; sizes are bytes by part."""

    text: str = Field(description="All of it in a sentence.")
    subject: str
    n_units: int | None
    n_labels: int | None = Field(description="Twice the units where both sides are labelled.")
    n_tokens: int = Field(description="Of text.")
    n_windows: WindowCounts
    machine: str | None = Field(
        description="On which times were measured; None where none is told."
    )
    n_workers: int = Field(description="Processes that label, as there are now; 1 at least.")
    n_readers: int = Field(description="Processes that read text, likewise.")
    seconds: float | None = Field(description="Of the clock, without waiting for LLM and others.")
    cpu_s: float | None
    stages: dict[str, StageTimeOut] | None
    reader_memory: dict[str, int] | None = Field(description="Of a process that reads text.")
    worker_memory: dict[str, int] | None = Field(description="Of a process that labels.")
    artifacts: dict[str, int] | None = Field(description="Of the artifact store.")
    store: dict[str, int] | None = Field(description="Of Redis.")
    llm: LlmEstimate | None = Field(description="Null where no LLM is asked, or units are unknown.")
    budget_reach: str | None = Field(description="How far the budget goes, where there is one.")
    unknown: list[str] = Field(description="What is not known beforehand, a sentence each.")
