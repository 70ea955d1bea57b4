"""What is asked of workers, and their answers."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from autointerp.api.schemas.common import Wire
from autointerp.api.schemas.units import ScorerOut
from autointerp.core.ids import Side


class ActivationsRequest(Wire):
    """Which units are read on which text."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "smollm2-135m", "units": "5:131", "text": "The Rhine runs into the sea."}
            ]
        }
    )

    model: str = Field(default="smollm2-135m", max_length=300)
    units: str = Field(min_length=1, max_length=2_000)
    text: str = Field(min_length=1)


class UnitActivations(Wire):
    """One unit on the text."""

    unit: str
    activations: list[float] = Field(description="One a token, model units.")


class ActivationsOut(Wire):
    """What the units do on the text, token by token."""

    model: str
    text: str
    token_ids: list[int]
    tokens: list[str]
    units: list[UnitActivations]


class ExplanationRequest(Wire):
    """A person's own explanation of a unit."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "names of rivers", "side": "positive"}]}
    )

    text: str = Field(min_length=1, max_length=2_000, pattern=r"\S")
    side: Side | None = Field(
        default=None, description="The labelled one where only one side has a label."
    )
    scorers: list[str] = Field(
        default=["simulation"],
        min_length=1,
        max_length=8,
        description="Names of scorers, as a job has them.",
    )
    llm: str = Field(default="embedded", max_length=100)
    llm_model: str | None = Field(default=None, max_length=200)
    seed: int = Field(default=0, ge=0, lt=2**63)


class ExplanationScores(Wire):
    """How well the explanation predicts the unit on the held-out windows."""

    unit: str
    side: Side
    text: str
    results: list[ScorerOut]
