"""What scorers give to what cannot be right, beside what is right.

Each unit is explained by its own rules, the same rules as a program, and its own token lookup
table. The nulls: another unit's; another unit's real activations; how frequent a token is; and,
given the same architecture with random weights, right labels of units that mean nothing.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autointerp.core.explanations import Explanation
from autointerp.core.records import MAX_LEVEL, TokenMeans
from autointerp.core.scores import ScorerResult
from autointerp.core.seeds import derive_seed
from autointerp.core.text import TextTokenizer
from autointerp.explainers import ExplainInputs, TokenLookup, program_explanation
from autointerp.programs.language import MAX_RULES
from autointerp.sanity.known_units import KnownUnit, UnitsRead
from autointerp.scorers import Lookup, Programs, Rules, Scorer, ScorerSpec, ScoringSet
from autointerp.scorers.scorer_inputs import predicted_result
from autointerp.statistics.confusion import area_under_roc
from autointerp.statistics.intervals import percentile_ends

OWN = "own"
SCORES = ("population", "top_random")
_HIGH = 95
_N_BOOTSTRAP = 1000


@dataclass(frozen=True, slots=True)
class NullRow:
    """One scorer's scores for one kind of explanation, over all units."""

    scorer: str
    """``rules``, ``program``, ``lookup``; ``none`` where the prediction needs no explanation."""
    explained_by: str
    """``own``, or which null."""
    score: str
    """``population`` or ``top_random``."""
    n: int
    """Units with a score."""
    n_undefined: int
    median: float | None
    high: float | None
    """95th percentile."""
    separated: float | None
    """AUC: how often a unit's own label scores higher than a random unit's null by the same
    scorer, ties counting half; None for ``own`` itself."""


_Key = tuple[str, str, str]
_Found = dict[_Key, list[float | None]]


async def null_rows(
    read: UnitsRead, random_weights: UnitsRead | None = None
) -> tuple[NullRow, ...]:
    """Own scores and those of every null."""
    result: _Found = {}
    own = [await own_explanation(unit, read) for unit in read.units]
    for place, unit in enumerate(read.units):
        after = (place + 1) % len(read.units)
        await _own_scores(result, OWN, unit, own[place], unit.means, read)
        if len(read.units) > 1:
            other = read.units[after]
            await _own_scores(result, "shuffled label", unit, own[after], other.means, read)
            lines = [tuple(other.real[r.window]) for r in unit.sets.held_out.records]
            _add(result, "none", "random unit", _predicted(unit, lines, read))
        _add(result, "none", "token frequency", _predicted(unit, _frequencies(unit), read))
    if random_weights is not None:
        for unit in random_weights.units:
            explained = await own_explanation(unit, random_weights)
            await _own_scores(result, "random weights", unit, explained, unit.means, random_weights)
    return tuple(_row(key, result) for key in result)


async def own_explanation(unit: KnownUnit, read: UnitsRead) -> Explanation | None:
    """The unit's token lookup with its rules; None where no token stands out."""
    inputs = ExplainInputs(unit.sets.explain, unit.means, read.subject.tokenizer)
    explained = await TokenLookup().explain(inputs)
    return next(iter(explained.explanations), None)


def token_program(explanation: Explanation, tokenizer: TextTokenizer, *, peak: float) -> str | None:
    """The rules as a program in whole levels of the peak; None where every level is 0."""
    lines = []
    for rule in explanation.rules[:MAX_RULES]:
        level = min(MAX_LEVEL, round(MAX_LEVEL * rule.activation / peak))
        message = [json.dumps(piece) for piece in tokenizer.pieces(rule.tokens)]
        before = f"previous = {message[-2]} and " if len(message) > 1 else ""
        if level > 0:
            lines.append(f"{level}: {before}token = {message[-1]}")
    return "\n".join(lines) or None


async def _own_scores(
    results: _Found,
    explained_by: str,
    unit: KnownUnit,
    explanation: Explanation | None,
    means: TokenMeans,
    read: UnitsRead,
) -> None:
    """Adds the scores of an explanation and a table on the unit's windows."""
    windows = scoring_set(unit, read)
    # The table is scored whatever the explanation says.
    message = explanation or Explanation("", OWN, None, None, None, 0)
    _add(results, "lookup", explained_by, await Lookup(means).score(message, windows))
    rules = program = None
    if explanation is not None:
        rules = await Rules().score(explanation, windows)
        source = token_program(
            explanation, read.subject.tokenizer, peak=_greatest(explanation) or 1.0
        )
        if source is not None:
            program = await Programs().score(program_explanation(source), windows)
    _add(results, "rules", explained_by, rules)
    _add(results, "program", explained_by, program)


def scoring_set(unit: KnownUnit, read: UnitsRead) -> ScoringSet:
    """The drawn held-out windows; intervals are not looked at."""
    seed = read.options.seed
    return ScoringSet.of(unit.sets.held_out, seed=seed, n_bootstrap=2, confidence=0.95)


def _greatest(explanation: Explanation) -> float:
    return max((rule.activation for rule in explanation.rules), default=0.0)


def _predicted(
    unit: KnownUnit, lines: Sequence[tuple[float, ...]], read: UnitsRead
) -> ScorerResult:
    """The scores of predictions that nobody explained."""
    return predicted_result("none", "", scoring_set(unit, read), lines)


def _frequencies(unit: KnownUnit) -> list[tuple[float, ...]]:
    """The log frequency of each token in explain text, with the sign that fits explain text."""
    means = unit.means
    logs = {token: math.log(count) for token, count in means.counts.items()}
    n = sum(means.counts.values())
    typical = sum(means.counts[t] * logs[t] for t in logs) / n
    together = sum(means.counts[t] * (logs[t] - typical) * means.means[t] for t in logs)
    sign = 1.0 if together >= 0 else -1.0
    # A token that explain text lacks is rarer than one that it has once.
    return [
        tuple(sign * logs.get(token, -math.log(2)) for token in record.token_ids)
        for record in unit.sets.held_out.records
    ]


def _add(results: _Found, scorer: str, explained_by: str, result: ScorerResult | None) -> None:
    for name in SCORES:
        value = None if result is None else result.score(name).value
        results.setdefault((scorer, explained_by, name), []).append(value)


def _row(key: _Key, results: Mapping[_Key, Sequence[float | None]]) -> NullRow:
    scorer, explained_by, score = key
    values = [value for value in results[key] if value is not None]
    own_by = "rules" if scorer == "none" else scorer
    own = [value for value in results[own_by, OWN, score] if value is not None]
    separated = None if explained_by == OWN else area(own, values)
    return NullRow(
        scorer,
        explained_by,
        score,
        len(values),
        len(results[key]) - len(values),
        float(np.median(values)) if values else None,
        float(np.percentile(values, _HIGH)) if values else None,
        separated,
    )


def area(higher: Sequence[float], lower: Sequence[float]) -> float | None:
    """How often a value of the first is above one of the second, ties counting half."""
    if not (higher and lower):
        return None
    values = np.array([*higher, *lower])
    own = np.arange(len(values)) < len(higher)
    return float(area_under_roc(values, own.astype(float), (~own).astype(float)))


@dataclass(frozen=True, slots=True)
class Separation:
    """One scorer over some units."""

    scorer: str
    score: str
    n: int
    """Units whose own and shuffled label both have a score."""
    n_asked: int
    """Units that were tried."""
    own: float | None
    """Median score of the own labels."""
    shuffled: float | None
    auc: float | None
    """How often an own label scores above a shuffled one, ties counting half."""
    low: float | None
    """95 % percentile bootstrap over units."""
    high: float | None


async def judge_separation(
    scorers: Mapping[ScorerSpec, Scorer], read: UnitsRead, *, n_units: int, n_windows: int
) -> tuple[Separation, ...]:
    """Every scorer on the first units that have a label, each label shuffled to the next unit.

    The labels are what token lookup says in words: right by construction, and nothing is asked
    to explain.

    Of each unit so many held-out windows, drawn as a job draws them for an LLM.

    Raises:
        UpstreamError: the LLM cannot be used.
    """
    explained = [(unit, await own_explanation(unit, read)) for unit in read.units]
    there = [(unit, e) for unit, e in explained if e is not None][:n_units]
    labels = [explanation for _, explanation in there]
    separations = []
    for spec, scorer in scorers.items():
        questions = []
        for place, (unit, own) in enumerate(there):
            mismatched = labels[(place + 1) % len(labels)]
            others = tuple(label for label in labels if label not in {own, mismatched})
            windows = replace(scoring_set(unit, read).first(n_windows), others=others)
            questions += [scorer.score(own, windows), scorer.score(mismatched, windows)]
        results = await asyncio.gather(*questions)
        values = [result.score(spec.headline).value for result in results]
        pairs = list(zip(values[::2], values[1::2], strict=True))
        separations.append(_separation(spec, pairs, seed=read.options.seed))
    return tuple(separations)


def _separation(
    spec: ScorerSpec, pairs: Sequence[tuple[float | None, float | None]], *, seed: int
) -> Separation:
    both = np.array([(a, b) for a, b in pairs if a is not None and b is not None]).reshape(-1, 2)
    n = len(both)
    if not n:
        return Separation(spec.name, spec.headline, 0, len(pairs), None, None, None, None, None)
    generator = np.random.default_rng(derive_seed(seed, "separation", spec.name))
    drawn = (both[generator.integers(n, size=n)] for _ in range(_N_BOOTSTRAP))
    areas = [area(some[:, 0].tolist(), some[:, 1].tolist()) or 0.0 for some in drawn]
    low, high = percentile_ends(np.array(areas), 0.95)
    own, shuffled = np.median(both, axis=0).tolist()
    value = area(both[:, 0].tolist(), both[:, 1].tolist())
    return Separation(spec.name, spec.headline, n, len(pairs), own, shuffled, value, low, high)
