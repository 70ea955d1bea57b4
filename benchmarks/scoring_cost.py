"""What it costs to explain and score a neuron, and how far a cheap score ranks as a full one.

Neurons on Wikipedia, planted ones or SmolLM2-135M's own, five explanations of each from right to
wrong, judged by scripted LLMs of graded ability (tests/support/graded_llm.py). The reference is
the population score of a simulation of 80 windows, one at a time, by the same LLM; plans are
scored on windows of a draw of their own. Agreement is Spearman's correlation. A label without a
score, because nothing was predicted, counts as one at chance.

The scripted LLM answers for each window as it would for that window alone, so forms that ask for
the same levels agree with the reference alike and are only counted. Where words are listed it
names the part of a word that a token holds. Its mistakes belong to places of a text, or to words.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from _agreement import ABILITIES, DRAWN_AT, MEASURES, ByMeasure, Plan, Yardstick, report, spearman
from _carried_over import CARRIED
from _cheaper_words import VARIANTS
from _explain_cost import DEFAULT, explain_costs
from _graded_units import GradedUnits
from _parts import header
from _planted_units import planted_units
from _real_units import real_units
from _scoring_plans import (
    ALL,
    FUZZING,
    N_POOL,
    N_REFERENCE,
    REFERENCE,
    WIDTH,
    Form,
    Labels,
    PlanData,
    detection,
    digits,
    labelled,
    levels,
    sparse,
    words,
)
from transformers import AutoTokenizer

from autointerp.core.files import SMOLLM2_GGUF
from autointerp.corpora import TokenCorpus, load_corpus
from autointerp.scorers.simulation.words_simulation import WORDS_PER_CALL
from autointerp.settings import Settings
from autointerp.subjects.gguf import convert_gguf
from autointerp.subjects.tokenizer import HfTokenizer, quiet_transformers

NEURONS = {"planted": 32, "real": 100}
SIZES = (8, 12, 16, 20, 30)
SIZES_OF_WORDS = (8, 12, 16, 20, 24, 30)
SIZES_OF_STEPS = (8, 12, 16)
_HERE = Path(__file__)
PLOTS = {
    "planted": _HERE.with_suffix(".svg"),
    "real": _HERE.with_name("scoring_cost_real.svg"),
}
# Forms that ask the same agree alike: the first of each is asked, the others are counted.
FAMILIES: tuple[tuple[str, tuple[Form, ...], tuple[int, ...]], ...] = (
    ("words", (words(WORDS_PER_CALL), words(1), words(8), words(ALL)), SIZES_OF_WORDS),
    (
        "levels",
        (sparse(ALL), sparse(8), sparse(4), sparse(1), levels(8), levels(1), digits()),
        SIZES,
    ),
    ("expected levels", (levels(8, logprobs=True), digits(logprobs=True)), SIZES),
    ("detection", (detection(10), detection(1)), SIZES),
    ("expected detection", (detection(10, logprobs=True),), SIZES),
    ("fuzzing", (FUZZING,), SIZES),
    *(("cheaper words", *variant) for variant in VARIANTS),
    *(("carried to all text", *variant) for variant in CARRIED[:1]),
    *(("carried to windows", *variant) for variant in CARRIED[1:]),
)


class Study:
    """Labels with their reference at every ability."""

    def __init__(self, data: PlanData, labels: Labels, n_labels: int) -> None:
        self.data, self.labels = data, labels.all
        # Costs vary little between labels, and counting tokens is slow.
        self.some = labels.all[:: max(1, len(labels.all) // 15)]
        reference = {
            a: [data.value(REFERENCE, label, label.reference, a) for label in labels.all]
            for a in ABILITIES
        }
        truths = [label.truth for label in labels.all]
        self.yardstick = Yardstick(truths, n_labels, reference)

    def plans(self, only: Sequence[str]) -> list[Plan]:
        """Every plan of the table, or those of some series."""
        found: list[Plan] = []
        for series, forms, sizes in FAMILIES:
            if not only or series in only:
                found += self._of(series, forms, sizes)
        return found if only else [*found, *self._early(found), *self._two_steps()]

    def scores(self, form: Form, sizes: Sequence[int], ability: float) -> list[tuple[float, ...]]:
        """Of every label, by number of windows."""
        found = [self.data.values(form, label, sizes, ability) for label in self.labels]
        return list(zip(*found, strict=True))

    def _of(self, series: str, forms: Sequence[Form], sizes: Sequence[int]) -> list[Plan]:
        agreements: list[dict[float, ByMeasure]] = [{} for _ in sizes]
        for a in ABILITIES:
            for own, scores in zip(agreements, self.scores(forms[0], sizes, a), strict=True):
                own[a] = self.yardstick.agreement(a, scores)
        found = []
        for n, agreement in zip(sizes, agreements, strict=True):
            for form in forms:
                cost = self.data.cost(form, self.some, n, DRAWN_AT)
                found.append(Plan(series, f"{form.name}, {n} windows", *cost, agreement))
        return found

    def _early(self, plans: Sequence[Plan]) -> list[Plan]:
        """The sparse form until the interval is narrow, at most 30 windows; costs in proportion."""
        agreement, used = {}, {}
        for a in ABILITIES:
            found = [self.data.stopped_early(sparse(4), label, a, 28) for label in self.labels]
            agreement[a] = self.yardstick.agreement(a, [value for value, _ in found])
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
        for n in SIZES_OF_STEPS:
            agreement = {}
            for a in ABILITIES:
                values = [self.data.two_steps(label, n, a)[0] for label in self.labels]
                agreement[a] = self.yardstick.agreement(a, values)
            costs = [
                fmean(self.data.two_steps(label, n, DRAWN_AT, count)[1] for label in self.some)
                for count in (self.data.n_tokens, lambda text: -(-len(text) // 4))
            ]
            name = f"detection, then sparse, {n} windows"
            plans.append(Plan("two steps", name, costs[0], costs[1], agreement))
        return plans


def crowded(study: Study, n: int) -> list[str]:
    """Agreement where answers for many windows at once are worse than for one."""
    lines = [f"\nif several windows a call cost the LLM some of its ability, sparse, {n} windows:"]
    for ability, lower in ((1.0, 0.8), (0.8, 0.6), (0.6, 0.4), (0.4, 0.2)):
        scores = study.scores(sparse(ALL), (n,), lower)[0]
        agreement = spearman(scores, study.yardstick.reference[ability])
        lines.append(f"  {ability:.1f} alone, {lower:.1f} in company: {agreement:.3f}")
    return lines


def checked(study: Study) -> list[str]:
    """The reference held against true scores."""
    lines = [f"\nreference ({N_REFERENCE} windows, one a call):"]
    for a in ABILITIES:
        told = study.yardstick.agreement(a, study.yardstick.reference[a])
        lines.append(f"  {a:.1f}: " + ", ".join(f"{m} {told[m]:.3f}" for m in MEASURES[3:]))
    return lines


def unbounded(study: Study) -> list[str]:
    """How far a plan of all held-out windows would agree with the reference."""
    lines = ["\nthe same LLM asked about all held-out text:"]
    for a in ABILITIES:
        found = [
            label.text.correlation(
                label.windows.unit, label.windows.side, study.data.said(label, a)
            )
            for label in study.labels
        ]
        told = study.yardstick.agreement(a, found)
        lines.append(f"  {a:.1f}: " + ", ".join(f"{m} {told[m]:.3f}" for m in MEASURES))
    return lines


def units_of(arguments: argparse.Namespace, corpus: TokenCorpus, raw: Any) -> GradedUnits:
    """The neurons that are asked for."""
    tokenizer, n = HfTokenizer(raw), arguments.neurons or NEURONS[arguments.units]
    if arguments.units == "real":
        return real_units(corpus, tokenizer, n, folder=Settings().cache_dir / "benchmarks")
    return planted_units(corpus, tokenizer, n, n_types=len(raw))


def main() -> None:
    """Prints the tables and writes the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", choices=list(NEURONS), default="planted")
    parser.add_argument("--neurons", type=int, help="32 planted or 100 real ones")
    parser.add_argument("--tokens", type=int, default=98_304)
    parser.add_argument("--plot", type=Path, help="beside this file, of planted or of real neurons")
    series = list(dict.fromkeys(name for name, _, _ in FAMILIES))
    parser.add_argument("--series", nargs="+", choices=series, default=[], help="no plot then")
    parser.add_argument("--by-word", action="store_true", help="the LLM mistakes words, not places")
    arguments = parser.parse_args()
    print(header())
    with quiet_transformers():
        folder = convert_gguf(SMOLLM2_GGUF.locate(), Settings().cache_dir)
        raw = AutoTokenizer.from_pretrained(str(folder))
    tokenizer = HfTokenizer(raw)
    corpus = load_corpus("wiki", tokenizer, n_tokens=arguments.tokens, n_ctx=64)
    units = units_of(arguments, corpus, raw)
    labels = labelled(units, corpus)
    data = PlanData.of(labels.known, tokenizer, by_word=arguments.by_word)
    explain = explain_costs(data, labels.sets, tokenizer)
    print("\n".join(described_labels(labels, units.qualities, explain)))
    study = Study(data, labels, len(units.qualities))
    print("\n".join(checked(study)))
    full = data.cost(REFERENCE, study.some, N_POOL, DRAWN_AT)[0]
    print(f"  {full * N_REFERENCE / N_POOL:,.0f} tokens\n")
    plot = (
        None if arguments.series or arguments.by_word else arguments.plot or PLOTS[arguments.units]
    )
    report(study.plans(arguments.series), explain[DEFAULT][0], arguments.units, plot)
    if plot:
        print("\n".join([*unbounded(study), *crowded(study, 8)]))


def described_labels(
    labels: Labels, qualities: Sequence[str], explain: Mapping[str, tuple[float, float]]
) -> list[str]:
    """How good they are, and what one costs."""
    lines = [f"{len(labels.sets)} neurons, {len(labels.all)} labels; true score by quality:"]
    for quality in qualities:
        own = [label.truth for label in labels.all if label.quality == quality]
        lines.append(
            f"  {quality:18} median {np.median(own):5.2f}, {min(own):5.2f} to {max(own):4.2f}"
        )
    lines.append("\nexplain, one answer by prompt v1: tokens, quarter of characters")
    return lines + [f"  {name:36} {a:6.0f} {b:6.0f}" for name, (a, b) in explain.items()]


if __name__ == "__main__":
    main()
