"""What is known of a unit beside its label: from its weights, and from what it does on the text.

Numbers are kept to three digits, so that what is stored is what was computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from autointerp.core.errors import AutointerpError
from autointerp.core.one_line import brief_repr


class Quantity(StrEnum):
    """What was measured; stored by its place in this list, so that new ones come last.

    What a unit reads is taken behind the gain of the norm before it, whose divisor is held at 1,
    and what it writes as for logit effects. Of the negative side, what is written has the other
    sign, and so has what is read as the factor of a gate (``up``).
    """

    INPUT_OUTPUT_COSINE = "input_output_cosine"
    """Of what an ungated neuron, a latent or a direction reads and what it writes."""
    GATE_OUTPUT_COSINE = "gate_output_cosine"
    """Of what opens the gate of a neuron and what the neuron writes."""
    UP_OUTPUT_COSINE = "up_output_cosine"
    """Of what the gate is multiplied by and what the neuron writes."""
    INPUT_NORM = "input_norm"
    """Length of what is read; of a gated neuron, that of the gate."""
    UP_NORM = "up_norm"
    """Length of what a gate is multiplied by."""
    OUTPUT_NORM = "output_norm"
    """Length of what one unit of activation writes."""
    NORM_TIMES_BIAS = "norm_times_bias"
    """Input norm times the bias, that of the norm before it included: strongly negative where many
    units share few dimensions (Gurnee et al. 2023, figure 2c)."""
    KURTOSIS = "kurtosis"
    """Excess kurtosis of the raw activation over all text that was read."""
    TAIL_INDEX = "tail_index"
    """Exponent of the tail of the side's largest activations, by Hill's estimator."""
    BIMODALITY = "bimodality"
    """Sarle's coefficient of the raw activation; skewed distributions have much of it too."""
    TOKEN_SHARE = "token_share"
    """Share of the variance on held-out text that a table of each token's mean explains."""
    POSITION_SHARE = "position_share"
    """Share of the variance that the position in the window explains, of windows that begin inside
    a document, so that positions in the window are at random offsets in the text."""
    POSITION_PEAK = "position_peak"
    """First of the positions (0, 1, 2-3, 4-7, and so on) at which the mean is greatest."""
    WINDOW_SHARE = "window_share"
    """Share of the variance that lies between windows: whole texts differ in it."""
    REPETITION = "repetition"
    """Correlation of a token's having stood in the window before with the activation that the
    table of tokens does not explain, positions held still."""
    PAIR_SHARE = "pair_share"
    """Where tokens stand at which the unit peaks: share of the variance left by the token that
    the token before it explains, each place left out of its own mean."""
    CONTINUED_WORD = "continued_word"
    """Share of the exemplars' peaks at tokens that go on with the word before them."""
    NEXT_TOKEN = "next_token"
    """How much the unit's output promotes the tokens that follow its peaks, in standard deviations
    over the vocabulary, mean over exemplars."""
    STRONGEST = "strongest"
    """Share of the exemplars at whose peak no unit of the hook point has a larger activation."""
    LARGER_UNITS = "larger_units"
    """Share of the hook point's other units whose activation is larger, in size, at the peaks of
    its exemplars; the median over these."""


class Absent(StrEnum):
    """Why there is no value; stored by its place in this list, so that new ones come last."""

    NO_BIAS = "its weights have no bias"
    INPUT_UNKNOWN = "what it reads is not known from the weights"
    INPUT_ELSEWHERE = "what it reads lies in another space than what it writes"
    OUTPUT_UNKNOWN = "it has no output weights that are known"
    NO_LENGTH = "its weights are all zero"
    FIRST_LAYER = "no layer before it has neurons"
    LAST_LAYER = "no layer behind it has neurons"
    ONLY_UNIT = "its hook point has no other unit"
    TOO_MANY = "its hook point has too many units to compare it with all of them"
    NOT_FINITE = "the value is not finite"
    FEW_WINDOWS = "too few windows were kept to tell"
    FEW_INSIDE = "too few windows begin inside a document to tell"
    CONSTANT = "it does not vary"
    FEW_ACTIVE = "fewer than 100 tokens activate the side"
    NO_LOGITS = "what it does to the logits is not known from the weights"
    TOKEN_EXPLAINS = "the token explains all of it"
    NOT_SCORED = "no score of the token table is defined"
    OTHERS_UNKNOWN = "what the neurons of near layers read or write is not known"
    NOT_READ = "the other units were not read with its texts"


@dataclass(frozen=True, slots=True)
class Measure:
    """One number about one side of a unit, with what to read it against."""

    quantity: Quantity
    value: float | None
    """None where it is undefined."""
    control: float | None = None
    """What the value is read against, see `evidence_words`; None where there is nothing."""
    low: float | None = None
    """End of the 95 % interval of an estimate; None of what is exact."""
    high: float | None = None
    absent: Absent | None = None
    """Why there is no value; None where there is one."""

    def __post_init__(self) -> None:
        if (self.value is None) != (self.absent is not None):
            msg = f"{self.quantity}: a measure has a value, or a reason why it has none"
            raise AutointerpError(msg)

    @classmethod
    def of(
        cls,
        quantity: Quantity,
        value: float,
        *,
        control: float | None = None,
        interval: tuple[float, float] | None = None,
    ) -> Measure:
        """The measure in three digits; undefined where the value is not finite."""
        if not math.isfinite(value):
            return cls(quantity, None, absent=Absent.NOT_FINITE)
        low, high = (None, None) if interval is None else map(three_digits, interval)
        known = None if control is None else three_digits(control)
        return cls(quantity, three_digits(value), known, low, high)


class Relation(StrEnum):
    """How units are near each other; stored by its place in this list, so that new ones come last.

    Ranked by the size of the cosine; where it is below zero, one is the opposite of the other.
    """

    LIKE_INPUT = "like_input"
    """Units of its hook point that read most nearly the same; of gated neurons by their gates."""
    LIKE_OUTPUT = "like_output"
    """Units of its hook point that write most nearly the same."""
    UPSTREAM = "upstream"
    """Neurons of up to four layers before it that write what it reads."""
    DOWNSTREAM = "downstream"
    """Neurons of up to four layers behind it that read what it writes."""


@dataclass(frozen=True, slots=True)
class NearUnit:
    """A unit whose weights lie near."""

    layer: int
    index: int
    cosine: float

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class NearUnits:
    """The units that are nearest in one way."""

    relation: Relation
    units: tuple[NearUnit, ...]
    """Nearest first, those of its own hook point or neurons of other layers."""
    chance: float | None
    """The largest cosine to be expected among as many random directions of that width; None
    without units."""
    absent: Absent | None = None
    """Why there are none; None where there are."""

    __repr__ = brief_repr

    def names(self, hook: str) -> tuple[str, ...]:
        """Their names as ``show`` takes them, near a unit of that hook point.

        ``5:131`` is a neuron of layer 5. Units like a latent are latents, which have the name of
        their hook point in front.
        """
        of_hook = self.relation in {Relation.LIKE_INPUT, Relation.LIKE_OUTPUT}
        if of_hook and ".mlp.hook_" not in hook:
            return tuple(f"{hook}/{one.index}" for one in self.units)
        return tuple(f"{one.layer}:{one.index}" for one in self.units)


@dataclass(frozen=True, slots=True)
class UnitEvidence:
    """What is known of one side of a unit beside its label."""

    measures: tuple[Measure, ...]
    """Each quantity at most once, in the order of `Quantity`."""
    near: tuple[NearUnits, ...] = ()
    """Each relation at most once."""

    __repr__ = brief_repr

    def measure(self, quantity: Quantity) -> Measure | None:
        """That of a quantity; None where it was not measured."""
        return next((one for one in self.measures if one.quantity is quantity), None)

    def value(self, quantity: Quantity) -> float | None:
        """Its value; None where it is undefined or was not measured."""
        one = self.measure(quantity)
        return None if one is None else one.value

    def with_measures(self, more: Iterable[Measure]) -> UnitEvidence:
        """The same with more measures, which take the place of those of the same quantities."""
        known = {one.quantity: one for one in (*self.measures, *more)}
        return UnitEvidence(tuple(known[q] for q in Quantity if q in known), self.near)


_SMALLEST, _LARGEST = 1e-14, 9.99e21


def three_digits(value: float) -> float:
    """The number as it is kept: three digits; 0 below 1e-14, at most 9.99e21 in size."""
    if abs(value) < _SMALLEST:
        return 0.0
    return float(f"{math.copysign(min(abs(value), _LARGEST), value):.2e}")
