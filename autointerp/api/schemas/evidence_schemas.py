"""Causal evidence as it travels: what is asked of units, and the answer with its controls."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from autointerp.api.schemas import Wire
from autointerp.core.causal_evidence import ControlKind, EvidenceKind, Hold, TextKind
from autointerp.core.causal_request import CausalRequest
from autointerp.core.ids import Side
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


class StandingOut(Wire):
    """Where a number stands among those of its controls."""

    control: ControlKind
    values: list[float] = Field(description="Of each control; empty where there is none.")
    rank: int | None = Field(description="1 where no control is as large in size.")
    p: float | None = Field(
        description="(1 + controls at least as large in size) / (1 + controls)."
    )
    reason: str | None = Field(description="Why there are no controls.")


class LossChangeOut(Wire):
    """How much higher the loss is with units held."""

    hold: Hold
    text: TextKind
    value: float | None = Field(description="Nats a token; null where undefined.")
    low: float | None = Field(description="Lower end of the 95 % interval over documents.")
    high: float | None
    loss: float | None = Field(description="As it is, nats a token.")
    n_windows: int
    n_documents: int
    n_tokens: int = Field(description="Tokens that are predicted.")
    standings: list[StandingOut]
    reason: str | None = Field(description="Why there is no value.")


class AblationOut(Wire):
    """What is lost without some units."""

    units: list[str]
    changes: list[LossChangeOut] = Field(description="One a hold and a text.")


class PatchingOut(Wire):
    """How much of a difference between two prompts some units carry."""

    units: list[str]
    prompt: str
    counterfactual: str
    answers: list[str]
    position: int | None
    difference: float = Field(
        description="Logit of the first answer less that of the second, behind the prompt."
    )
    counterfactual_difference: float
    patched_difference: float = Field(
        description="Behind the counterfactual, with the units as they are in the prompt."
    )
    share: float | None = Field(description="Of the way from the counterfactual to the prompt.")
    standings: list[StandingOut]
    reason: str | None = Field(description="Why there is no share.")


class AttributedTextOut(Wire):
    """What a unit adds to the logit of the token that really follows, at one place of a text."""

    strongest: bool = Field(description="Else it is one of the most negative texts.")
    tokens: list[str]
    position: int = Field(description="0-based token at which the unit is read.")
    activation: float
    following: str
    logit: float = Field(description="Less the mean over the vocabulary.")
    share_below: float = Field(description="Share of the vocabulary that is raised less.")


class AttributionOut(Wire):
    """What a unit adds directly to the tokens that follow where it is largest."""

    unit: str
    texts: list[AttributedTextOut]
    mean: float | None = Field(description="Over the strongest texts, logits.")
    low: float | None
    high: float | None
    standings: list[StandingOut]
    reason: str | None


class SteeredWritingOut(Wire):
    """What the model writes while a unit is raised, or lowered."""

    unit: str
    strength: float | None = Field(
        description="Added at every token, model units; null where it cannot be steered."
    )
    kl: float | None = Field(description="Reached, nats, mean over the prompts.")
    prompts: list[str]
    texts: list[str] = Field(description="What follows each prompt.")
    unsteered: list[str] = Field(description="With nothing added, from the same random numbers.")
    control_texts: list[str] = Field(description="With a random direction of the same length.")
    standings: list[StandingOut]
    reason: str | None


class SiteTextOut(Wire):
    """A text on which a neuron is strong at one site."""

    window: int
    tokens: list[str]
    peak: int = Field(description="Position of the strongest token, 0-based.")
    value: float


class UnitSiteOut(Wire):
    """A neuron at one site."""

    unit: str
    density: float = Field(description="Share of tokens with an activation above 0.")
    mean: float
    largest: float
    least: float
    strongest: list[SiteTextOut]


class SitePairOut(Wire):
    """A neuron at two sites, on the same tokens."""

    first: str
    second: str
    correlation: float | None = Field(description="Null where it does not vary at one of them.")
    low: float | None = Field(description="Of the 95 % interval over documents.")
    high: float | None
    shared: float = Field(description="Share of the strongest windows that both have.")
    shared_by_chance: float


class UnitSitesOut(Wire):
    """A neuron at every site of its MLP."""

    corpus: str
    n_tokens: int
    n_documents: int
    n_strongest: int
    sites: list[UnitSiteOut]
    pairs: list[SitePairOut]


class OwnLabelRankOut(Wire):
    """How closely units of a hook point follow what a label of one of them predicts."""

    unit: str
    side: Side
    n_units: int = Field(description="At the hook point.")
    n_windows: int = Field(description="Of held-out text, on which all are compared.")
    n_documents: int
    rank: int | None = Field(
        description="1 where no other unit follows the label more closely; null where nothing can "
        "be compared."
    )
    own: float | None = Field(description="Correlation of the unit with what its label predicts.")
    other: str | None = Field(description="The unit that follows it most closely among others.")
    best_other: float | None = Field(description="Its correlation.")
    margin: float | None = Field(
        description="Own less that of the best other, which is chosen on one half of the documents "
        "and compared on the other half; the mean of both ways round."
    )
    low: float | None = Field(description="Of the margin's 95 % interval over documents.")
    high: float | None
    rivals: list[str] = Field(description="The units over which the margin is.")
    lead_low: float | None = Field(
        description="Where the rank is 1: lower end of the 95 % interval of own less that of the "
        "best other on all windows. Above 0 the unit is surely the best."
    )
    reason: str | None = Field(description="Why there is no rank, or no margin.")


class CausalEvidenceOut(Wire):
    """The answer: of the kind that was asked, a result a unit or one for all together."""

    kind: EvidenceKind
    subject: str
    dtype: str | None = Field(description="Of the model's weights while it was measured.")
    ablations: list[AblationOut]
    patchings: list[PatchingOut]
    attributions: list[AttributionOut]
    steerings: list[SteeredWritingOut] = Field(description="Of each unit: raised, then lowered.")
    sites: list[UnitSitesOut]
    ranks: list[OwnLabelRankOut] = Field(description="Of each labelled side.")
    n_tokens_run: int = Field(description="Tokens of all forward passes, once a row.")
    seconds: float
    notes: list[str] = Field(description="Sentences that a reader should see.")


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
