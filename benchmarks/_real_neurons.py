"""How often intervals hold the value over all held-out windows, for neurons of SmolLM2-135M."""

from __future__ import annotations

import numpy as np
from _populations import N_DRAWN, SIZES, Floats, Misses, levels, standard
from _token_intervals import RESAMPLING, Table, add_scores, lines_of, true_scores
from population_score import Known, collected, known

from autointerp.activations import UnitReader
from autointerp.core.config import SelectConfig
from autointerp.core.ids import UnitId
from autointerp.core.records import ActivationRecord
from autointerp.core.text import Split
from autointerp.corpora import load_corpus
from autointerp.scorers.scorer_inputs import ScoringSet
from autointerp.statistics.population import population_score
from autointerp.statistics.scored_windows import ScoredWindow
from autointerp.statistics.token_metrics import TOKEN_METRICS, token_metrics
from autointerp.subjects import load_subject, parse_units

N_TOKENS = 98_304
COLLECTIONS = (0, 1)
POPULATION = "population"


def real_table(spec: str) -> list[str]:
    """One line a score and number of windows: coverage by kind of prediction, misses, width."""
    subject = load_subject("smollm2-135m")
    corpus = load_corpus("wiki", subject, n_tokens=N_TOKENS, n_ctx=64)
    groups = parse_units(spec, subject)
    units = [UnitId(subject.name, group.hook, i) for group in groups for i in group.indices]
    readers = [
        UnitReader(
            collected(subject, corpus, spec, seed),
            SelectConfig(),
            n_heldout=N_DRAWN,
            seed=seed,
            corpus=corpus,
        )
        for seed in COLLECTIONS
    ]
    table: Table = {}
    kinds: tuple[str, ...] = ()
    for number, neuron in enumerate(known(subject, corpus, readers[0], units)):
        peak = readers[0].peak(neuron.unit, neuron.side)
        ways = _predictions(neuron, peak, seed=number)
        kinds = tuple(ways)
        for reader in readers:
            _add_draw(table, neuron, _drawn(neuron, reader, peak, seed=number), ways)
    return [Misses.head(kinds), *lines_of(table, (POPULATION, *TOKEN_METRICS))]


def _predictions(neuron: Known, peak: float, *, seed: int) -> dict[str, dict[int, Floats]]:
    """From tokens, with false alarms everywhere, nearly right, and of no knowledge at all."""
    rng = np.random.default_rng([3, seed])
    ids = list(neuron.real)
    ends = np.cumsum([len(neuron.real[i]) for i in ids])[:-1]
    real = np.concatenate([neuron.real[i] for i in ids])
    lookup, tokens = (
        np.concatenate([neuron.predicted[way][i] for i in ids]) for way in neuron.predicted
    )
    alarms = (rng.random(len(real)) < 0.1) * rng.exponential(1.5, len(real))
    nearly = 10 * (0.7 * real + 0.3 * tokens) / peak + 0.3 * rng.normal(size=len(real))
    noise = standard(np.exp(rng.normal(size=len(real))))
    ways = {
        "lookup": lookup,
        "20 tokens": tokens,
        "alarms": 0.5 * lookup + lookup.std() * alarms,
        "good": np.clip(np.round(nearly), 0, 10) * peak / 10,
        "noise": levels(noise) * peak / 10,
    }
    return {k: dict(zip(ids, np.split(v, ends), strict=True)) for k, v in ways.items()}


def _drawn(neuron: Known, reader: UnitReader, peak: float, *, seed: int) -> ScoringSet:
    draw = reader.plan(neuron.unit, neuron.side).samples[Split.HELD_OUT]
    records = tuple(
        ActivationRecord(p.window, "", 0, (), (), (), p.stratum, p.weight, p.influence)
        for p in draw.sampled
    )
    return ScoringSet(neuron.unit, neuron.side, records, draw.strata, peak, seed)


def _add_draw(
    table: Table,
    neuron: Known,
    whole: ScoringSet,
    ways: dict[str, dict[int, Floats]],
) -> None:
    for way, said in ways.items():
        every = [ScoredWindow(neuron.real[i], tuple(said[i]), "all", 1.0) for i in neuron.real]
        real = np.concatenate([neuron.real[i] for i in said])
        whole_r = float(np.corrcoef(real, np.concatenate(list(said.values())))[0, 1])
        truths = true_scores(every, whole.peak) | {POPULATION: whole_r}
        for n in SIZES:
            part = whole.first(n)
            windows = [
                ScoredWindow(neuron.real[r.window], tuple(said[r.window]), r.stratum, r.weight)
                for r in part.records
            ]
            scores = (
                population_score(windows, part.strata, RESAMPLING),
                *token_metrics(windows, part.strata, RESAMPLING, peak=whole.peak),
            )
            add_scores(table, (way, n), scores, truths)
