"""How near a score from few windows comes to the score over all held-out text.

Real neurons, their activations on every held-out window, and predictions that cost nothing: the
token lookup table and its twenty heaviest tokens. Windows are drawn as a labelling job draws
them; error and coverage are of the population score, over neurons and draws.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from _parts import header

from autointerp.activations import CollectPlan, Summary, UnitReader, collect, read_windows
from autointerp.activations.activation_reading import Activations
from autointerp.core.config import CollectConfig, SelectConfig
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import Stratum, TokenMeans
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus, load_corpus
from autointerp.statistics.bootstrap import Resampling
from autointerp.statistics.population import population_score
from autointerp.statistics.scored_windows import ScoredWindow
from autointerp.subjects import SubjectModel, load_subject, parse_units

N_RULES = 20
RANDOM = "uniform"
DRAWN = "as drawn"


@dataclass(frozen=True)
class Known:
    """One side of one neuron on all held-out windows."""

    unit: UnitId
    side: Side
    real: Mapping[int, tuple[float, ...]]
    predicted: Mapping[str, Mapping[int, tuple[float, ...]]]

    def windows(self, way: str, picks: Sequence[tuple[int, str, float]]) -> list[ScoredWindow]:
        """The picked windows with one way's predictions."""
        predicted = self.predicted[way]
        return [ScoredWindow(self.real[w], predicted[w], s, weight) for w, s, weight in picks]

    def truth(self, way: str) -> float | None:
        """The correlation over every window."""
        stratum = Stratum("all", len(self.real), len(self.real), 0.0, np.inf)
        every = [(window, "all", 1.0) for window in self.real]
        return population_score(self.windows(way, every), [stratum], Resampling(2)).value


def known(
    subject: SubjectModel, corpus: TokenCorpus, reader: UnitReader, units: Sequence[UnitId]
) -> Iterator[Known]:
    """Every neuron with its activations and predictions."""
    ids = list(corpus.window_ids(Split.HELD_OUT))
    read = read_windows(subject, corpus, {(u.hook, u.index): ids for u in units})
    for unit in units:
        side = reader.side(unit, two_sided=subject.two_sided(unit.hook))
        means = reader.token_means(unit, side)
        tables = {"lookup": means.predict, f"{N_RULES} tokens": heaviest(means)}
        tokens = {i: corpus[i].token_ids for i in ids}
        predicted = {way: {i: table(tokens[i]) for i in ids} for way, table in tables.items()}
        yield Known(unit, side, sides(read, unit, side, ids), predicted)


def sides(
    read: Activations, unit: UnitId, side: Side, ids: Sequence[int]
) -> dict[int, tuple[float, ...]]:
    """The side's activations by window."""
    return {
        i: tuple(np.maximum(0.0, side.sign * read[unit.hook, unit.index, i]).tolist()) for i in ids
    }


def heaviest(means: TokenMeans) -> Callable[[tuple[int, ...]], tuple[float, ...]]:
    """Predicts the mean of the tokens that carry most of the activation, 0 for others."""
    weight = {t: (m - means.overall) * means.counts[t] for t, m in means.means.items()}
    chosen = set(sorted(weight, key=lambda t: -weight[t])[:N_RULES])
    return lambda tokens: tuple(means.means[t] if t in chosen else 0.0 for t in tokens)


def draws(
    summary_seed: int, neuron: Known, reader: UnitReader, n: int, n_windows: int
) -> dict[str, tuple[list[tuple[int, str, float]], Sequence[Stratum]]]:
    """A job's draw, and a uniform one of as many windows."""
    drawn = reader.plan(neuron.unit, neuron.side).samples[Split.HELD_OUT]
    generator = np.random.default_rng([summary_seed, neuron.unit.index, n])
    ids = list(neuron.real)
    uniform = [(ids[i], "all", 1.0) for i in generator.choice(len(ids), n, replace=False)]
    return {
        DRAWN: ([pick[:3] for pick in drawn.sampled], drawn.strata),
        RANDOM: (uniform, [Stratum("all", n_windows, n, 0.0, np.inf)]),
    }


def line(n: int, how: str, way: str, found: list[tuple[float, float, bool, float]]) -> str:
    """One line of the table."""
    truths, values = (np.array([row[k] for row in found]) for k in (0, 1))
    errors = values - truths
    by_truth = float(np.sqrt((errors**2).mean()))
    covered, width = (float(np.mean([row[k] for row in found])) for k in (2, 3))
    return (
        f"{n:>7} {how:10} {way:10} {len(found):>6} {by_truth:7.4f} {errors.mean():+8.4f} "
        f"{covered:9.1%} {width:7.3f}"
    )


def measured(
    neuron: Known,
    way: str,
    picks: list[tuple[int, str, float]],
    strata: Sequence[Stratum],
    truth: float,
) -> tuple[float, float, bool, float] | None:
    """(truth, estimate, whether the interval holds it, width); None where undefined."""
    score = population_score(neuron.windows(way, picks), strata, Resampling(400, seed=1))
    if score.value is None or score.low is None or score.high is None:
        return None
    return truth, score.value, score.low <= truth <= score.high, score.high - score.low


def collected(subject: SubjectModel, corpus: TokenCorpus, spec: str, seed: int):  # type: ignore[no-untyped-def]
    """A summary of the units, sampled with a seed of its own."""
    config = CollectConfig(seed=seed)
    plan = CollectPlan(token_means=True)
    return collect(subject, corpus, units=parse_units(spec, subject), config=config, plan=plan)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", default="random:320@0,7,14,21,29")
    parser.add_argument("--tokens", type=int, default=98_304)
    parser.add_argument("--windows", default="10,12,20,40")
    parser.add_argument("--draws", type=int, default=4, help="draws a neuron, of one collection")
    arguments = parser.parse_args()
    print(header())
    subject = load_subject("smollm2-135m")
    corpus = load_corpus("wiki", subject, n_tokens=arguments.tokens, n_ctx=64)
    summary = collected(subject, corpus, arguments.units, 0)
    groups = parse_units(arguments.units, subject)
    units = [UnitId(subject.name, group.hook, i) for group in groups for i in group.indices]
    reader = UnitReader(summary, SelectConfig(), corpus=corpus)
    neurons = list(known(subject, corpus, reader, units))
    print(f"{len(neurons)} neurons, {len(neurons[0].real)} held-out windows\n")
    print(
        f"{'windows':>7} {'draw':10} {'predicts':10} {'n':>6} {'rmse':>7} {'bias':>8} "
        f"{'covers':>9} {'width':>7}"
    )
    for n in map(int, arguments.windows.split(",")):
        table(summary, corpus, neurons, n, arguments.samples)


def table(
    summary: Summary, corpus: TokenCorpus, neurons: list[Known], n: int, n_draws: int
) -> None:
    """The lines of one number of windows."""
    found: dict[tuple[str, str], list[tuple[float, float, bool, float]]] = {}
    for seed in range(n_draws):
        reader = UnitReader(summary, SelectConfig(), n_heldout=n, seed=seed, corpus=corpus)
        for neuron in neurons:
            drawn = draws(seed, neuron, reader, n, len(neuron.real))
            for way in neuron.predicted:
                truth = neuron.truth(way)
                for how, (picks, strata) in drawn.items():
                    one = truth is not None and measured(neuron, way, picks, strata, truth)
                    if one:
                        found.setdefault((how, way), []).append(one)
    for (how, way), rows in found.items():
        print(line(n, how, way, rows), flush=True)


if __name__ == "__main__":
    main()
