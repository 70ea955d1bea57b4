"""Examples with and without a feature, what units do at them, and their split by document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.core.errors import InputError
from autointerp.statistics.probing.ranking import check_classes
from autointerp.statistics.scored_windows import Floats

Labels = NDArray[np.bool_]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledExamples:
    """Examples (tokens, or texts as a whole), whether each has the feature, and activations."""

    activations: NDArray[np.floating]
    """Shape (n_examples, n_units), model units."""
    has: Labels
    """Whether each has the feature, shape (n_examples,)."""
    documents: NDArray[np.intp]
    """Number of each one's document, any numbers, shape (n_examples,)."""
    weights: Floats
    """How many examples of the text each stands for, above 0, shape (n_examples,)."""

    def __post_init__(self) -> None:
        lengths = {len(self.activations), len(self.has), len(self.documents), len(self.weights)}
        if len(lengths) != 1:
            raise InputError(f"one entry an example is needed, found lengths {sorted(lengths)}")
        if not (np.isfinite(self.activations).all() and (self.weights > 0).all()):
            raise InputError("activations of examples must be finite and their weights above 0")

    @property
    def n_units(self) -> int:
        """Units whose activations are there."""
        return int(self.activations.shape[1])

    @property
    def base_rate(self) -> float:
        """Weighted share of examples that have the feature."""
        return float(self.weights[self.has].sum() / self.weights.sum())

    def rows(self, places: Indices | Labels) -> LabelledExamples:
        """The examples at these places."""
        return LabelledExamples(
            self.activations[places], self.has[places], self.documents[places], self.weights[places]
        )

    def columns(self, units: Sequence[int] | Indices) -> LabelledExamples:
        """The same examples with these units, 0-based, in this order."""
        own = self.activations[:, np.asarray(units, np.intp)]
        return LabelledExamples(own, self.has, self.documents, self.weights)

    def with_labels_of(self, places: Indices) -> LabelledExamples:
        """The same activations with the labels of the examples at these places.

        Weights move with the labels: an example stands for others of its class.
        """
        return LabelledExamples(
            self.activations, self.has[places], self.documents, self.weights[places]
        )


def split_examples(
    examples: LabelledExamples, *, test_share: float = 0.3, seed: int = 0
) -> tuple[LabelledExamples, LabelledExamples]:
    """Examples to fit probes on and to test them on, of different documents.

    Documents with the feature and documents without it are shared out apart, at least one of
    either to each side.

    Raises:
        InputError: one class only, or too few documents for both classes on both sides.
    """
    check_classes(int(examples.has.sum()), int((~examples.has).sum()))
    with_it = np.unique(examples.documents[examples.has])
    without = np.setdiff1d(examples.documents, with_it)
    rng = np.random.default_rng([seed, 31])
    tested = np.concatenate([_drawn(docs, test_share, rng) for docs in (with_it, without)])
    is_test = np.isin(examples.documents, tested)
    train, test = examples.rows(~is_test), examples.rows(is_test)
    for kind, classes in (("with", examples.has), ("without", ~examples.has)):
        if not (classes & is_test).any() or not (classes & ~is_test).any():
            n = len(np.unique(examples.documents[classes]))
            raise InputError(
                f"examples {kind} the feature are needed in at least 2 documents, one to fit on "
                f"and one to test on, found {n}: give more documents"
            )
    return train, test


def _drawn(documents: Indices, share: float, rng: np.random.Generator) -> Indices:
    """A share of the documents, at least one and not all of them; of one document none."""
    n = min(max(1, round(share * len(documents))), len(documents) - 1)
    return rng.permutation(documents)[: max(n, 0)]
