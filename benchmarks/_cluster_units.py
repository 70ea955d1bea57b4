"""Units planted on real text: senses at known places, and what a layer of SmolLM2 reads there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from autointerp.corpora import load_corpus
from autointerp.explainers.context_clusters import most_clusters
from autointerp.statistics.clustering import cluster_places, directions
from autointerp.subjects import load_subject

LAYERS = (1, 11, 24)
N_TOKENS, N_CTX = 80_000, 64
# What a collection keeps of a unit, and what is read of each window.
N_TOP, N_SAMPLED, N_PLACES, LEAST = 20, 64, 3, 0.1
Floats = NDArray[np.float64]
Clusters = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class RealText:
    """Tokens in a row, and the vectors that the MLPs of some layers read at each."""

    tokens: NDArray[np.int64]
    windows: NDArray[np.int64]
    """Number of each token's window, ascending."""
    pieces: NDArray[np.str_]
    """Text of every token of the vocabulary."""
    inputs: dict[int, NDArray[np.float16]]

    @classmethod
    def read(cls) -> RealText:
        """Wikipedia through SmolLM2."""
        subject = load_subject("smollm2-135m")
        corpus = load_corpus("wiki", subject.tokenizer, n_tokens=N_TOKENS, n_ctx=N_CTX)
        hooks = [f"blocks.{layer}.mlp.hook_in" for layer in LAYERS]
        parts: dict[str, list[NDArray[np.float16]]] = {hook: [] for hook in hooks}
        for first in range(0, len(corpus), 32):
            tokens, lengths = corpus.batch(range(first, min(first + 32, len(corpus))))

            def receive(
                hook: str, values: torch.Tensor, lengths: NDArray[np.integer] = lengths
            ) -> None:
                rows = values.to(torch.float16).numpy()
                parts[hook] += [row[:n] for row, n in zip(rows, lengths, strict=True)]

            subject.read(torch.from_numpy(tokens.astype(np.int64)), hooks, receive)
        each = [corpus[window].token_ids for window in range(len(corpus))]
        return cls(
            np.array([token for ids in each for token in ids]),
            np.repeat(np.arange(len(each)), [len(ids) for ids in each]),
            np.array(subject.tokenizer.pieces(range(subject.n_rows))),
            {layer: np.concatenate(parts[hook]) for layer, hook in zip(LAYERS, hooks, strict=True)},
        )

    def matching(self, pattern: str) -> NDArray[np.bool_]:
        """Where a token's text is of that form."""
        here, which = np.unique(self.tokens, return_inverse=True)
        wanted = [bool(re.fullmatch(pattern, self.pieces[token])) for token in here]
        return np.asarray(np.array(wanted)[which])


@dataclass(frozen=True)
class PlantedSenses:
    """A unit's activation at each token, and the sense behind it."""

    real: Floats
    sense: NDArray[np.int64]
    """-1 where it is silent."""
    n: int

    @property
    def mass(self) -> Floats:
        """Share of each sense of all activation."""
        sums = np.array([self.real[self.sense == k].sum() for k in range(self.n)])
        return np.asarray(sums / sums.sum())


def planted_senses(text: RealText, seed: int) -> PlantedSenses:
    """One to four senses at rates 1:1 to 1:50: a token, a kind of word, a name behind a token."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 5))
    rates = 10 ** rng.uniform(-2.2, -1.5) / np.append(1.0, 50 ** rng.random(n - 1))
    heights = rng.uniform(0.3, 1.0, n)
    real, sense = np.zeros(len(text.tokens)), np.full(len(text.tokens), -1)
    candidates = _places(text, rng)
    taken = np.zeros(len(text.tokens), dtype=np.bool_)
    for k in range(n):
        places = next(p for p in (m & ~taken for m in candidates) if p.sum() >= 40)
        taken |= places
        own = np.flatnonzero(places)
        own = rng.choice(own, min(len(own), max(4, int(rates[k] * len(real)))), replace=False)
        real[own] = heights[k] * np.exp(0.3 * rng.normal(size=len(own)))
        sense[own] = k
    return PlantedSenses(real, sense, n)


def _places(text: RealText, rng: np.random.Generator) -> Iterator[NDArray[np.bool_]]:
    common = np.argsort(-np.bincount(text.tokens, minlength=len(text.pieces)))
    before = np.where(np.diff(text.windows, prepend=-1) == 0, np.roll(text.tokens, 1), -1)
    while True:
        kind = rng.integers(4)
        if kind == 0:
            form = rng.choice([r" ?[0-9]+", r" [a-z]+ing", r" [a-z]+ed"])
            yield text.matching(str(form))
        elif kind == 1:
            named = text.matching(r" [A-Z][a-z]+")
            yield (before == common[rng.integers(5, 60)]) & named
        else:
            yield text.tokens == common[rng.integers(5, 400)]


@dataclass(frozen=True)
class Sampled:
    """Places of a unit as a job reads them."""

    unit: PlantedSenses
    places: NDArray[np.int64]
    mass: Floats
    """Activation at each, times the windows that its window stands for."""
    tokens: NDArray[np.int64]
    """All tokens of the windows."""

    @classmethod
    def of(cls, text: RealText, unit: PlantedSenses, seed: int, *, per_window: int) -> Sampled:
        """The top windows and a uniform sample of the others, with the strongest places of each."""
        rng = np.random.default_rng([seed, 1])
        peaks = np.zeros(text.windows[-1] + 1)
        np.maximum.at(peaks, text.windows, unit.real)
        active = np.argsort(-peaks)[: int((peaks > 0).sum())]
        top = active[:N_TOP]
        sample = rng.choice(active, min(N_SAMPLED, len(active)), replace=False)
        rest = np.setdiff1d(sample, top)
        weight = (len(active) - len(top)) / max(1, len(rest))
        places, masses, tokens = [], [], []
        for window in (*top, *rest):
            own = np.arange(*np.searchsorted(text.windows, [window, window + 1]))
            tokens.append(own)
            seen: set[int] = set()
            for place in own[np.argsort(-unit.real[own])]:
                if len(seen) == per_window or unit.real[place] < LEAST * unit.real.max():
                    break
                if text.tokens[place] not in seen:
                    seen.add(text.tokens[place])
                    places.append(place)
                    stands_for = 1.0 if window in top else weight
                    masses.append(unit.real[place] * stands_for)
        return cls(unit, np.array(places), np.array(masses), np.concatenate(tokens))

    @property
    def seen(self) -> int:
        """Senses with two places or more."""
        return int((np.bincount(self.unit.sense[self.places], minlength=self.unit.n) > 1).sum())

    def named(self, clusters: Clusters) -> tuple[int, float]:
        """Different names that a namer gives who sees the commonest sense; worst error of a share.

        Clusters of one name are one sense, and shares are of what is in clusters.
        """
        sense = self.unit.sense[self.places]
        shares = np.zeros(self.unit.n)
        names = set()
        for own in map(list, clusters):
            name = int(np.bincount(sense[own]).argmax())
            names.add(name)
            shares[name] += self.mass[own].sum()
        shares /= shares.sum() or 1.0
        return len(names), float(np.abs(shares - self.unit.mass).max())


def clustered(vectors: Floats) -> Clusters:
    """As the explainer does."""
    return cluster_places(vectors, most=most_clusters(6))


def by_silhouette(vectors: Floats) -> Clusters:
    """As many clusters, from 1 to 12, as have the greatest mean silhouette; 1 below 0.1."""
    best: Clusters = (tuple(range(len(vectors))),)
    value = 0.1
    found = [cluster_places(vectors, most=n) for n in range(2, 13)]
    for clusters in dict.fromkeys(found):
        if (own := silhouette(vectors, clusters)) > value:
            best, value = clusters, own
    return best


def silhouette(vectors: Floats, clusters: Clusters) -> float:
    """Mean silhouette of the clustered places by cosine distance (Rousseeuw 1987)."""
    if len(clusters) < 2:
        return 0.0
    own = np.repeat(np.arange(len(clusters)), [len(c) for c in clusters])
    unit = directions(vectors[np.concatenate([np.array(c) for c in clusters])])
    distances = 1 - unit @ unit.T
    belongs = own[:, None] == np.arange(len(clusters))
    sizes, rows = belongs.sum(axis=0), np.arange(len(own))
    sums = distances @ belongs
    within = sums[rows, own] / (sizes[own] - 1)
    nearest = np.where(belongs, np.inf, sums / sizes).min(axis=1)
    return float(np.mean((nearest - within) / np.maximum(within, nearest)))


def centred(rows: Floats, background: Floats) -> Floats:
    """Less the mean over all tokens of the windows."""
    return np.asarray(rows - background.mean(axis=0))


def standardized(rows: Floats, background: Floats) -> Floats:
    """The same in units of each coordinate's standard deviation."""
    return np.asarray(centred(rows, background) / background.std(axis=0))


def raw(rows: Floats, background: Floats) -> Floats:  # noqa: ARG001
    """As they are read."""
    return rows


WAYS: dict[str, tuple[Callable[[Floats, Floats], Floats], Callable[[Floats], Clusters], int]] = {
    "as the explainer": (centred, clustered, N_PLACES),
    "peaks alone": (centred, clustered, 1),
    "not centred": (raw, clustered, N_PLACES),
    "standardized": (standardized, clustered, N_PLACES),
    "number by silhouette": (centred, by_silhouette, N_PLACES),
}


def clusters_table(text: RealText, n_units: int) -> list[str]:
    """One line a layer and way."""
    lines = [
        "layer, way: units whose senses were all seen; right number of clusters, of names; "
        "shares of all senses within 0.1; clusters a unit"
    ]
    for layer, inputs in text.inputs.items():
        for way, (prepare, cluster, per_window) in WAYS.items():
            rows = []
            for seed in range(n_units):
                unit = planted_senses(text, seed)
                drawn = Sampled.of(text, unit, seed, per_window=per_window)
                vectors = inputs[drawn.places].astype(np.float64)
                found = cluster(prepare(vectors, inputs[drawn.tokens].astype(np.float64)))
                n_named, error = drawn.named(found)
                right = (drawn.seen == unit.n, len(found) == unit.n, n_named == unit.n)
                rows.append((*right, error <= 0.1, len(found)))
            seen, exact, named, share, n = np.mean(rows, axis=0)
            lines.append(
                f"{layer:2d} {way:22s}{100 * seen:5.1f}  {100 * exact:5.1f} {100 * named:5.1f}"
                f"  {100 * share:5.1f}  {n:4.1f}"
            )
    return lines
