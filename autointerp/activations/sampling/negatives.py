"""Hard negatives: windows that look or read like exemplars, but on which the unit is silent.

Whether a unit is silent on a window is known only where its activation was read. So hard
negatives are chosen in two steps, with the reading between them left to the caller::

    tokens = peak_tokens(sets.explain.activating, side)
    asked = index.candidates(tokens, 40, seed=0, exclude=plan.windows)
    read = read_windows(subject, corpus, {(unit.hook, unit.index): asked.windows})
    negatives = silent_only(asked, read, unit, side, n=8, at_most=0.1 * plan.peak)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.activations.activation_reading import Activations
from autointerp.activations.sampling.strata import NEAR, SampledWindow, WindowSample
from autointerp.activations.sentence_encoder import SentenceEncoder
from autointerp.core.characters import join_tokens
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import ActivationRecord
from autointerp.core.text import Split, TextTokenizer
from autointerp.corpora import TokenCorpus


class TokenIndex:
    """Which windows of a split hold which token; made once for all units."""

    def __init__(self, corpus: TokenCorpus, split: Split) -> None:
        ids = corpus.window_ids(split)
        starts = corpus.starts[ids.start : ids.stop + 1]
        tokens = corpus.tokens[starts[0] : starts[-1]]
        order = np.argsort(tokens, kind="stable")
        self._tokens = tokens[order]
        self._windows = np.repeat(np.asarray(ids, dtype=np.int64), np.diff(starts))[order]

    def windows(self, token: int) -> NDArray[np.int64]:
        """Ids of the windows that hold a token, ascending."""
        first, last = np.searchsorted(self._tokens, [token, token + 1])
        return np.unique(self._windows[first:last])

    def candidates(
        self, tokens: Sequence[int], n: int, *, seed: int, exclude: Collection[int] = ()
    ) -> WindowSample:
        """Windows that hold one of the tokens, as many of each token as can be, in random order.

        A window that holds several belongs to the first of them. Whether the unit is silent
        there is not known yet: `silent_only` comes next. Tokens are vocabulary ids, the most
        telling first; give every unit a seed of its own.
        """
        generator = np.random.default_rng(seed)
        seen = np.asarray(sorted(exclude), dtype=np.int64)
        shuffled: dict[str, list[int]] = {}
        for token in dict.fromkeys(tokens):
            free = np.setdiff1d(self.windows(token), seen)
            seen = np.concatenate((seen, free))
            if len(free):
                shuffled[f"token {token}"] = generator.permutation(free).tolist()
        counts = _shares({name: len(windows) for name, windows in shuffled.items()}, n)
        chosen = [
            SampledWindow(window, name, len(windows) / counts[name])
            for name, windows in shuffled.items()
            for window in windows[: counts[name]]
        ]
        return WindowSample(tuple(chosen[i] for i in generator.permutation(len(chosen))))


def peak_tokens(records: Sequence[ActivationRecord], side: Side) -> tuple[int, ...]:
    """Vocabulary ids at the records' peaks, the most frequent first, then the stronger."""
    peaks: Counter[int] = Counter()
    strongest: dict[int, float] = {}
    for record in records:
        values = record.side(side)
        peak = max(values, default=0.0)
        if peak > 0:
            token = record.token_ids[values.index(peak)]
            peaks[token] += 1
            strongest[token] = max(peak, strongest.get(token, 0.0))
    return tuple(sorted(peaks, key=lambda token: (-peaks[token], -strongest[token], token)))


def silent_only(  # noqa: PLR0917 - what was asked, what was read, and of whom
    candidates: WindowSample,
    activations: Activations,
    unit: UnitId,
    side: Side,
    *,
    n: int,
    at_most: float,
) -> WindowSample:
    """At most ``n`` of the candidates on which the side is silent, in the candidates' order.

    Weights are for the silent windows of the strata; those of the nearest stay as they are. A
    window, of which all activations were read, is silent where its peak is at most ``at_most``,
    model units. Units of gated MLPs activate a little nearly everywhere: a tenth of the peak,
    which prompts show as 0, leaves more windows than 0 does.
    """

    def peak(window: int) -> float:
        return float((side.sign * activations[unit.hook, unit.index, window]).max())

    silent = [one for one in candidates.sampled if peak(one.window) <= at_most]
    # Cut to the first n of a random order, every one left stands for more windows.
    share = len(silent) / max(1, min(n, len(silent)))
    stored = (
        one._replace(weight=one.weight * share) if one.stratum != NEAR else one
        for one in silent[:n]
    )
    return WindowSample(tuple(stored))


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedWindows:
    """Windows with their vectors; made once for all units."""

    windows: tuple[int, ...]
    """Ids in the corpus."""
    vectors: NDArray[np.float32]
    """Of length 1, shape (n_windows, width)."""


def embed_windows(
    encoder: SentenceEncoder, corpus: TokenCorpus, tokenizer: TextTokenizer, windows: Sequence[int]
) -> EmbeddedWindows:
    """The windows with the vectors of their texts."""
    texts = [join_tokens(tokenizer.pieces(corpus[window].token_ids)) for window in windows]
    return EmbeddedWindows(tuple(windows), encoder.embed(texts))


def near_windows(
    embedded: EmbeddedWindows, exemplars: EmbeddedWindows, n: int, *, exclude: Collection[int] = ()
) -> WindowSample:
    """The ``n`` windows most like any of the exemplars, nearest first.

    Whether the unit is silent there is not known yet: `silent_only` comes next. Nothing is left
    to chance, so a weight is 1: the windows stand for themselves alone. At least one exemplar is
    needed; exemplars and windows to exclude may be among the embedded ones.
    """
    taken = {*exclude, *exemplars.windows}
    likeness = (embedded.vectors @ exemplars.vectors.T).max(axis=1)
    order = np.lexsort((np.asarray(embedded.windows), -likeness))
    free = [embedded.windows[i] for i in order if embedded.windows[i] not in taken]
    return WindowSample(tuple(SampledWindow(window, NEAR, 1.0) for window in free[:n]))


def _shares(available: dict[str, int], n: int) -> dict[str, int]:
    """How many to take of each, as even as can be; the first ones get what is left over."""
    counts = dict.fromkeys(available, 0)
    left = n
    while left > 0:
        open_names = [name for name in available if counts[name] < available[name]]
        if not open_names:
            break
        for name in open_names[:left]:
            counts[name] += 1
        left -= min(left, len(open_names))
    return counts
