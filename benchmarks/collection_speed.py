"""How fast collection is against a plain forward pass, and whether its memory grows with tokens.

The plain forward runs the same batches through all layers without the LM head. Both are timed in
turn, A B A B, after one untimed round; a ratio is the median over the rounds' own ratios.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from autointerp.activations import CollectPlan, collect
from autointerp.activations.collect import canonical_batches
from autointerp.core.config import CollectConfig
from autointerp.corpora import TokenCorpus, load_corpus
from autointerp.subjects import HookUnits, SubjectModel, all_neurons, load_subject, parse_units

LABELLING = "random:12@0,10,20,29"
N_CTX = 64


@dataclass(frozen=True)
class Case:
    """One comparison: what is collected, and on which part of the corpus."""

    name: str
    units: Sequence[HookUnits]
    token_means: bool


@dataclass(frozen=True)
class Timing:
    """Seconds of each round."""

    plain: list[float]
    collected: list[float]

    @property
    def ratio(self) -> float:
        """Tokens per second of collection over those of a plain forward."""
        pairs = zip(self.plain, self.collected, strict=True)
        return statistics.median(plain / collected for plain, collected in pairs)


def seconds(work: Callable[[], object]) -> float:
    """How long it takes, the device's queue included."""
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def plain_forwards(subject: SubjectModel, corpus: TokenCorpus, config: CollectConfig) -> None:
    """Every canonical batch through all layers."""
    for _, _, ids in canonical_batches(corpus, config.batch_windows):
        tokens, _ = corpus.batch(ids)
        subject.plain_forward(torch.from_numpy(tokens.astype(np.int64)))


def compare(subject: SubjectModel, corpus: TokenCorpus, case: Case, repeats: int) -> Timing:
    """Both, in turn."""
    config, plan = CollectConfig(), CollectPlan(token_means=case.token_means)

    def collected() -> object:
        return collect(subject, corpus, units=case.units, config=config, plan=plan)

    def plain() -> None:
        plain_forwards(subject, corpus, config)

    plain()
    collected()
    timing = Timing([], [])
    for _ in range(repeats):
        timing.plain.append(seconds(plain))
        timing.collected.append(seconds(collected))
    return timing


def peak_memory(arguments: argparse.Namespace, n_tokens: int) -> float:
    """Peak resident MiB of another process that collects all neurons of ``n_tokens`` tokens."""
    command = [sys.executable, __file__, "--measure-memory", str(n_tokens)]
    command += ["--subject", arguments.subject, "--corpus", arguments.corpus]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    return float(ended.stdout)


def measure_memory(arguments: argparse.Namespace) -> None:
    """Prints this process's peak resident MiB after collecting."""
    import resource

    subject = load_subject(arguments.subject)
    corpus = corpus_of(arguments, subject, arguments.measure_memory)
    collect(subject, corpus, units=all_neurons(subject))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak / (2**20 if sys.platform == "darwin" else 2**10))


def corpus_of(arguments: argparse.Namespace, subject: SubjectModel, n_tokens: int) -> TokenCorpus:
    """The corpus at a size."""
    return load_corpus(arguments.corpus, subject, n_tokens=n_tokens, n_ctx=N_CTX)


def machine() -> str:
    """Processor, threads, accelerator and versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    versions = ", ".join(f"{p} {version(p)}" for p in ("torch", "transformers", "transformer-lens"))
    return (
        f"{names[0] if names else platform.machine()}, {torch.get_num_threads()} threads{gpu}; "
        f"Python {platform.python_version()}, {versions}"
    )


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject", default="smollm2-135m")
    parser.add_argument("--corpus", default="wiki")
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure-memory", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure_memory:
        measure_memory(arguments)
        return
    subject = load_subject(arguments.subject)
    corpus = corpus_of(arguments, subject, arguments.tokens)
    everything = all_neurons(subject)
    n_neurons = sum(len(units.indices) for units in everything)
    cases = (
        Case(f"{LABELLING}, token means", parse_units(LABELLING, subject), token_means=True),
        Case(f"all {n_neurons:,} neurons", everything, token_means=False),
    )
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {machine()}")
    print(
        f"{subject.name} {subject.dtype_name}, {corpus.id}, {corpus.n_tokens:,} tokens in "
        f"{corpus.n_windows} windows, {arguments.repeats} rounds\n"
    )
    print(f"{'collected':42} {'plain tok/s':>12} {'collect tok/s':>14} {'ratio':>7}")
    for case in cases:
        timing = compare(subject, corpus, case, arguments.repeats)
        plain, collected = (
            corpus.n_tokens / statistics.median(rounds)
            for rounds in (timing.plain, timing.collected)
        )
        print(f"{case.name:42} {plain:12,.0f} {collected:14,.0f} {timing.ratio:7.2f}", flush=True)
    print(f"\n{'peak memory of all neurons':42} {'tokens':>12} {'MiB':>14} {'ratio':>7}")
    peaks = []
    for n_tokens in (arguments.tokens, 4 * arguments.tokens):
        peaks.append(peak_memory(arguments, n_tokens))
        print(f"{'':42} {n_tokens:12,} {peaks[-1]:14,.0f} {peaks[-1] / peaks[0]:7.2f}", flush=True)


if __name__ == "__main__":
    main()
