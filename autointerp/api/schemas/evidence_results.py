"""The answer to a request for evidence as it travels: results of each kind with their controls."""

from __future__ import annotations

from pydantic import Field

from autointerp.api.schemas import Wire
from autointerp.core.causal_evidence import ControlKind, EvidenceKind, Hold, TextKind
from autointerp.core.ids import Side


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
