"""What happens when units are held, put back or pushed, each number beside its controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from autointerp.core.ids import UnitId
from autointerp.core.one_line import brief_repr
from autointerp.core.own_label_rank import OwnLabelRank
from autointerp.core.unit_sites import UnitSites


class EvidenceKind(StrEnum):
    """What is asked of units."""

    ABLATION = "ablation"
    PATCHING = "patching"
    ATTRIBUTION = "attribution"
    STEERING = "steering"
    SITES = "sites"
    """Neurons before, within and behind their activation function, on the same text."""
    RANK = "rank"
    """Whether each is the unit of its layer that its own label describes best."""


ACTED_ON = frozenset(set(EvidenceKind) - {EvidenceKind.SITES, EvidenceKind.RANK})
"""Kinds for which something is done to the unit; of the others it is only read."""


class Hold(StrEnum):
    """What a unit's activation is set to."""

    ZERO = "zero"
    MEAN = "mean"
    """Its mean over the text that was read."""
    RESAMPLED = "resample"
    """What it is at the same position of another document."""


class TextKind(StrEnum):
    """The text on which a change is measured."""

    ALL = "all"
    """Windows drawn from held-out text."""
    EXEMPLARS = "exemplars"
    """Windows on which the unit is strongest; of several, on which any of them is."""
    PREDICTED = "predicted"
    """Held-out windows on which its label says that it is active."""


class ControlKind(StrEnum):
    """What a number is compared with."""

    UNITS = "random_units"
    """As many other units of the same hook point."""
    DIRECTIONS = "random_directions"
    """The same change of what is written, turned to a random direction, its length kept."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a number stands among those of controls."""

    control: ControlKind
    values: tuple[float, ...]
    """Of each control, in the order in which they were drawn; empty where there is none."""
    rank: int | None
    """1 where no control is as large in size; None without controls."""
    p: float | None
    """(1 + controls at least as large in size) / (1 + controls); None without controls."""
    reason: str | None = None
    """Why there are no controls."""

    __repr__ = brief_repr

    @classmethod
    def of(cls, control: ControlKind, own: float, values: Sequence[float]) -> Standing:
        """That of a number among at least one control; one that is not finite stands last."""
        # Written so that what is not a number counts as larger: nothing is lost beside it.
        n_larger = sum(not abs(value) < abs(own) for value in values)
        p = (1 + n_larger) / (1 + len(values))
        return cls(control, tuple(values), 1 + n_larger, p)

    @classmethod
    def none(cls, control: ControlKind, reason: str) -> Standing:
        """Where nothing can be compared with."""
        return cls(control, (), None, None, reason)


@dataclass(frozen=True, slots=True)
class LossChange:
    """By how much the model's loss changes on some text while units are held."""

    hold: Hold
    text: TextKind
    value: float | None
    """Loss with the units held less the loss as it is, nats a token; None where undefined."""
    low: float | None
    """Lower end of the 95 % interval over documents; None with fewer than two."""
    high: float | None
    loss: float | None
    """As it is, nats a token."""
    n_windows: int
    n_documents: int
    n_tokens: int
    """Tokens that are predicted."""
    standings: tuple[Standing, ...] = ()
    """One a kind of control; empty where undefined, or where none were asked for."""
    reason: str | None = None
    """Why there is no value."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class Ablation:
    """What is lost without some units."""

    units: tuple[UnitId, ...]
    """Held together."""
    changes: tuple[LossChange, ...]
    """One a hold and a text."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class Patching:
    """How much of a difference between two prompts some units carry."""

    units: tuple[UnitId, ...]
    prompt: str
    counterfactual: str
    answers: tuple[str, str]
    """The token that the prompt prefers and the one that the counterfactual does."""
    position: int | None
    """0-based token at which the units are put back; None for all."""
    difference: float
    """Logit of the first answer less that of the second, behind the prompt."""
    counterfactual_difference: float
    """The same behind the counterfactual."""
    patched_difference: float
    """The same with the units as they are in the prompt."""
    share: float | None
    """Share of the way from the counterfactual to the prompt; None where undefined."""
    standings: tuple[Standing, ...] = ()
    """Of the share, among the controls' shares."""
    reason: str | None = None
    """Why there is no share."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class AttributedText:
    """What a unit adds to the logit of the token that really follows, at one place of a text."""

    strongest: bool
    """Whether it is one of the strongest texts; else one of the most negative."""
    tokens: tuple[str, ...]
    position: int
    """0-based token at which the unit is read."""
    activation: float
    """There, model units."""
    following: str
    """The next token."""
    logit: float
    """Activation times output weights, through the final norm with its divisor as it is there, to
    that token's logit, less the mean over the vocabulary."""
    share_below: float
    """Share of the vocabulary whose logits are raised less."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class Attribution:
    """What a unit adds directly to the tokens that follow where it is largest."""

    unit: UnitId
    texts: tuple[AttributedText, ...]
    """The strongest first, then the most negative."""
    mean: float | None
    """Mean over the strongest texts, logits; None where undefined."""
    low: float | None
    """Lower end of the 95 % interval over documents."""
    high: float | None
    standings: tuple[Standing, ...] = ()
    """Of the mean, among random directions of the same length."""
    reason: str | None = None
    """Why there is none."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class SteeredWriting:
    """What the model writes while a unit is raised or lowered."""

    unit: UnitId
    strength: float | None
    """Added to its activation at every token, model units; None where it cannot be steered."""
    kl: float | None
    """Of the next token's distribution from the unsteered one, nats, mean over the prompts."""
    prompts: tuple[str, ...]
    texts: tuple[str, ...] = ()
    """What follows each prompt."""
    unsteered: tuple[str, ...] = ()
    """What follows with nothing added, drawn with the same random numbers."""
    control_texts: tuple[str, ...] = ()
    """What follows with a random direction of the same length added."""
    standings: tuple[Standing, ...] = ()
    """Of the KL, among random directions of the same length."""
    reason: str | None = None
    """Why it cannot be steered."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class CausalEvidence:
    """The answer to one request."""

    kind: EvidenceKind
    subject: str
    dtype: str | None = None
    """Of the subject model's weights while it was measured; None where that was not noted."""
    ablations: tuple[Ablation, ...] = ()
    patchings: tuple[Patching, ...] = ()
    attributions: tuple[Attribution, ...] = ()
    steerings: tuple[SteeredWriting, ...] = ()
    sites: tuple[UnitSites, ...] = ()
    ranks: tuple[OwnLabelRank, ...] = ()
    n_tokens_run: int = 0
    """Tokens of all forward passes that were run for it, counted once a row."""
    seconds: float = 0.0
    """Of those passes, wall clock."""
    notes: tuple[str, ...] = ()
    """Sentences that a reader should see."""

    __repr__ = brief_repr
