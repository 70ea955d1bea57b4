"""How fast collection is against a plain forward pass, and against a cache of activations.

The plain forward runs the same batches through all layers without the LM head, each of them
between two batches of the collection, so that a machine whose speed drifts slows both alike; making
the states and the summary counts as collecting. Beside it, what collecting takes longer is given
as a multiple of copying the same activations once, each right after it was computed, in a pass of
its own between the same batches. Everything else is timed in turn, A B B A. All follow an untimed
round; a ratio, or a number of copies, is the median over the rounds' own.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from _parts import (
    Comparison,
    compare,
    header,
    plain_batch,
    plain_forward,
    random_gpt2,
    random_text,
    seconds,
)

from autointerp.activations import CollectPlan, collect, live_activations
from autointerp.activations.collection import canonical_batches
from autointerp.core.config import CollectConfig
from autointerp.core.progress import SilentProgress
from autointerp.corpora import TokenCorpus, load_corpus
from autointerp.subjects import HookUnits, SubjectModel, all_neurons, load_subject, parse_units

LABELLING = "random:12@0,10,20,29"
N_CTX = 64
TOP_K = 20
N_LIVE = 64


@dataclass(frozen=True)
class Timing:
    """One line of the table."""

    name: str
    n_tokens: int
    run: Callable[[int], Comparison]


@dataclass(frozen=True)
class Collected(Comparison):
    """A collection against a plain forward, with seconds of copying what is collected."""

    copying: list[float]

    @property
    def copies(self) -> float:
        """What collecting takes longer, in copies: the median over rounds."""
        rounds = zip(self.base, self.measured, self.copying, strict=True)
        return statistics.median((measured - base) / copy for base, measured, copy in rounds)


class ForwardBeside(SilentProgress):
    """Runs the plain forward of each batch when the collection has done with it, and copies."""

    def __init__(
        self, subject: SubjectModel, corpus: TokenCorpus, units: tuple[HookUnits, ...]
    ) -> None:
        self.plain = self.copying = self.seconds = 0.0
        self._subject, self._corpus = subject, corpus
        self._hooks = [unit.hook for unit in units]
        self._batches = iter(canonical_batches(corpus, CollectConfig().batch_windows))

    def advance(self, stage: str, amount: int) -> None:  # noqa: ARG002
        """The next batch's forward; a collection also tells, once, that it begins with 0."""
        if amount:
            self.seconds += seconds(self._next_batch)

    def _next_batch(self) -> None:
        _, _, ids = next(self._batches)
        self.plain += seconds(lambda: plain_batch(self._subject, self._corpus, ids))
        tokens, lengths = self._corpus.batch(ids)
        text = torch.from_numpy(tokens[:, : lengths.max()].astype(np.int64))
        self._subject.read(text, self._hooks, self._copy)

    def _copy(self, _hook: str, activations: torch.Tensor) -> None:
        self.copying += seconds(activations.clone)


def collecting(
    subject: SubjectModel,
    corpus: TokenCorpus,
    units: tuple[HookUnits, ...],
    *,
    token_means: bool = False,
) -> Callable[[int], Comparison]:
    """A collection held against a plain forward."""
    config, plan = CollectConfig(), CollectPlan(token_means=token_means)

    def once() -> tuple[float, float, float]:
        beside = ForwardBeside(subject, corpus, units)
        whole = seconds(
            lambda: collect(subject, corpus, units=units, config=config, plan=plan, progress=beside)
        )
        return beside.plain, whole - beside.seconds, beside.copying

    def run(rounds: int) -> Collected:
        once()
        found = [once() for _ in range(rounds)]
        return Collected(*(list(column) for column in zip(*found, strict=True)))

    return run


def cached(subject: SubjectModel, corpus: TokenCorpus) -> Callable[[int], Comparison]:
    """A collection held against keeping every activation and looking for the top afterwards."""
    units = all_neurons(subject)
    hooks = [unit.hook for unit in units]

    def with_cache() -> None:
        peaks: dict[str, list[torch.Tensor]] = {hook: [] for hook in hooks}
        for _, _, ids in canonical_batches(corpus, CollectConfig().batch_windows):
            tokens = torch.from_numpy(corpus.batch(ids)[0].astype(np.int64))
            with torch.inference_mode():
                _, cache = subject.bridge.run_with_cache(tokens, names_filter=hooks)
            for hook in hooks:
                peaks[hook].append(cache[hook].flatten(0, 1))
        for hook in hooks:
            every = torch.cat(peaks[hook])
            every.topk(TOP_K, dim=0)
            every.mean(0)
            every.var(0)

    return lambda rounds: compare(
        with_cache, lambda: collect(subject, corpus, units=units, config=CollectConfig()), rounds
    )


def live(subject: SubjectModel) -> Callable[[int], Comparison]:
    """Live activations of every neuron of one layer on a text, against a plain forward."""
    text = "The river Thames flows through London, and the old stones sleep under it. " * 4
    tokens = torch.tensor([subject.tokenizer.encode(text)[:N_LIVE]])
    hook = f"blocks.{subject.n_layers - 1}.mlp.hook_post"
    units = (HookUnits(hook, tuple(range(subject.width(hook)))),)

    typed = "".join(subject.tokenizer.pieces(tokens[0].tolist()))

    def plain() -> None:
        plain_forward(subject, tokens)

    def asked() -> None:
        live_activations(subject, typed, units=units)

    return lambda rounds: compare(plain, asked, 5 * rounds)


def timings(n_tokens: int) -> Iterator[Timing]:
    """Every line; a model is loaded when its first line comes."""
    small = random_gpt2()
    short, long = random_text(4 * n_tokens), random_text(16 * n_tokens)
    everything = all_neurons(small)
    yield Timing("all neurons, GPT-2 6 x 256", long.n_tokens, collecting(small, long, everything))
    yield Timing("the same against run_with_cache, top-k", short.n_tokens, cached(small, short))
    for dtype in ("float32", "bfloat16"):
        subject = load_subject("smollm2-135m", dtype=dtype)
        corpus = load_corpus("wiki", subject, n_tokens=n_tokens, n_ctx=N_CTX)
        everything = all_neurons(subject)
        n_units = sum(len(units.indices) for units in everything)
        name = f"all {n_units:,} neurons, smollm2-135m {dtype}"
        yield Timing(name, corpus.n_tokens, collecting(subject, corpus, everything))
        if dtype == "float32":
            part = load_corpus("wiki", subject, n_tokens=n_tokens // 4, n_ctx=N_CTX)
            labelling = collecting(subject, part, parse_units(LABELLING, subject), token_means=True)
            yield Timing(f"{LABELLING}, lookup tables", part.n_tokens, labelling)
            yield Timing("live activations of the last layer", N_LIVE, live(subject))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=16_384, help="of the larger model")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default="", help="lines whose name holds this")
    arguments = parser.parse_args()
    print(header())
    print(f"{arguments.rounds} rounds\n")
    print(f"{'what':52} {'base tok/s':>11} {'tok/s':>9} {'ratio':>7} {'copies':>7}")
    for timing in timings(arguments.tokens):
        if arguments.only not in timing.name:
            continue
        found = timing.run(arguments.rounds)
        base, measured = (
            timing.n_tokens / statistics.median(part) for part in (found.base, found.measured)
        )
        copies = f"{found.copies:7.1f}" if isinstance(found, Collected) else ""
        print(
            f"{timing.name:52} {base:11,.0f} {measured:9,.0f} {found.ratio:7.2f} {copies}",
            flush=True,
        )


if __name__ == "__main__":
    main()
