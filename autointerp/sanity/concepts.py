"""A label of a unit that is right by construction, and the same label damaged.

Source: Oikarinen et al. 2025, "Evaluating neuron explanations: a unified framework with sanity
checks", section 4.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from autointerp.core.records import TokenMeans

Marks = NDArray[np.bool_]

# A mean over few occurrences is drawn towards the overall mean as if by so many more.
_PRIOR_COUNT = 4.0
# Damage that adds as many tokens again must find them.
_LARGEST = 0.25
_ROUNDING = 1e-6


class Damage(StrEnum):
    """What is done to a label that a score must notice."""

    REMOVED = "removed"
    """Half of the positives are gone."""
    ADDED = "added"
    """As many other tokens, chosen at random, are positive too."""


def concept_tokens(means: TokenMeans, share: float | None = None) -> tuple[int, ...]:
    """The token types on which a unit is most active, by falling mean over explain text.

    They end where the label correlates most with the activations on explain text, as the paper
    takes the concept that fits a unit best; or where they are a given share of its tokens. Types
    on which the unit is no more active than on average are never taken.

    Args:
        means: the unit's token lookup table, fitted on explain text.
        share: of the explain tokens, 0..1; the type that reaches it is the last. None takes the
            label that fits best, which is at most a quarter of them.
    """
    counts, overall = means.counts, means.overall
    gains = {
        token: counts[token] * (mean - overall) / (counts[token] + _PRIOR_COUNT)
        for token, mean in means.means.items()
    }
    order = [t for t in sorted(gains, key=lambda t: (-gains[t], t)) if gains[t] > 0]
    if not order:
        return ()
    n_total = sum(counts.values())
    n_so_far = np.cumsum([counts[token] for token in order])
    if share is not None:
        n_types = int(np.searchsorted(n_so_far, share * n_total - _ROUNDING)) + 1
    else:
        gained = np.cumsum([counts[token] * gains[token] for token in order])
        fit = gained / np.sqrt(n_so_far * np.maximum(n_total - n_so_far, 1))
        n_types = int(np.where(n_so_far <= _LARGEST * n_total, fit, -1.0).argmax()) + 1
    return tuple(order[:n_types])


def mark(tokens: NDArray[np.int32], types: tuple[int, ...]) -> Marks:
    """Where the tokens are of those types; the same shape."""
    return np.isin(tokens, np.array(types, dtype=tokens.dtype))


def damaged(marks: Marks, damage: Damage, *, seed: int) -> Marks:
    """The label with half of its positives removed, or as many random negatives added.

    By occurrence, each as likely as every other, over all the text that is given.
    """
    generator = np.random.default_rng(seed)
    positives, negatives = np.flatnonzero(marks), np.flatnonzero(~marks)
    changed = marks.copy()
    if damage is Damage.REMOVED:
        changed[generator.choice(positives, len(positives) // 2, replace=False)] = False
    else:
        n = min(len(positives), len(negatives))
        changed[generator.choice(negatives, n, replace=False)] = True
    return changed
