"""What a feature is: a name, what it marks, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autointerp.corpora.features.token_labels import TokenLabels
from autointerp.corpora.features.tokenized_text import TokenizedText

Labeller = Callable[[TokenizedText], TokenLabels | None]
"""The labels of a text; None where it cannot be said what they are."""


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that tokens of a text carry or do not carry, told without a person."""

    name: str
    marks: str
    """What the positive tokens are, for people."""
    hard: str
    """What the hard negatives are: tokens that are nearly positive."""
    prepare: Callable[[Sequence[TokenizedText]], Labeller]
    """Given all texts, what labels one: some features are found in the texts themselves."""
    corpus: str = "wiki"
    """Text that has both classes."""

    @classmethod
    def of(cls, name: str, marks: str, hard: str, label: Labeller, *, corpus: str) -> Feature:
        """A feature that each text tells by itself."""
        return cls(name, marks, hard, lambda _texts: label, corpus)
