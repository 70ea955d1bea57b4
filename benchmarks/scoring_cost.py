"""What it costs to explain and score a neuron, and how far a cheap score ranks as a full one.

Planted neurons on Wikipedia, five explanations of each from exact to wrong, judged by scripted
LLMs of graded ability (tests/support/graded_llm.py). The reference is the population score of a
simulation of 80 windows, one at a time, by the same LLM; plans are scored on windows of a draw of
their own. Agreement is Spearman's correlation over all labels. A label without a score, because
nothing was predicted, counts as one at chance.

The scripted LLM answers for each window as it would for that window alone, so forms that ask for
the same levels agree with the reference alike and are only counted. Where words are listed it
names the part of a word that a token holds.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from _frontier_svg import Point, drawn, frontier
from _parts import header
from _planted_units import QUALITIES, PlantedModel, planted_rules
from _scoring_plans import (
    ALL,
    FUZZING,
    N_POOL,
    N_REFERENCE,
    REFERENCE,
    WIDTH,
    Bench,
    Form,
    Labelled,
    detection,
    digits,
    labelled,
    levels,
    sparse,
    words,
)
from transformers import AutoTokenizer

from autointerp.core.config import ExplainConfig
from autointerp.core.packaged import SMOLLM2_GGUF
from autointerp.core.records import TokenMeans, UnitSets
from autointerp.corpora import load_corpus
from autointerp.explainers import ExplainEvidence, TokenActivation
from autointerp.explainers.excerpts import render_pairs
from autointerp.explainers.fitting import Extent
from autointerp.llm import ScriptedModel
from autointerp.scorers import WORDS_PER_CALL
from autointerp.settings import Settings
from autointerp.subjects.gguf import convert_gguf
from autointerp.subjects.quiet import quiet_transformers
from autointerp.subjects.tokenizer import HfTokenizer

ABILITIES = (1.0, 0.8, 0.6, 0.4, 0.2)
SIZES = (8, 12, 16, 20, 30)
SIZES_OF_WORDS = (8, 12, 16, 20, 24, 30)
GOAL = (2_700.0, 0.9)
DRAWN_AT = 0.6
# Forms that ask the same agree alike: the first of each is asked, the others are counted.
FAMILIES: tuple[tuple[str, tuple[Form, ...]], ...] = (
    ("words", (words(WORDS_PER_CALL), words(1), words(8), words(ALL))),
    ("levels", (sparse(ALL), sparse(8), sparse(4), sparse(1), levels(8), levels(1), digits())),
    ("expected levels", (levels(8, logprobs=True), digits(logprobs=True))),
    ("detection", (detection(10), detection(1))),
    ("expected detection", (detection(10, logprobs=True),)),
    ("fuzzing", (FUZZING,)),
)
Agreement = Mapping[float, float]
"""By ability."""


@dataclass(frozen=True)
class Plan:
    """A way to score with its cost and what it is worth."""

    series: str
    name: str
    tokens: float
    """By SmolLM2's tokenizer, prompt and reply, at the ability at which the plot is drawn."""
    quarters: float
    """The same as a quarter of the characters."""
    agreement: Agreement


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Rank correlation, ties at their mean rank."""
    return float(np.corrcoef(_ranks(np.array(one)), _ranks(np.array(other)))[0, 1])


def _ranks(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
    ordered = np.sort(values)
    below, upto = (
        np.searchsorted(ordered, values, "left"),
        np.searchsorted(ordered, values, "right"),
    )
    return [float(rank) for rank in (below + upto) / 2]


class Study:
    """Labels with their reference at every ability."""

    def __init__(self, bench: Bench, labels: Sequence[Labelled]) -> None:
        self.bench, self.labels = bench, labels
        # Costs vary little between labels, and counting tokens is slow.
        self.some = labels[:: max(1, len(labels) // 15)]
        self.reference = {
            a: [bench.value(REFERENCE, label, label.reference, a) for label in labels]
            for a in ABILITIES
        }

    def plans(self, only: str | None) -> list[Plan]:
        """Every plan of the table, or those of one series."""
        found: list[Plan] = []
        for series, forms in FAMILIES:
            if only not in {None, series}:
                continue
            for n in SIZES_OF_WORDS if series == "words" else SIZES:
                agreement = {a: self._agreement(forms[0], n, a) for a in ABILITIES}
                for form in forms:
                    cost = self.bench.cost(form, self.some, n, DRAWN_AT)
                    found.append(Plan(series, f"{form.name}, {n} windows", *cost, agreement))
        return found if only else [*found, *self._early(found), *self._two_steps()]

    def scores(self, form: Form, n: int, ability: float) -> list[float]:
        """Of every label."""
        return [
            self.bench.value(form, label, label.windows.first(n), ability) for label in self.labels
        ]

    def _agreement(self, form: Form, n: int, ability: float) -> float:
        return spearman(self.scores(form, n, ability), self.reference[ability])

    def _early(self, plans: Sequence[Plan]) -> list[Plan]:
        """The sparse form until the interval is narrow, at most 30 windows; costs in proportion."""
        agreement, used = {}, {}
        for a in ABILITIES:
            found = [self.bench.stopped_early(sparse(4), label, a, 28) for label in self.labels]
            agreement[a] = spearman([value for value, _ in found], self.reference[a])
            used[a] = fmean(n for _, n in found)
        by_name = {plan.name: plan for plan in plans}
        base = by_name["sparse, 4 a call, 16 windows"]
        share = used[DRAWN_AT] / 16
        said = ", ".join(f"{a:.1f}: {n:.1f}" for a, n in used.items())
        print(f"stopped at a width of {WIDTH}, at most 28 windows; windows by ability {said}\n")
        name = f"sparse, 4 a call, until {WIDTH} wide"
        return [Plan("early stop", name, share * base.tokens, share * base.quarters, agreement)]

    def _two_steps(self) -> list[Plan]:
        plans = []
        for n in SIZES:
            agreement = {}
            for a in ABILITIES:
                values = [self.bench.two_steps(label, n, a)[0] for label in self.labels]
                agreement[a] = spearman(values, self.reference[a])
            costs = [
                fmean(self.bench.two_steps(label, n, DRAWN_AT, count)[1] for label in self.some)
                for count in (self.bench.n_tokens, lambda text: -(-len(text) // 4))
            ]
            name = f"detection, then sparse, {n} windows"
            plans.append(Plan("two steps", name, costs[0], costs[1], agreement))
        return plans


def explain_costs(
    bench: Bench, sets: Sequence[UnitSets], tokenizer: HfTokenizer
) -> dict[str, tuple[float, float]]:
    """Mean tokens of one answer by prompt v1: by the tokenizer, as a quarter of the characters."""
    reply = '{"explanation": "the words \\"of\\" and \\"in\\" after a number or an amount"}'
    model = ScriptedModel(lambda _: reply)
    found = {}
    for n, before, after in (
        (8, 24, 12),
        (8, 12, 6),
        (8, 8, 4),
        (5, 24, 12),
        (5, 12, 6),
        (5, 8, 4),
    ):
        config = ExplainConfig(n_samples=1, n_exemplars=n)
        explainer = TokenActivation(model, config, seed=0)
        counts = []
        for own in sets:
            shown = own.explain.activating[:n]
            text = render_pairs(
                shown, own.explain.side, own.explain.peak, Extent(len(shown), before, after)
            )
            turns = explainer.template.render(exemplars=text, max_words=str(config.max_words))
            whole = [*(said for _, said in turns), reply]
            counts.append(
                (sum(map(bench.n_tokens, whole)), sum(-(-len(part) // 4) for part in whole))
            )
        means = fmean(count for count, _ in counts), fmean(count for _, count in counts)
        found[f"{n} exemplars of {before} + 1 + {after} tokens"] = means
    _check_default(tokenizer, sets[0], model)
    return found


def _check_default(tokenizer: HfTokenizer, sets: UnitSets, model: ScriptedModel) -> None:
    """What is counted above for the default is what the explainer asks."""
    means = TokenMeans({}, {}, 0.0)
    explainer = TokenActivation(model, ExplainConfig(n_samples=1), seed=0)
    asyncio.run(explainer.explain(ExplainEvidence(sets.explain, means, tokenizer)))
    shown = sets.explain.activating[:8]
    text = render_pairs(shown, sets.explain.side, sets.explain.peak)
    assert text in model.requests[-1].messages[-1].content


def crowded(study: Study, n: int) -> list[str]:
    """Agreement where answers for many windows at once are worse than for one."""
    lines = [f"\nif several windows a call cost the LLM some of its ability, sparse, {n} windows:"]
    for ability, lower in ((1.0, 0.8), (0.8, 0.6), (0.6, 0.4), (0.4, 0.2)):
        agreement = spearman(study.scores(sparse(ALL), n, lower), study.reference[ability])
        lines.append(f"  {ability:.1f} alone, {lower:.1f} in company: {agreement:.3f}")
    return lines


def main() -> None:
    """Prints the tables and writes the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--neurons", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=98_304)
    parser.add_argument("--plot", type=Path, default=Path(__file__).with_suffix(".svg"))
    parser.add_argument("--series", choices=[series for series, _ in FAMILIES], help="no plot")
    arguments = parser.parse_args()
    print(header())
    with quiet_transformers():
        folder = convert_gguf(SMOLLM2_GGUF.locate(), Settings().cache_dir)
        raw = AutoTokenizer.from_pretrained(str(folder))
    tokenizer = HfTokenizer(raw)
    corpus = load_corpus("wiki", tokenizer, n_tokens=arguments.tokens, n_ctx=64)
    model = PlantedModel(planted_rules(corpus, arguments.neurons, 0), tokenizer, len(raw))
    labels, known, sets = labelled(model, corpus)
    bench = Bench.of(known, tokenizer)
    explain = explain_costs(bench, sets, tokenizer)
    print(f"{arguments.neurons} neurons, {len(labels)} labels; true score by quality:")
    for quality in QUALITIES:
        own = [label.truth for label in labels if label.quality == quality]
        print(f"  {quality:18} median {np.median(own):5.2f}, {min(own):5.2f} to {max(own):4.2f}")
    print("\nexplain, one answer by prompt v1: tokens, quarter of characters")
    for name, (tokens, quarters) in explain.items():
        print(f"  {name:36} {tokens:6.0f} {quarters:6.0f}")
    study = Study(bench, labels)
    print(f"\nSpearman of the reference ({N_REFERENCE} windows, one a call) with the true score:")
    truths = [label.truth for label in labels]
    told = {a: spearman(study.reference[a], truths) for a in ABILITIES}
    print("  " + "  ".join(f"{a:.1f}: {agreement:.3f}" for a, agreement in told.items()))
    full = bench.cost(REFERENCE, study.some, N_POOL, DRAWN_AT)[0]
    print(f"  {full * N_REFERENCE / N_POOL:,.0f} tokens\n")
    plot = None if arguments.series else arguments.plot
    report(study.plans(arguments.series), explain["8 exemplars of 24 + 1 + 12 tokens"][0], plot)
    if plot:
        print("\n".join(crowded(study, 8)))


def report(plans: Sequence[Plan], explain: float, plot: Path | None) -> None:
    """The table, the frontier and its plot; tokens with one answer of the explainer."""
    heads = "  ".join(f"{a:.1f}" for a in ABILITIES)
    print(f"{'plan':52} {'tokens':>7} {'chars/4':>8} {'+explain':>9}   agreement at {heads}")
    points = []
    for plan in plans:
        total = plan.tokens + explain
        points.append(Point(plan.series, plan.name, total, plan.agreement[DRAWN_AT]))
        cells = " ".join(f"{plan.agreement[a]:.3f}" for a in ABILITIES)
        print(f"{plan.name:52} {plan.tokens:7.0f} {plan.quarters:8.0f} {total:9.0f}   {cells}")
    print(f"\nfrontier at an ability of {DRAWN_AT}:")
    for point in frontier(points):
        print(f"  {point.label:52} {point.tokens:7.0f} {point.agreement:.3f}")
    if plot is None:
        return
    title = f"Agreement with full simulation, ability {DRAWN_AT}; explaining included"
    plot.write_text(drawn(points, title=title, goal=GOAL))


if __name__ == "__main__":
    main()
