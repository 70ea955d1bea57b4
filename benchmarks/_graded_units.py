"""Neurons whose activations are known everywhere, and what labels of them say."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autointerp.activations import CollectPlan, UnitReader, build_sets, collect, read_windows
from autointerp.core.config import CollectConfig, SelectConfig
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import UnitSets
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus
from autointerp.subjects import HookUnits, SubjectModel
from autointerp.subjects.hook_points import Receiver
from autointerp.subjects.tokenizer import HfTokenizer

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
Pieces = Callable[[Sequence[int]], Sequence[str]]


class LabelRule(Protocol):
    """What a label says."""

    @property
    def heights(self) -> Mapping[int, float]:
        """Vocabulary id -> height, 0..1, those first that a phrase would name."""
        ...

    @property
    def before(self) -> frozenset[int]:
        """Ids of which one should stand before; empty where it does not matter."""
        ...

    def levels(self, pieces: Pieces) -> Callable[[Sequence[str]], list[int]]:
        """Level 0..10 of each token of a text, given as strings."""
        ...


class KnownModel(SubjectModel):
    """A subject whose activations are had without a network."""

    def __init__(self, tokenizer: HfTokenizer, *, name: str, n_layers: int, gated: bool) -> None:
        weights = [torch.zeros(1)]
        cfg = SimpleNamespace(n_layers=n_layers, n_ctx=4096, gated_mlp=gated)
        bridge = SimpleNamespace(parameters=lambda: weights, cfg=cfg)
        super().__init__(bridge, tokenizer, name=name, revision=name)

    @abstractmethod
    def columns(self, tokens: Ids, hook: str) -> Floats:
        """Activations of all neurons of a hook point, shape (batch, pos, unit)."""

    def read(self, tokens: Tensor, hooks: Sequence[str], receive: Receiver) -> None:
        """Hands over the activations of all neurons."""
        for hook in hooks:
            columns = self.columns(tokens.numpy(), hook)
            receive(hook, torch.from_numpy(columns.astype(np.float32)))


@dataclass(frozen=True)
class Drawn:
    """Records of every neuron, drawn as a job draws them."""

    reader: UnitReader
    sets: list[UnitSets]

    @classmethod
    def of(
        cls,
        model: KnownModel,
        corpus: TokenCorpus,
        groups: Sequence[HookUnits],
        *,
        n_windows: int,
        seed: int,
    ) -> Drawn:
        """By a collection and a choice with this seed."""
        config = CollectConfig(seed=seed, shared_windows=200, sample_size=128)
        summary = collect(
            model, corpus, units=groups, config=config, plan=CollectPlan(token_means=True)
        )
        reader = UnitReader(summary, SelectConfig(), n_heldout=n_windows, seed=seed, corpus=corpus)
        units = [UnitId(model.name, group.hook, i) for group in groups for i in group.indices]
        sides = [reader.side(unit, two_sided=model.two_sided(unit.hook)) for unit in units]
        plans = [reader.plan(unit, side) for unit, side in zip(units, sides, strict=True)]
        read = read_windows(model, corpus, {(p.unit.hook, p.unit.index): p.windows for p in plans})
        return cls(reader, [build_sets(plan, read, corpus, model) for plan in plans])


@dataclass(frozen=True)
class GradedUnits:
    """Neurons with labels from right to wrong."""

    model: KnownModel
    groups: Sequence[HookUnits]
    qualities: tuple[str, ...]
    rules: Callable[[Drawn], list[list[LabelRule]]]
    """Of each neuron one label of each quality."""


class HeldOutText:
    """All of it: what a neuron does there, and what is said of it."""

    def __init__(self, model: KnownModel, corpus: TokenCorpus) -> None:
        ids = corpus.window_ids(Split.HELD_OUT)
        tokens, lengths = corpus.batch(ids)
        valid = np.arange(tokens.shape[1]) < lengths[:, None]
        self.windows = [model.tokenizer.pieces(corpus[i].token_ids) for i in ids]
        # The neurons of a hook point follow each other.
        self._columns = cache(lambda hook: model.columns(tokens.astype(np.int64), hook)[valid])

    def correlation(
        self, unit: UnitId, side: Side, said: Callable[[Sequence[str]], Sequence[float]]
    ) -> float:
        """Of what is said with the neuron's side; 0 where nothing is said of any of it."""
        real = np.maximum(0.0, side.sign * self._columns(unit.hook)[:, unit.index])
        levels = np.array([level for own in self.windows for level in said(own)], dtype=np.float64)
        return float(np.corrcoef(real, levels)[0, 1]) if levels.any() and real.any() else 0.0


def described(rule: LabelRule, number: int, tokenizer: HfTokenizer) -> str:
    """A phrase of the usual length; the number makes it one of a kind."""

    def quoted(ids: Sequence[int]) -> list[str]:
        return [f'"{" ".join(piece.split())}"' for piece in tokenizer.pieces(ids)]

    words = ", ".join(quoted(list(rule.heights)[:6]))
    before = " or ".join(quoted(sorted(rule.before)[:3]))
    context = f", mostly after {before}" if before else ""
    return f"the words {words} and the like{context} ({number})"
