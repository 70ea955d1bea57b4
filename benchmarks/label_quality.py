"""Quality of labels over random neurons of SmolLM2-135M, by layer and by how they were made.

Ways: token lookup without an LLM; the embedded LLM's answers alone; the LLM's answers and the
token lookup as candidates, the choice made on validation windows; what runs the subject model on
texts; every explainer and every judge. Shares are of labelled units (status ok) unless said;
"above" means that the 95 % interval lies above, "q < 5 %" that the permutation p-value does so
after false-discovery control over all units of the way.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from autointerp.core.config import CollectConfig, CorpusConfig, ExplainConfig, JobSpec, ScoreConfig
from autointerp.core.explanations import Candidate, Label, LabelStatus
from autointerp.core.progress import SilentProgress
from autointerp.core.scores import Score
from autointerp.explainers import EXPLAINERS
from autointerp.jobs import RunReport
from autointerp.settings import read_settings
from autointerp.statistics.permutation import q_values
from autointerp.wiring.runs import run_job

USUAL = ("token_activation", "token_lookup")
EVERY_EXPLAINER = tuple(spec.name for spec in EXPLAINERS)
JUDGES = ("detection", "fuzzing", "contrast", "discrimination", "responsiveness")
PROBES = ("input_test", "generative", "output_test")
WAYS = {
    "none": ("none", ExplainConfig(explainers=("token_lookup",)), ScoreConfig()),
    "embedded, LLM alone": (
        "embedded",
        ExplainConfig(explainers=("token_activation",)),
        ScoreConfig(),
    ),
    "embedded": ("embedded", ExplainConfig(explainers=USUAL), ScoreConfig()),
    "every probe": (
        "embedded",
        ExplainConfig(explainers=USUAL),
        ScoreConfig(scorers=("simulation", *PROBES)),
    ),
    # One answer each, few windows, several a call: half a minute of two CPUs a neuron.
    "every explainer, every judge": (
        "embedded",
        ExplainConfig(explainers=EVERY_EXPLAINER, n_samples=1, n_counterexamples=2),
        ScoreConfig(
            scorers=("simulation_words", *JUDGES),
            n_heldout=8,
            n_validation=6,
            n_null=0,
            windows_per_call=8,
        ),
    ),
}
_Q = 0.05


def main() -> None:
    """Runs the ways and prints a table for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", default="random:60@0,10,20,29")
    parser.add_argument("--tokens", type=int, default=32_768)
    parser.add_argument("--ways", nargs="*", default=list(WAYS)[:3], choices=list(WAYS))
    parser.add_argument("--out", type=Path, default=Path("runs/quality"))
    options = parser.parse_args()
    print(f"{datetime.now(UTC):%Y-%m-%d} {platform.machine()} Python {platform.python_version()}")
    print(f"smollm2-135m, {options.units}, wiki, {options.tokens} tokens, seed 0\n")
    for way in options.ways:
        started = time.monotonic()
        outcome = run(way, options.units, options.tokens, options.out)
        report(way, outcome, time.monotonic() - started)


def run(way: str, units: str, n_tokens: int, out: Path) -> RunReport:
    """One way's labels; finished ones of an earlier run are reused."""
    llm, explain, score = WAYS[way]
    job = JobSpec(
        units=units,
        corpus=CorpusConfig(n_tokens=n_tokens),
        collect=CollectConfig(),
        explain=explain,
        score=score,
        llm=llm,
    )
    folder = out / way.replace(", ", "-").replace(" ", "-")
    return run_job(
        job, out=folder, resume=True, settings=read_settings(), progress=SilentProgress()
    )


def report(way: str, outcome: RunReport, seconds: float) -> None:
    """Prints one table: a row a layer, and all layers together."""
    labels, usage = list(outcome.labels), outcome.usage
    n = max(1, len(labels) - outcome.n_reused)
    print(f"== {way}: {seconds:.0f} s in all")
    stages = ", ".join(f"{stage} {s:.0f} s" for stage, s in outcome.seconds_by_stage.items())
    print(
        f"   {stages}; LLM: {usage.requests / n:.1f} requests, "
        f"{usage.prompt_tokens / n:.0f} + {usage.completion_tokens / n:.0f} tokens a new unit"
    )
    print(
        "layer  units  ok  dead  no_signal  failed  median  >0  >null  q<5%  >lookup  null  lookup"
        "  llm"
    )
    layers = sorted({label.unit.layer for label in labels})
    for layer in layers:
        row(str(layer), [label for label in labels if label.unit.layer == layer])
    row("all", labels)
    if outcome.ledger is not None:
        # The cost log is of the whole run, of earlier parts of it as well.
        for stage, spent in sorted(outcome.ledger.by_stage.items()):
            print(f"   {stage}: {spent.tokens / max(1, len(labels)):.0f} tokens a unit")
    by_explainer(labels)
    by_scorer(labels)
    print()


def by_explainer(labels: Sequence[Label]) -> None:
    """Prints what each explainer's answers are worth on validation windows."""
    answers: dict[str, list[Candidate]] = {}
    for candidate in (c for label in labels for c in label.candidates):
        answers.setdefault(candidate.explanation.explainer, []).append(candidate)
    if len(answers) < 2:
        return
    print("   explainer           answers  defined  median on validation  chosen")
    for name, found in sorted(answers.items()):
        scores = [c.validation_score for c in found]
        n_defined, n_chosen = sum(s is not None for s in scores), sum(c.chosen for c in found)
        print(f"   {name:19} {len(found):7} {n_defined:8} {median(scores):>21} {n_chosen:7}")


def by_scorer(labels: Sequence[Label]) -> None:
    """Prints every score of every scorer beside the preferred one."""
    found: dict[tuple[str, str], list[Score]] = {}
    failed: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for result in (r for label in labels for r in label.results):
        asked[result.scorer] += result.n_asked
        failed[result.scorer] += result.n_failed
        for score in result.scores:
            if not score.name.startswith(("band", "silent", "top", "random")):
                found.setdefault((result.scorer, score.name), []).append(score)
    print("   scorer              score                          labels  defined  median  failed")
    for (scorer, name), scores in sorted(found.items()):
        values = [score.value for score in scores]
        n_defined = sum(value is not None for value in values)
        lost = failed[scorer] / max(1, asked[scorer])
        counts = f"{len(scores):6} {n_defined:8} {median(values):>7} {lost:7.0%}"
        print(f"   {scorer:19} {name:30} {counts}")


def row(name: str, labels: Sequence[Label]) -> None:
    """Prints the figures of some labels."""
    ok = [label for label in labels if label.status is LabelStatus.OK]
    counts = [sum(label.status is status for label in labels) for status in LabelStatus]
    scores = [label.headline.value for label in ok if label.headline.value is not None]
    above_zero = [label.headline.low is not None and label.headline.low > 0 for label in ok]
    nulls = [label.score(f"{label.preferred}_null").value for label in ok]
    lookups = [label.score("lookup").value for label in ok]
    adjusted = q_values([label.score(label.preferred or "", "chance_p").value for label in ok])
    discovered = [q is not None and q < _Q for q in adjusted]
    by_llm = [label.explanation is not None and label.explanation.model is not None for label in ok]
    print(
        f"{name:>5} {len(labels):6d} {counts[0]:3d} {counts[1]:5d} {counts[2]:10d} {counts[3]:7d}"
        f"  {median(scores)} {share(above_zero)} {share(over(ok, 'over_null'))} {share(discovered)}"
        f"    {share(over(ok, 'over_lookup'))} {median(nulls)}  {median(lookups)} {share(by_llm)}"
    )


def over(labels: Sequence[Label], name: str) -> list[bool]:
    """For each label whether the interval of that difference lies above 0."""
    found = []
    for label in labels:
        low = label.score(label.preferred or "", name).low
        found.append(low is not None and low > 0)
    return found


def median(values: Sequence[float | None]) -> str:
    """The median of those that are defined."""
    defined = [value for value in values if value is not None]
    return f"{statistics.median(defined):6.3f}" if defined else "     -"


def share(flags: Sequence[bool]) -> str:
    """Percentage that is true."""
    return f"{sum(flags) / len(flags):4.0%}" if flags else "   -"


if __name__ == "__main__":
    main()
