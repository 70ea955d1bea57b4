"""One neuron where its MLP computes it: before the activation function, within it, and behind."""

from __future__ import annotations

from dataclasses import dataclass

from autointerp.core.ids import UnitId
from autointerp.core.one_line import brief_repr

SITES = ("hook_pre", "hook_pre_linear", "hook_mid", "hook_post")
"""What may be sites of an MLP, in the order of computation."""
MOST_VALUES = 2**28
"""Activations that are kept at a time while sites are compared: a gigabyte."""


@dataclass(frozen=True, slots=True)
class SiteText:
    """A text on which the neuron is strong at one site."""

    window: int
    tokens: tuple[str, ...]
    peak: int
    """Position of the strongest token."""
    value: float
    """Activation there, model units."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class UnitSite:
    """The neuron at one site."""

    unit: UnitId
    density: float
    """Share of tokens with an activation above 0."""
    mean: float
    largest: float
    least: float
    strongest: tuple[SiteText, ...]
    """Texts with the largest activations, each document's strongest window alone."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class SitePair:
    """The neuron at two sites, on the same tokens."""

    first: str
    """Hook point."""
    second: str
    correlation: float | None
    """None where it does not vary at one of them."""
    low: float | None
    """End of the 95 % interval over documents; None with fewer than 16 documents."""
    high: float | None
    shared: float
    """Share of the strongest windows at the first that are among as many at the second."""
    shared_by_chance: float
    """The same of windows that were drawn at random."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class UnitSites:
    """One neuron at every site of its MLP."""

    corpus: str
    n_tokens: int
    n_documents: int
    n_strongest: int
    """How many strongest windows of each site are compared."""
    sites: tuple[UnitSite, ...]
    """In the order of computation."""
    pairs: tuple[SitePair, ...]

    __repr__ = brief_repr
