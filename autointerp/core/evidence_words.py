"""How evidence of a unit is said to people."""

from __future__ import annotations

from typing import NamedTuple

from autointerp.core.unit_evidence import Measure, NearUnits, Quantity, Relation


class QuantityWords(NamedTuple):
    """What a quantity is called, and what its control is."""

    title: str
    control: str
    """With a place for the control in it; empty where there is none."""
    reference: str = ""
    """What every value of it is read against, where there is no control."""


_MOVED = "moved at most {}"
_COSINE = "{} of its layer as large"
_MEDIAN = "median of its layer {}"
_WORDS = {
    Quantity.INPUT_OUTPUT_COSINE: QuantityWords("cosine input, output", _COSINE),
    Quantity.GATE_OUTPUT_COSINE: QuantityWords("cosine gate, output", _COSINE),
    Quantity.UP_OUTPUT_COSINE: QuantityWords("cosine up, output", _COSINE),
    Quantity.INPUT_NORM: QuantityWords("input length", _MEDIAN),
    Quantity.UP_NORM: QuantityWords("up length", _MEDIAN),
    Quantity.OUTPUT_NORM: QuantityWords("output length", _MEDIAN),
    Quantity.NORM_TIMES_BIAS: QuantityWords("input length x bias", _MEDIAN),
    Quantity.KURTOSIS: QuantityWords("excess kurtosis", "", "0 of a normal distribution"),
    Quantity.TAIL_INDEX: QuantityWords("tail index", "", "heavy below about 4"),
    Quantity.BIMODALITY: QuantityWords("bimodality", "", "0.56 of a uniform distribution"),
    Quantity.TOKEN_SHARE: QuantityWords("explained by the token", ""),
    Quantity.POSITION_SHARE: QuantityWords("explained by the position", _MOVED),
    Quantity.POSITION_PEAK: QuantityWords("position of its greatest mean", "{} times the mean"),
    Quantity.WINDOW_SHARE: QuantityWords("varies between windows", "by chance {}"),
    Quantity.REPETITION: QuantityWords("correlation with repetition", "moved at most {}"),
    Quantity.PAIR_SHARE: QuantityWords("explained by the token before", "shuffled {}"),
    Quantity.CONTINUED_WORD: QuantityWords("peaks go on with a word", "all their tokens {}"),
    Quantity.STRONGEST: QuantityWords("strongest of its layer", "by chance {}"),
    Quantity.LARGER_UNITS: QuantityWords("units of its layer that are larger", "by chance {}"),
    Quantity.NEXT_TOKEN: QuantityWords("promotes what follows, sd", "other tokens {}"),
}
_RELATIONS = {
    Relation.LIKE_INPUT: "reads like",
    Relation.LIKE_OUTPUT: "writes like",
    Relation.UPSTREAM: "reads from",
    Relation.DOWNSTREAM: "writes to",
}
_SHARES = {
    *(Quantity.TOKEN_SHARE, Quantity.POSITION_SHARE, Quantity.WINDOW_SHARE),
    *(Quantity.PAIR_SHARE, Quantity.CONTINUED_WORD, Quantity.STRONGEST),
    Quantity.LARGER_UNITS,
}
_SHARED_CONTROLS = _SHARES | {q for q, words in _WORDS.items() if words.control == _COSINE}


def title_of(quantity: Quantity) -> str:
    """What a quantity is called."""
    return _WORDS[quantity].title


def relation_title(relation: Relation) -> str:
    """What comes before the names of near units."""
    return _RELATIONS[relation]


def value_words(measure: Measure) -> str:
    """The value with its interval, or why there is none."""
    if measure.value is None:
        return f"undefined: {measure.absent}"
    form = "{:.1%}" if measure.quantity in _SHARES else "{:.3g}"
    said = form.format(measure.value)
    if measure.low is not None and measure.high is not None:
        said += f" (95 %: {form.format(measure.low)} to {form.format(measure.high)})"
    return said


def control_words(measure: Measure) -> str:
    """What the value is read against; empty where there is nothing."""
    control = measure.control
    if control is None:
        return _WORDS[measure.quantity].reference
    said = f"{control:.1%}" if measure.quantity in _SHARED_CONTROLS else f"{control:.3g}"
    return _WORDS[measure.quantity].control.format(said)


def brief_name(name: str) -> str:
    """``sae_mine/131`` of a latent, as tables write it; other names as they are."""
    ending = name.rpartition(".")[2]
    return name if ending.startswith("hook_") else ending


def chance_words(near: NearUnits) -> str:
    """Why there are no units, or how near random directions would be."""
    if near.chance is None:
        return str(near.absent or "")
    return f"by chance {near.chance:.2f}"
