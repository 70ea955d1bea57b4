"""Labels as stores keep them: JSON, but for rules and results, which are arrays."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any, TypeVar

from autointerp.core import later_fields
from autointerp.core.errors import DamagedError
from autointerp.core.explanations import (
    Explanation,
    Label,
    LabelSummary,
    ScoredExplanation,
    TokenRule,
)
from autointerp.core.files import REMAKE
from autointerp.core.plain_values import read_plain, to_plain
from autointerp.core.records import NeuronStats
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.store.codec import LABELS, plain_json, stored_json
from autointerp.store.packed_arrays import Packer, Unpacker
from autointerp.store.packed_evidence import pack_evidence, unpack_evidence
from autointerp.store.packing import (
    DECIMALS,
    LABELS_VERSION,
    STATS_AS_ARRAYS,
    damages,
    frame,
    is_frame,
    packable,
    unframe,
    version_of,
)

V = TypeVar("V")
_TABLE = "lookup"
"""The scorer whose trials follow from the token table and are not kept."""
_OF_STATS = ("mean", "variance", "minimum", "maximum", "density", "window_density")
_EFFECTS = ("promoted_values", "suppressed_values")
_OF_TRIALS = ("verdict", "probability", "failure", "truth")
_COLUMNS = attrgetter("window", "stratum", "weight", "predicted", "senses", *_OF_TRIALS)
_N_COLUMNS = 5 + len(_OF_TRIALS)


@dataclass(frozen=True, slots=True)
class _ResultWords:
    """What one result has besides numbers; a column is None where it holds nothing."""

    scorer: str
    explanation: str
    scores: tuple[str, ...]
    notes: tuple[str, ...] = ()
    strata: tuple[str, ...] = ()
    """Names of the strata, to which the trials refer."""
    reason: Annotated[tuple[str | None, ...] | None, later_fields.LATER] = None
    verdict: Annotated[tuple[bool | None, ...] | None, later_fields.LATER] = None
    probability: Annotated[tuple[float | None, ...] | None, later_fields.LATER] = None
    failure: Annotated[tuple[str | None, ...] | None, later_fields.LATER] = None
    truth: Annotated[tuple[bool | None, ...] | None, later_fields.LATER] = None


@dataclass(frozen=True, slots=True)
class _LabelWords:
    rules: tuple[tuple[str, ...], ...]
    """The texts of the rules of each explanation."""
    results: tuple[_ResultWords, ...]


def as_stored(label: Label) -> Label:
    """The label as it comes back from a store: without the trials of the token table.

    Its scores stay. They are kept where the table is what the label is judged by.
    """
    if label.preferred == _TABLE or all(r.scorer != _TABLE for r in label.results):
        return label
    kept = (replace(r, trials=()) if r.scorer == _TABLE else r for r in label.results)
    return replace(label, results=tuple(kept))


def pack_label(label: Label) -> bytes:
    """The label in some kilobytes; equal labels are equal bytes.

    Raises:
        AutointerpError: a number in it is not finite, or a field has another type.
    """
    with packable("label"):
        return _packed(as_stored(label))


def unpack_label(
    data: bytes, *, where: str, advice: str = REMAKE, with_trials: bool = True
) -> Label:
    """The label that `pack_label` packed, or that an earlier version stored as compressed JSON.

    Without trials, which are then counted but not checked, it takes half of the time; where one
    failed they are all there, so that failures are counted.

    Raises:
        InputError: a newer autointerp wrote it.
        DamagedError: it is damaged.
    """
    if is_frame(data):
        return _unpacked(data, where, advice, with_trials=with_trials)
    try:
        label = LABELS.decode(zlib.decompress(data), where=where, advice=advice)
    except zlib.error as error:
        raise DamagedError(f"{where} is damaged: {error}; {advice}") from error
    return as_stored(label)


unpack_without_trials = partial(unpack_label, with_trials=False)
"""Such a label, which may lack its trials."""


def unpack_summary(data: bytes, *, where: str, advice: str = REMAKE) -> LabelSummary:
    """The summary of such a label; its trials are not checked where none failed.

    Raises:
        InputError: a newer autointerp wrote it.
        DamagedError: it is damaged.
    """
    if is_frame(data):
        return _unpacked(data, where, advice, with_trials=False).summary
    return unpack_label(data, where=where, advice=advice).summary


def _packed(label: Label) -> bytes:
    # What is written as arrays is left out of the JSON.
    arrays: dict[str, Any] = dict.fromkeys(_EFFECTS, ())
    bare = replace(label, results=(), stats=_bare(label.stats), evidence=None, **arrays)
    bare = _with_rules(bare, lambda _: ())
    numbers, trials = Packer(by_place=True), Packer(by_place=True)
    rules, packed = list[tuple[str, ...]](), dict[int, Packer]()
    for explanation in _explanations(label):
        # One explanation may be the label's, a candidate and the best of the rules.
        own = packed.get(id(explanation))
        if own is None:
            own = packed[id(explanation)] = Packer(by_place=True)
            _pack_rules(explanation.rules, own)
        numbers.add(own)
        rules.append(tuple([rule.text for rule in explanation.rules]))
    words = []
    for result in label.results:
        _pack_scores(result.scores, numbers)
        words.append(_pack_trials(result, trials))
    _pack_stats(label.stats, numbers)
    for name in _EFFECTS:
        numbers.decimals(getattr(label, name))
    if label.evidence is not None:
        pack_evidence(label.evidence, numbers)
    plain = to_plain(_LabelWords, _LabelWords(tuple(rules), tuple(words)))
    parts = [LABELS.encode(bare), plain_json(plain), numbers.data, trials.data]
    return frame(parts, version=LABELS_VERSION)


def _unpacked(data: bytes, where: str, advice: str, *, with_trials: bool) -> Label:
    parts = unframe(data, 4, where=where, advice=advice, newest=LABELS_VERSION)
    bare, words, *numbers = parts
    label = LABELS.decode(bare, where=where, advice=advice)
    with damages(where, advice):
        version = version_of(data)
        has_arrays, has_decimals = version >= STATS_AS_ARRAYS, version >= DECIMALS
        scores, trials = (Unpacker(part, by_place=has_arrays) for part in numbers)
        known = read_plain(_LabelWords, stored_json(words))
        with_trials = with_trials or any(one.failure is not None for one in known.results)
        rules = iter(known.rules)
        label = _with_rules(label, lambda _: tuple(_rules(next(rules), scores)))
        results = []
        for one in known.results:
            judged = tuple(_trials(one, trials)) if with_trials else ()
            n_unread = 0 if with_trials else _n_trials(trials)
            found = tuple(_scores(one, scores, has_decimals=has_decimals))
            made = ScorerResult(one.scorer, one.explanation, found, judged, one.notes, n_unread)
            results.append(made)
        arrays: dict[str, Any] = {"results": tuple(results)}
        if has_arrays:
            arrays["stats"] = _stats(label.stats, scores)
        if has_decimals:
            arrays |= {name: tuple(scores.decimals()) for name in _EFFECTS}
        if has_arrays and not scores.has_ended:
            arrays["evidence"] = unpack_evidence(scores)
        return replace(label, **arrays)


def _bare(stats: NeuronStats) -> NeuronStats:
    """Without what is written as arrays."""
    numbers: dict[str, Any] = dict.fromkeys(_OF_STATS, 0.0)
    return replace(stats, histogram=(), quantiles=(), **numbers)


def _pack_stats(stats: NeuronStats, numbers: Packer) -> None:
    numbers.floats([getattr(stats, name) for name in _OF_STATS])
    numbers.ints(stats.histogram)
    numbers.floats([number for pair in stats.quantiles for number in pair])


def _stats(bare: NeuronStats, numbers: Unpacker) -> NeuronStats:
    found: dict[str, Any] = dict(zip(_OF_STATS, numbers.floats(), strict=True))
    histogram, pairs = tuple(numbers.ints()), iter(numbers.floats())
    return replace(
        bare, histogram=histogram, quantiles=tuple(zip(pairs, pairs, strict=True)), **found
    )


def _explanations(label: Label) -> Iterator[Explanation]:
    """Each of its explanations, in the order of `_with_rules`."""
    if label.explanation is not None:
        yield label.explanation
    yield from (candidate.explanation for candidate in label.candidates)
    yield from (one.explanation for one in (label.llm, label.rules) if one is not None)


def _with_rules(label: Label, rules_of: Callable[[Explanation], tuple[TokenRule, ...]]) -> Label:
    """The label with other rules in each of its explanations, which are taken in one order."""

    def changed(explanation: Explanation) -> Explanation:
        return replace(explanation, rules=rules_of(explanation))

    def scored(one: ScoredExplanation | None) -> ScoredExplanation | None:
        return one and replace(one, explanation=changed(one.explanation))

    return replace(
        label,
        explanation=label.explanation and changed(label.explanation),
        candidates=tuple(replace(c, explanation=changed(c.explanation)) for c in label.candidates),
        llm=scored(label.llm),
        rules=scored(label.rules),
    )


def _pack_rules(rules: Sequence[TokenRule], numbers: Packer) -> None:
    numbers.ints([len(rule.tokens) for rule in rules])
    numbers.ints([token for rule in rules for token in rule.tokens])
    numbers.floats([rule.activation for rule in rules])
    numbers.floats([rule.share for rule in rules])


def _rules(texts: Sequence[str], numbers: Unpacker) -> Iterator[TokenRule]:
    tokens = _parts(numbers.ints(), numbers.ints())
    columns: tuple[Sequence[Any], ...] = (tokens, texts, numbers.floats(), numbers.floats())
    return (TokenRule(t or (), *others) for t, *others in zip(*columns, strict=True))


def _pack_scores(scores: Sequence[Score], numbers: Packer) -> None:
    numbers.optional_floats([score.value for score in scores])
    for name in ("low", "high"):
        numbers.optional_decimals([getattr(score, name) for score in scores])
    numbers.ints([score.n_windows for score in scores])


def _scores(words: _ResultWords, numbers: Unpacker, *, has_decimals: bool) -> Iterator[Score]:
    values = numbers.optional_floats()
    ends = numbers.optional_decimals if has_decimals else numbers.optional_floats
    lows, highs = ends(), ends()
    reasons = _column(words.reason, len(values))
    columns = (words.scores, values, lows, highs, numbers.ints(), reasons)
    return (Score(*score) for score in zip(*columns, strict=True))


def _pack_trials(result: ScorerResult, numbers: Packer) -> _ResultWords:
    """What of the result is words; numbers of its trials are packed."""
    columns = list(zip(*map(_COLUMNS, result.trials), strict=True)) or [()] * _N_COLUMNS
    windows, names, weights, predicted, senses, *others = columns
    strata = {name: place for place, name in enumerate(dict.fromkeys(names))}
    numbers.ints(windows)
    numbers.ints(list(map(strata.__getitem__, names)))
    numbers.floats(weights)
    # A trial of no tokens differs from one without predictions.
    numbers.ints([-1 if own is None else len(own) for own in predicted])
    numbers.floats(list(chain.from_iterable(filter(None, predicted))))
    numbers.ints([-1 if own is None else len(own) for own in senses])
    numbers.ints(list(chain.from_iterable(filter(None, senses))))
    reasons = tuple([score.reason for score in result.scores])
    return _ResultWords(
        result.scorer,
        result.explanation,
        tuple([score.name for score in result.scores]),
        result.notes,
        tuple(strata),
        *(None if own.count(None) == len(own) else own for own in (reasons, *others)),
    )


def _trials(words: _ResultWords, numbers: Unpacker) -> Iterator[Trial]:
    windows, strata, weights = numbers.ints(), numbers.ints(), numbers.floats()
    predicted = _parts(numbers.ints(), numbers.floats())
    senses = _parts(numbers.ints(), numbers.ints())
    asked = (_column(getattr(words, name), len(windows)) for name in _OF_TRIALS)
    columns: tuple[Sequence[Any], ...] = (windows, strata, weights, predicted, *asked, senses)
    for window, stratum, *others in zip(*columns, strict=True):
        yield Trial(window, words.strata[stratum], *others)


def _n_trials(numbers: Unpacker) -> int:
    """How many there are, which are left out."""
    n = numbers.skip_ints(1)
    numbers.skip_ints(1)
    numbers.skip_floats(1)
    numbers.skip_ints(1)
    numbers.skip_floats(1)
    numbers.skip_ints(2)
    return n


def _column(column: tuple[V, ...] | None, n: int) -> Sequence[V | None]:
    return (None,) * n if column is None else column


def _parts(lengths: Sequence[int], values: Sequence[V]) -> list[tuple[V, ...] | None]:
    parts: list[tuple[V, ...] | None] = []
    place = 0
    for length in lengths:
        parts.append(None if length < 0 else tuple(values[place : place + length]))
        place += max(length, 0)
    if place != len(values):
        raise ValueError("its predictions are not as many as they should be")
    return parts
