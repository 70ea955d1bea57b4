"""Questions and answers behind scores, as they travel."""

from __future__ import annotations

from pydantic import Field

from autointerp.api.schemas import Wire
from autointerp.core.ids import Side


class TurnOut(Wire):
    """One message of a question."""

    role: str
    text: str


class QuestionOut(Wire):
    """One question, worded again by the scorer that asked it."""

    turns: list[TurnOut]
    reply: str | None = Field(description="As it came; null where it is not kept.")
    windows: list[int] = Field(description="Windows that it is about; empty where not known.")


class JudgedTrial(Wire):
    """What was read out of a reply about one window."""

    window: int
    stratum: str
    weight: float
    verdict: bool | None
    probability: float | None
    predicted_peak: float | None = Field(description="Greatest predicted activation.")
    failure: str | None = Field(description="Why there is neither; null for a judged trial.")


class ScorerTrialsOut(Wire):
    """What one scorer asked about one explanation."""

    side: Side
    scorer: str
    explanation: str
    trials: list[JudgedTrial]
    questions: list[QuestionOut]
    note: str | None = Field(description="Why there are no questions, or how they may differ.")


class TrialsPage(Wire):
    """Every question and answer behind the scores of a unit."""

    unit: str
    scorers: list[ScorerTrialsOut]
    unreadable: list[str] = Field(description="Labels and records that cannot be read.")
