"""Labelled tokens drawn from a text, and what units do at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.seeds import derive_seed
from autointerp.corpora import TokenCorpus
from autointerp.corpora.features import HARD, NEGATIVE, POSITIVE, LabelledCorpus
from autointerp.subjects import SubjectModel


@dataclass(frozen=True, slots=True, eq=False)
class TokenSample:
    """Some labelled tokens of a corpus, in its order."""

    places: NDArray[np.int64]
    """Of each in the corpus' tokens, ascending, shape (n_examples,)."""
    has: NDArray[np.bool_]
    """Whether each carries the feature."""
    documents: NDArray[np.int64]
    """Position in the corpus' documents of each one's document."""
    weights: NDArray[np.float64]
    """How many tokens of its class each stands for."""


def draw_tokens(labelled: LabelledCorpus, windows: range, *, n_each: int, seed: int) -> TokenSample:
    """At most so many positives, and as many negatives, of which half are hard ones.

    Where there are fewer hard negatives, others take their place. Each token of a class is as
    likely as any other.
    """
    corpus, rng = labelled.corpus, np.random.default_rng(derive_seed(seed, "tokens", windows.start))
    first, classes = int(corpus.starts[windows.start]), labelled.classes_of(windows)
    there = {value: np.flatnonzero(classes == value) for value in (POSITIVE, NEGATIVE, HARD)}
    n = {POSITIVE: min(n_each, len(there[POSITIVE]))}
    # Few positives are no reason for few negatives: a false alarm is told by these.
    n[HARD] = min(n_each // 2, len(there[HARD]))
    n[NEGATIVE] = min(n_each - n[HARD], len(there[NEGATIVE]))
    chosen, weights = [], []
    for value, places in there.items():
        if n[value]:
            chosen.append(rng.choice(places, n[value], replace=False))
            weights.append(np.full(n[value], len(places) / n[value]))
    places, order = np.concatenate(chosen), np.argsort(np.concatenate(chosen))
    places = places[order]
    of_window = np.searchsorted(corpus.starts, places + first, side="right") - 1
    return TokenSample(
        places + first,
        classes[places] == POSITIVE,
        corpus.document_of[of_window].astype(np.int64),
        np.concatenate(weights)[order],
    )


def read_tokens(
    subject: SubjectModel,
    corpus: TokenCorpus,
    places: NDArray[np.int64],
    units: Mapping[str, Sequence[int]],
    *,
    batch_windows: int = 32,
    progress: Progress | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Activations at some tokens of a corpus, shape (n_places, n_units), by hook point.

    Only windows that hold one of the tokens are read.

    Args:
        subject: the model.
        corpus: the text.
        places: positions in its tokens, ascending.
        units: indices by hook point, in the order of the columns.
        batch_windows: windows at a time.
        progress: told how many windows are read.
    """
    progress = progress or SilentProgress()
    of_place = np.searchsorted(corpus.starts, places, side="right") - 1
    windows = np.unique(of_place)
    result = {h: np.empty((len(places), len(own)), np.float32) for h, own in units.items()}
    columns = {h: torch.tensor(own, device=subject.device) for h, own in units.items()}
    progress.start("record", len(windows), "windows")
    for first in range(0, len(windows), batch_windows):
        ids = windows[first : first + batch_windows]
        tokens, lengths = corpus.batch(ids.tolist())
        here = np.flatnonzero(np.isin(of_place, ids))
        rows = torch.from_numpy(np.searchsorted(ids, of_place[here])).to(subject.device)
        inside = places[here] - corpus.starts[of_place[here]]
        positions = torch.from_numpy(inside).to(subject.device)

        def keep(
            hook: str,
            acts: Float[Tensor, "batch pos unit"],
            here: NDArray[np.int64] = here,
            rows: Tensor = rows,
            positions: Tensor = positions,
        ) -> None:
            chosen = acts[rows, positions].index_select(1, columns[hook])
            result[hook][here] = chosen.to(torch.float32).cpu().numpy()

        text = torch.from_numpy(tokens[:, : int(lengths.max())].astype(np.int64))
        subject.read(text, list(units), keep)
        progress.advance("record", len(ids))
    return result
