"""What workers are asked about units while somebody waits, as it travels."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from autointerp.api.schemas import Wire
from autointerp.api.schemas.explanation_schemas import ScorerOut
from autointerp.core.config import Name
from autointerp.core.ids import Side

TokenId = Annotated[int, Field(strict=True, ge=0, lt=2**31)]


class GivenText(Wire):
    """A text, or its tokens."""

    text: str | None = Field(default=None, min_length=1, max_length=10_000_000)
    token_ids: list[TokenId] | None = Field(
        default=None,
        min_length=1,
        max_length=1_000_000,
        description="In place of a text: its tokens, which are read as they are. Without BOS.",
    )


class ActivationsRequest(GivenText):
    """Which units are read on which text."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "smollm2-135m", "units": "5:131", "text": "The Rhine runs into the sea."},
                {"model": "smollm2-135m", "units": "5:131", "token_ids": [504, 29374, 6326]},
            ]
        }
    )

    model: str = Field(default="smollm2-135m", max_length=300)
    units: str = Field(min_length=1, max_length=2_000)


class UnitActivations(Wire):
    """One unit on the text."""

    unit: str
    activations: list[float] = Field(description="One a token, model units.")


class ActivationsOut(Wire):
    """What the units do on the text, token by token."""

    model: str
    text: str = Field(description="Of token ids that were given, what they spell.")
    tokenized: bool = Field(
        description="Whether a text was cut into tokens for this answer; false where its tokens "
        "were given."
    )
    token_ids: list[int]
    tokens: list[str]
    units: list[UnitActivations]


class ExplanationRequest(Wire):
    """A person's own explanation of a unit."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "names of rivers", "side": "positive"},
                {"program": '10: token = " York" and previous = " New"', "llm": "none"},
            ]
        }
    )

    text: str | None = Field(
        default=None, min_length=1, max_length=2_000, pattern=r"\S", description="In words."
    )
    program: str | None = Field(
        default=None,
        min_length=1,
        max_length=4_000,
        description="In place of a text: rules, one a line, which are run without an LLM.",
    )
    side: Side | None = Field(
        default=None, description="The labelled one where only one side has a label."
    )
    scorers: list[Name] | None = Field(
        default=None,
        min_length=1,
        max_length=8,
        description="Names of scorers, as a job has them; those of a job that names none.",
    )
    n_heldout: int | None = Field(
        default=None, ge=2, le=10_000, description="Held-out windows; all that the job drew."
    )
    windows_per_call: int = Field(default=1, ge=1, le=50)
    llm: str = Field(default="embedded", max_length=100)
    llm_model: str | None = Field(default=None, max_length=200)
    seed: int | None = Field(
        default=None, ge=0, lt=2**63, description="That of the label where none is given."
    )
    keep: bool = Field(
        default=False,
        description="Keep it in the dictionary beside the label, by the explainer "
        "`person:` and the name of your key: `?explainer=person:NAME` asks for it. A later one of "
        "that name takes its place.",
    )


class ExplanationScores(Wire):
    """How well the explanation predicts the unit on the held-out windows."""

    unit: str
    side: Side
    text: str = Field(description="Of a program, its rules on one line.")
    program: str | None
    kept_as: str | None = Field(
        default=None,
        description="The explainer by which it is kept; null where it was not asked for, no score "
        "has a value, or the label of the unit failed.",
    )
    results: list[ScorerOut] = Field(
        description="Predictions have the score `over_label`: the paired difference to the unit's "
        "label, on the windows that both judged."
    )
