"""Causal evidence as it travels: what is asked of units, and what is kept of the answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from autointerp.api.schemas import Wire
from autointerp.api.schemas.evidence_results import CausalEvidenceOut
from autointerp.core.causal_evidence import ControlKind, EvidenceKind, Hold, TextKind
from autointerp.core.causal_request import CausalRequest
from autointerp.core.probe import NEUTRAL_PROMPTS

MOST_ASKED = 16
"""Units of one request."""
_Prompt = Annotated[str, Field(min_length=1, max_length=4_000)]
_Answer = Annotated[str, Field(min_length=1, max_length=200)]


class EvidenceOptions(Wire):
    """Which kind of evidence, and how; the fields are the options of the command."""

    kind: EvidenceKind = Field(
        default=EvidenceKind.ABLATION,
        description="`ablation`: the loss without it; `patching`: what it carries between two "
        "prompts; `attribution`: what it adds to the tokens that follow; `steering`: what is "
        "written with it; `sites`: neurons before, within and behind their activation function; "
        "`rank`: whether it is the unit of its layer that its own label describes best.",
    )
    holds: list[Hold] = Field(
        default=[Hold.ZERO],
        min_length=1,
        max_length=len(Hold),
        description="Of an ablation: at zero, its mean, or what it is on another text.",
    )
    texts: list[TextKind] = Field(
        default=list(TextKind),
        min_length=1,
        max_length=len(TextKind),
        description="Of an ablation: held-out text, the label's exemplars, and held-out text where "
        "the label says that it is active.",
    )
    n_windows: int = Field(
        default=32, ge=1, le=1_000, description="Held-out windows for the change of loss overall."
    )
    n_texts: int = Field(
        default=8, ge=1, le=1_000, description="Exemplars, and texts that the label speaks of."
    )
    n_controls: int = Field(
        default=19, ge=0, le=99, description="Of each kind; with 19 the smallest p is 0.05."
    )
    against: list[ControlKind] = Field(
        default=list(ControlKind),
        min_length=1,
        max_length=len(ControlKind),
        description="Which controls an ablation has.",
    )
    prompt: _Prompt | None = Field(default=None, description="Of patching.")
    counterfactual: _Prompt | None = Field(
        default=None, description="Of patching: another text of as many tokens."
    )
    answers: list[_Answer] | None = Field(
        default=None,
        min_length=2,
        max_length=2,
        description="Of patching: one token after the prompt, then one after the other; the most "
        "probable ones where none are given.",
    )
    position: int | None = Field(
        default=None, ge=0, le=100_000, description="Of patching: at this token alone, 0-based."
    )
    prompts: list[_Prompt] = Field(
        default=list(NEUTRAL_PROMPTS),
        min_length=1,
        max_length=8,
        description="Of steering: texts to go on with.",
    )
    target_kl: float = Field(
        default=0.5, gt=0, le=100, description="Of steering: how far the next token moves, nats."
    )
    n_tokens: int = Field(
        default=25, ge=1, le=200, description="Of steering: tokens written behind each prompt."
    )
    seed: int = Field(default=0, ge=0, lt=2**63)


class EvidenceRequest(EvidenceOptions):
    """Which kind of evidence of which units; at most a few, while somebody waits."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"units": "5:131", "kind": "ablation", "holds": ["zero", "mean"]},
                {"units": "5:131", "kind": "steering", "prompts": ["I once heard that"]},
                {
                    **{"units": "5:131,5:7", "kind": "patching", "together": True},
                    **{"prompt": "He is from Paris", "counterfactual": "He is from Berlin"},
                },
            ]
        }
    )

    units: str = Field(
        min_length=1, max_length=2_000, description=f"As a job names them; {MOST_ASKED} at most."
    )
    together: bool = Field(default=False, description="Hold all units as one set.")
    dtype: Literal["float32", "bfloat16"] = Field(
        default="float32", description="Of the model's weights."
    )
    corpus: str = Field(
        default="wiki", max_length=20_000, description="Of sites: the text that is read."
    )
    tokens: int = Field(default=16_384, ge=16, le=1_000_000, description="Of sites: read of it.")
    keep: bool = Field(
        default=False, description="Keep the answers beside the units' labels, as a job does."
    )


class UnlabelledOut(Wire):
    """What a worker sends back where no text of the units was kept."""

    unlabelled: list[str]
    reason: str


class EvidenceSourceOut(Wire):
    """What a kept answer was made from."""

    created: str = Field(description="ISO 8601, UTC.")
    package_version: str
    subject_revision: str = Field(description="Digest of the model's weights.")
    dtype: str
    corpus: str | None = Field(description="Null of kinds that need no text.")
    job: str | None = Field(description="Null where no job asked for it.")
    label: str | None = Field(
        description="Digest of the label whose texts it was measured on, of a rank those of both "
        "sides with + between them; null of other kinds."
    )


class KeptEvidenceOut(Wire):
    """A kept answer about one unit, with the request that it answers."""

    unit: str
    request: CausalRequest
    evidence: CausalEvidenceOut
    source: EvidenceSourceOut


class KeptEvidenceList(Wire):
    """What is kept of a unit, by kind and the oldest first."""

    items: list[KeptEvidenceOut]
    unreadable: list[str] = Field(description="Why answers cannot be read and are left out.")
