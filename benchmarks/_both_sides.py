"""How often intervals of the score of both sides together hold its value over all windows.

Each side draws windows by itself and is asked about those of both draws, as in a job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from _populations import (
    N_DRAWN,
    N_TOKENS,
    N_VOCAB,
    N_WINDOWS,
    SIZES,
    Floats,
    Misses,
    Population,
    drawn,
    influence,
    levels,
    pearson,
    predictions,
    standard,
)
from population_score import collected, heaviest

from autointerp.activations import UnitReader, read_windows
from autointerp.core.config import SelectConfig
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import ActivationRecord
from autointerp.core.scores import Score
from autointerp.core.seeds import derive_seed
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus, load_corpus
from autointerp.scorers.scorer_inputs import ScoringSet
from autointerp.scorers.two_sided_score import JudgedSide, both_sides_score
from autointerp.subjects import load_subject, parse_units

TARGETS = (0.0, 0.4, 0.7, 0.9)
N_BOOTSTRAP = 300
WAYS = ("lookup", "20 tokens", "good", "noise")
N_DRAWS = 2
Predicted = Mapping[Side, Mapping[int, tuple[float, ...]]]


def both_sides_table(n_populations: int, n_draws: int) -> list[str]:
    """One line a number of windows of each side; each side is asked about the windows of both."""
    found = {n: Misses() for n in SIZES}
    for t, target in enumerate(TARGETS):
        for uneven in (False, True):
            rng = np.random.default_rng([t, uneven, 9])
            for _ in range(n_populations):
                real, sides = unit_of_both_sides(rng, target, uneven=uneven)
                said = sides[Side.POSITIVE].predicted - sides[Side.NEGATIVE].predicted
                truth = pearson(real, said)
                predicted = {s: dict(enumerate(map(tuple, p.predicted))) for s, p in sides.items()}
                for n in SIZES:
                    for _ in range(n_draws):
                        draws = {side: _draw(rng, real, side, sides[side], n) for side in sides}
                        score = _of_both(draws, predicted)
                        if score.low is not None and score.high is not None:
                            found[n].add(target, score.low, score.high, truth)
    return [Misses.head(TARGETS), *(found[n].line(f"n = {n:3d} both_sides") for n in SIZES)]


def real_both_sides_table(spec: str, n_tokens: int) -> list[str]:
    """The same for neurons of SmolLM2-135M, by kind of prediction."""
    subject = load_subject("smollm2-135m")
    corpus = load_corpus("wiki", subject, n_tokens=n_tokens, n_ctx=64)
    groups = parse_units(spec, subject)
    units = [UnitId(subject.name, group.hook, i) for group in groups for i in group.indices]
    summary = collected(subject, corpus, spec, 0)
    ids = list(corpus.window_ids(Split.HELD_OUT))
    read = read_windows(subject, corpus, {(u.hook, u.index): ids for u in units})
    readers = [
        UnitReader(summary, SelectConfig(), n_heldout=N_DRAWN, seed=seed, corpus=corpus)
        for seed in range(N_DRAWS)
    ]
    found = {n: Misses() for n in SIZES}
    for unit in units:
        real = {i: read[unit.hook, unit.index, i].astype(np.float64) for i in ids}
        add_real_unit(found, unit, real, corpus, readers)
    return [Misses.head(WAYS), *(found[n].line(f"n = {n:3d} both_sides") for n in SIZES)]


def add_real_unit(
    found: Mapping[int, Misses],
    unit: UnitId,
    real: Mapping[int, Floats],
    corpus: TokenCorpus,
    readers: Sequence[UnitReader],
) -> None:
    """Every draw of a neuron, scored with predictions of every kind."""
    made = {
        side: _real_predictions(unit, side, real, corpus, readers[0])
        for side in (Side.POSITIVE, Side.NEGATIVE)
    }
    whole = np.concatenate(list(real.values()))
    for way in WAYS:
        predicted = {side: said[way] for side, said in made.items()}
        plus, minus = (np.concatenate(list(said.values())) for said in predicted.values())
        truth = float(np.corrcoef(whole, plus - minus)[0, 1])
        for reader in readers:
            draws = {side: _real_draw(unit, side, real, reader) for side in Side}
            for n in SIZES:
                part = {side: windows.first(n) for side, windows in draws.items()}
                score = _of_both(part, predicted)
                if score.low is not None and score.high is not None:
                    found[n].add(way, score.low, score.high, truth)


def _real_predictions(
    unit: UnitId, side: Side, real: Mapping[int, Floats], corpus: TokenCorpus, reader: UnitReader
) -> dict[str, dict[int, tuple[float, ...]]]:
    rng = np.random.default_rng([unit.index, side is Side.POSITIVE])
    means, peak = reader.token_means(unit, side), reader.peak(unit, side)
    tables = (means.predict, heaviest(means))
    lookup, tokens = (
        np.concatenate([np.array(table(corpus[i].token_ids)) for i in real]) for table in tables
    )
    rectified = np.maximum(0.0, side.sign * np.concatenate(list(real.values())))
    nearly = 10 * (0.7 * rectified + 0.3 * tokens) / peak + 0.3 * rng.normal(size=len(rectified))
    noise = levels(standard(np.exp(rng.normal(size=len(rectified)))))
    values = (lookup, tokens, np.clip(np.round(nearly), 0, 10) * peak / 10, noise * peak / 10)
    ends = np.cumsum([len(row) for row in real.values()])[:-1]
    return {
        way: {i: tuple(row) for i, row in zip(real, np.split(said, ends), strict=True)}
        for way, said in zip(WAYS, values, strict=True)
    }


def _real_draw(
    unit: UnitId, side: Side, real: Mapping[int, Floats], reader: UnitReader
) -> ScoringSet:
    draw = reader.plan(unit, side).samples[Split.HELD_OUT]
    records = tuple(
        ActivationRecord(
            p.window, "", 0, (), (), tuple(real[p.window]), p.stratum, p.weight, p.influence
        )
        for p in draw.sampled
    )
    peak, seed = reader.peak(unit, side), derive_seed(0, str(unit), side, Split.HELD_OUT)
    return ScoringSet(unit, side, records, draw.strata, peak, seed, N_BOOTSTRAP)


def unit_of_both_sides(
    rng: np.random.Generator, target: float, *, uneven: bool
) -> tuple[Floats, dict[Side, Population]]:
    """Raw held-out activations, and each side with predictions of about that correlation."""
    odds = 1.0 / np.arange(1, N_VOCAB + 1)
    tokens = rng.choice(N_VOCAB, size=(2 * N_WINDOWS, N_TOKENS), p=odds / odds.sum())
    gate = rng.normal(size=tokens.shape) + 0.5 * rng.normal(size=(len(tokens), 1))
    drive = (rng.normal(size=N_VOCAB)[tokens] + 0.5 * rng.normal(size=tokens.shape)) * gate
    threshold = np.where(drive > 0, 2.0, 3.0) if uneven else 2.5
    raw = np.sign(drive) * np.maximum(0.0, np.abs(drive) - threshold)
    raw *= np.exp(0.3 * rng.normal(size=raw.shape))
    (seen, real), (words, tokens) = np.split(raw, 2), np.split(tokens, 2)
    counts = np.bincount(words.ravel(), minlength=N_VOCAB)
    sides = {}
    for side in Side:
        explain, held_out = (np.maximum(0.0, side.sign * a) for a in (seen, real))
        sums = np.bincount(words.ravel(), explain.ravel(), N_VOCAB)
        lookup = np.where(counts > 0, sums / np.maximum(1, counts), explain.mean())[tokens]
        peak = float(explain.max())
        said = predictions(rng, held_out, lookup, target) * peak / 10
        sides[side] = Population(held_out, said, peak, influence(held_out, lookup))
    return real, sides


def _draw(
    rng: np.random.Generator, real: Floats, side: Side, people: Population, n: int
) -> ScoringSet:
    windows = drawn(rng, people, n)
    records = tuple(replace(r, activations=tuple(real[r.window])) for r in windows.records)
    return replace(windows, side=side, records=records, n_bootstrap=N_BOOTSTRAP)


def _of_both(draws: Mapping[Side, ScoringSet], predicted: Predicted) -> Score:
    union = {record.window for windows in draws.values() for record in windows.records}
    plus, minus = (
        JudgedSide(draws[side], {i: predicted[side][i] for i in union})
        for side in (Side.POSITIVE, Side.NEGATIVE)
    )
    return both_sides_score(plus, minus)
