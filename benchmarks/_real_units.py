"""Neurons of SmolLM2-135M on real text, with labels made of token lookup tables.

The tables are of explain text. The best label has the sixty tokens that tell most of a neuron and
the bigrams that the product would name; lesser ones have a part of them, or other tokens too. A
neuron's activations are kept in a file, since a pass over the text takes minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from _graded_units import Drawn, Floats, GradedUnits, Ids, KnownModel, LabelRule, Pieces
from numpy.typing import NDArray
from torch import Tensor

from autointerp.core.records import TokenMeans, UnitSets
from autointerp.corpora import TokenCorpus
from autointerp.explainers import ExplainInputs
from autointerp.explainers.token_lookup import find_rules, telling_tokens
from autointerp.subjects import HookUnits, load_subject, parse_units
from autointerp.subjects.tokenizer import HfTokenizer

SUBJECT, SPEC = "smollm2-135m", "random:320@0,7,14,21,29"
QUALITIES = ("all it tells", "60 %", "30 %", "30 % and others", "another neuron's")
_N_TELLING, _OTHERS, _N_LAYERS = 60, 0.6, 30
_BATCH = 32


@dataclass(frozen=True)
class LookupRule:
    """Heights of tokens, and of tokens behind another where they differ."""

    heights: Mapping[int, float]
    """Vocabulary id -> height, 0..1, the most telling first."""
    pairs: Mapping[tuple[int, int], float]
    """(id before, id) -> height."""

    @property
    def before(self) -> frozenset[int]:
        """First ids of the pairs."""
        return frozenset(first for first, _ in self.pairs)

    def levels(self, pieces: Pieces) -> Callable[[Sequence[str]], list[int]]:
        """Level 0..10 of each token of a text, given as strings."""
        tens = {pieces([t])[0]: max(1, round(10 * h)) for t, h in self.heights.items()}
        behind = {tuple(pieces(p)): max(1, round(10 * h)) for p, h in self.pairs.items()}

        def rule(tokens: Sequence[str]) -> list[int]:
            alone = [tens.get(token, 0) for token in tokens]
            if not behind:
                return alone
            pairs = zip(["", *tokens[:-1]], tokens, strict=True)
            return [behind.get(pair, k) for pair, k in zip(pairs, alone, strict=True)]

        return rule


class StoredModel(KnownModel):
    """SmolLM2 as it was once run over the corpus; units are numbered by their place in the file."""

    def __init__(
        self,
        tokenizer: HfTokenizer,
        corpus: TokenCorpus,
        stored: Mapping[str, NDArray[np.float32]],
    ) -> None:
        super().__init__(tokenizer, name=SUBJECT, n_layers=_N_LAYERS, gated=True)
        self._stored, self._n_ctx = stored, corpus.n_ctx
        tokens, _ = corpus.batch(range(len(corpus)))
        self._row_of = {self._key(row): i for i, row in enumerate(tokens.astype(np.int64))}

    def width(self, hook: str) -> int:
        """Number of neurons."""
        return int(self._stored[hook].shape[-1])

    def columns(self, tokens: Ids, hook: str) -> Floats:
        """Activations of all neurons; the text has to be of the corpus."""
        rows = [self._row_of[self._key(row)] for row in tokens]
        return self._stored[hook][rows, : tokens.shape[1]].astype(np.float64)

    def _key(self, row: Ids) -> bytes:
        return np.pad(row, (0, self._n_ctx - len(row))).tobytes()


def real_units(corpus: TokenCorpus, tokenizer: HfTokenizer, n: int, *, folder: Path) -> GradedUnits:
    """So many neurons, evenly over the layers and those of `SPEC`, with their labels.

    Args:
        corpus: that they were run over, or are now.
        tokenizer: of the subject.
        n: neurons.
        folder: where the activations of all neurons of `SPEC` are kept.
    """
    path = folder / f"smollm2-135m-{len(corpus)}x{corpus.n_ctx}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, allow_pickle=False, tokens=corpus.tokens, **_run(corpus))
    stored = {}
    with np.load(path) as file:
        assert np.array_equal(file["tokens"], corpus.tokens), f"{path} is of another text"
        hooks = [name for name in file.files if name.startswith("blocks.")]
        for hook in hooks:
            every = file[hook]
            stored[hook] = every[
                :, :, np.linspace(0, every.shape[-1], n // len(hooks), False, dtype=int)
            ]
    model = StoredModel(tokenizer, corpus, stored)
    groups = [HookUnits(hook, tuple(range(model.width(hook)))) for hook in hooks]
    return GradedUnits(model, groups, QUALITIES, lambda drawn: _rules(drawn, corpus, tokenizer))


def _run(corpus: TokenCorpus) -> dict[str, NDArray[np.float32]]:
    subject = load_subject(SUBJECT)
    chosen = {group.hook: list(group.indices) for group in parse_units(SPEC, subject)}
    stored = {
        hook: np.zeros((len(corpus), corpus.n_ctx, len(units)), np.float32)
        for hook, units in chosen.items()
    }
    for first in range(0, len(corpus), _BATCH):
        ids = range(first, min(first + _BATCH, len(corpus)))
        tokens, _ = corpus.batch(ids)

        def receive(hook: str, activations: Tensor, ids: range = ids) -> None:
            values = activations[:, :, chosen[hook]].to(torch.float32).cpu().numpy()
            stored[hook][ids.start : ids.stop, : values.shape[1]] = values

        subject.read(torch.from_numpy(tokens.astype(np.int64)), list(chosen), receive)
    return stored


def _rules(drawn: Drawn, corpus: TokenCorpus, tokenizer: HfTokenizer) -> list[list[LabelRule]]:
    tables = [drawn.reader.token_means(s.held_out.unit, s.held_out.side) for s in drawn.sets]
    whole = [_whole(own, table, tokenizer) for own, table in zip(drawn.sets, tables, strict=True)]
    counts = np.bincount(corpus.tokens)
    found: list[list[LabelRule]] = []
    for i, rule in enumerate(whole):
        rng = np.random.default_rng([0, i])
        few = _part(rule, 0.3, rng)
        another = whole[(i + len(whole) // 2) % len(whole)]
        found.append([rule, _part(rule, 0.6, rng), few, _with_others(few, counts, rng), another])
    return found


def _whole(own: UnitSets, means: TokenMeans, tokenizer: HfTokenizer) -> LookupRule:
    telling = telling_tokens(means)[:_N_TELLING]
    # A token's only occurrence may be the neuron's peak, beside which all others were level 1.
    drawn_in = {
        t: (means.counts[t] * means.means[t] + means.overall) / (means.counts[t] + 1)
        for t in telling
    }
    inputs = ExplainInputs(own.explain, means, tokenizer)
    pairs = {rule.tokens: rule.activation for rule in find_rules(inputs) if len(rule.tokens) == 2}
    top = max([*drawn_in.values(), *pairs.values()])
    return LookupRule(
        {t: a / top for t, a in drawn_in.items()},
        {(first, t): a / top for (first, t), a in pairs.items()},
    )


def _part(rule: LookupRule, share: float, rng: np.random.Generator) -> LookupRule:
    """A share of its tokens and pairs, chosen at random, at least one of the tokens."""
    tokens, pairs = list(rule.heights), list(rule.pairs)
    kept = np.flatnonzero(rng.random(len(tokens)) < share)
    some = [tokens[i] for i in (kept if len(kept) else [0])]
    few = [pair for pair in pairs if rng.random() < share]
    return LookupRule({t: rule.heights[t] for t in some}, {p: rule.pairs[p] for p in few})


def _with_others(rule: LookupRule, counts: Ids, rng: np.random.Generator) -> LookupRule:
    """With other tokens that are together as frequent as its own."""
    mass = int(counts[list(rule.heights)].sum())
    pool = np.flatnonzero((counts >= 15) & (counts <= max(60, mass)))
    rng.shuffle(pool)
    added = pool[: int(np.searchsorted(np.cumsum(counts[pool]), mass)) + 1].tolist()
    return LookupRule({**dict.fromkeys(added, _OTHERS), **rule.heights}, rule.pairs)
