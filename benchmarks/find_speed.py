"""How fast units are ranked by a feature, against a collection of the same units and text.

Every token has a class, so that none is passed over; both read all windows, in turn, A B B A, after
an untimed round. Ratios are medians over the rounds, by the clock and by processor time (of all
threads), which a busy machine changes less. With `--memory`, the peak memory of a ranking of all
neurons of a small random model on texts of several lengths, each in a process of its own.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from _parts import header, in_another_process, peak_mib, random_gpt2, random_text

from autointerp.activations import collect
from autointerp.activations.class_sums import sum_by_class
from autointerp.corpora import TokenCorpus, load_corpus
from autointerp.corpora.features import LabelledCorpus
from autointerp.subjects import SubjectModel, all_neurons, load_subject

SIZES = (64_000, 256_000, 1_000_000)


def labelled(corpus: TokenCorpus, share: float) -> LabelledCorpus:
    """The corpus with a class at random for every token, this share of them positive."""
    classes = (np.random.default_rng(0).random(corpus.n_tokens) < share).astype(np.int8)
    return LabelledCorpus(corpus, "chance", "tokens at random", "", classes)


def both_seconds(work: Callable[[], object]) -> tuple[float, float]:
    """By the clock, and of processors."""
    start = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def speed(subject: SubjectModel, corpus: TokenCorpus, *, share: float, rounds: int) -> None:
    """Prints tokens a second of both, and the ratios."""
    units, text = all_neurons(subject), labelled(corpus, share)
    works = (
        lambda: collect(subject, corpus, units=units),
        lambda: sum_by_class(subject, text, units, range(corpus.n_windows)),
    )
    for work in works:
        work()
    taken: tuple[list[tuple[float, float]], ...] = ([], [])
    for number in range(rounds):
        for which in (number % 2, 1 - number % 2):
            taken[which].append(both_seconds(works[which]))
    ratios = [statistics.median(a[i] / b[i] for a, b in zip(*taken, strict=True)) for i in range(2)]
    collecting, ranking = (corpus.n_tokens / min(t for t, _ in one) for one in taken)
    print(f"{share:9.0%} {collecting:11,.0f} {ranking:11,.0f} {ratios[0]:9.2f} {ratios[1]:9.2f}")


def measure(n_tokens: int) -> None:
    """Prints this process's peak resident MiB after ranking."""
    subject, corpus = random_gpt2(), random_text(n_tokens)
    text = labelled(corpus, 0.05)
    sum_by_class(subject, text, all_neurons(subject), range(corpus.n_windows))
    print(peak_mib())


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--share", type=float, default=0.05, help="Of tokens that are positive.")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure)
        return
    print(header(), "\n")
    if arguments.memory:
        print(f"{'tokens':>12} {'peak MiB':>10} {'ratio':>7}")
        peaks: list[float] = []
        for n_tokens in SIZES:
            peaks.append(in_another_process(__file__, "--measure", str(n_tokens)))
            print(f"{n_tokens:12,} {peaks[-1]:10,.0f} {peaks[-1] / peaks[0]:7.3f}", flush=True)
        return
    subject = load_subject("smollm2-135m")
    corpus = load_corpus("wiki", subject, n_tokens=arguments.tokens)
    print("positive  collecting     ranking    by clock    by processor")
    speed(subject, corpus, share=arguments.share, rounds=arguments.rounds)


if __name__ == "__main__":
    main()
