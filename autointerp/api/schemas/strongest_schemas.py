"""The strongest units on a text, as they travel."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from autointerp.api.schemas import Wire
from autointerp.api.schemas.worker_request_schemas import GivenText
from autointerp.core.ids import Side

MOST_STRONGEST = 200
"""Units that one answer lists."""


class StrongestRequest(GivenText):
    """On which text the strongest units of which layers are asked for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"text": "The Rhine runs into the sea.", "layers": [5, 6], "n": 10}]
        }
    )

    layers: list[Annotated[int, Field(strict=True, ge=0, le=10_000)]] | None = Field(
        default=None,
        min_length=1,
        max_length=1_000,
        description="0-based; all where none is given.",
    )
    n: int = Field(default=20, ge=1, le=MOST_STRONGEST)


class FoundUnit(Wire):
    """One side of a unit, as a worker found it on the text."""

    unit: str
    side: Side
    activation: float = Field(description="The side's largest on the text, model units.")
    position: int = Field(description="0-based token at which that is.")
    maximum: float | None = Field(
        description="The side's largest in the collection of its label; null without a label."
    )
    relative: float | None = Field(description="The activation as a share of that.")


class FoundUnits(Wire):
    """What a worker sends back."""

    model: str
    text: str
    token_ids: list[int]
    tokens: list[str]
    hooks: list[str]
    units: list[FoundUnit]


class StrongUnitOut(FoundUnit):
    """The same with what its label says."""

    hook: str
    layer: int
    index: int
    token: str = Field(description="The token at that position.")
    description: str | None = Field(description="Of its label; null without one.")
    score: float | None = Field(description="Of its label.")


class StrongestOut(Wire):
    """The strongest units on the text, strongest first."""

    model: str
    text: str
    tokenized: bool = Field(description="Whether a text was cut into tokens for this answer.")
    token_ids: list[int]
    tokens: list[str]
    hooks: list[str] = Field(description="Hook points that were read.")
    ranked_by: str = Field(
        description="`relative`: units whose labels tell their maximum come first, by their share "
        "of it, and then others by their activation; `activation`: no maximum is known."
    )
    units: list[StrongUnitOut]
