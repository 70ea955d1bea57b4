"""Recall: how often a unit's own label is among those that fit its held-out text best.

No LLM is asked: how well a label fits a text is the cosine of their embeddings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.core.explanations import Label
from autointerp.core.ids import Side
from autointerp.core.records import ActivationRecord
from autointerp.core.scores import Score
from autointerp.explainers.excerpts import Extent, cut_around
from autointerp.scorers.scorer_spec import TextEmbedder
from autointerp.statistics.classification import share_score

FIRST = (1, 5)
"""Among how many labels the unit's own is looked for."""
N_TEXTS = 10
_SHOWN = Extent(N_TEXTS, 16, 8)
_EQUAL = 1e-5

_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LabelledTexts:
    """One labelled side of a unit: what is said of it, and where it is active."""

    explanations: Mapping[str, str]
    """By whose words they are: ``label``, ``LLM`` or ``rules``."""
    scores: Mapping[str, float | None]
    """Population score of each explanation."""
    texts: tuple[str, ...]
    """Held-out excerpts around its strongest peaks; empty where it is active in none."""


@dataclass(frozen=True, slots=True)
class LabelRecall:
    """Recall of the labels of one kind."""

    kind: str
    """Whose words they are."""
    median_score: float | None
    """Of their population scores: the headline, beside which recall stands."""
    recall: tuple[Score, ...]
    """``recall_at_1`` and ``recall_at_5`` with Wilson intervals; `n_windows` counts sides."""
    n_left_out: int
    """Labelled sides that are active in no held-out record, or that nothing is said of."""

    def chance(self, score: Score) -> float | None:
        """What labels dealt out at random would come to."""
        k = FIRST[self.recall.index(score)]
        return None if score.value is None else k / score.n_windows


def labelled_texts(label: Label, held_out: Sequence[ActivationRecord]) -> LabelledTexts:
    """What recall needs of a label and its held-out records."""
    scored = {"LLM": label.llm, "rules": label.rules}
    kinds = {kind: one.explanation for kind, one in scored.items() if one is not None}
    if label.explanation is not None:
        kinds = {"label": label.explanation, **kinds}
    scores = {kind: label.score_of(one).value for kind, one in scored.items() if one is not None}
    return LabelledTexts(
        {kind: explanation.text for kind, explanation in kinds.items()},
        {"label": label.headline.value, **scores},
        tuple(_strongest(held_out, label.side)),
    )


def label_recall(sides: Sequence[LabelledTexts], embedder: TextEmbedder) -> tuple[LabelRecall, ...]:
    """Recall of the labels, then of the LLM's words and of the rules alone where both exist.

    How well a label fits a side is its mean cosine with the side's texts. A label that fits as
    well as the side's own counts against it, so labels of the same words tell no units apart.
    """
    vectors = _Vectors(embedder)
    known = {kind for side in sides for kind in side.explanations}
    kinds = ("label", "LLM", "rules") if {"LLM", "rules"} <= known else ("label",)
    return tuple(_recall_of(kind, sides, vectors) for kind in kinds)


def _recall_of(kind: str, sides: Sequence[LabelledTexts], vectors: _Vectors) -> LabelRecall:
    used = [side for side in sides if side.texts and kind in side.explanations]
    ranks = _ranks([side.texts for side in used], [s.explanations[kind] for s in used], vectors)
    known = [score for side in used if (score := side.scores.get(kind)) is not None]
    return LabelRecall(
        kind,
        float(np.median(known)) if known else None,
        tuple(_at(k, ranks) for k in FIRST),
        len(sides) - len(used),
    )


def _at(k: int, ranks: Sequence[int]) -> Score:
    name, n = f"recall_at_{k}", len(ranks)
    if n <= k:
        reason = f"needs more than {k} labelled units with held-out text, found {n}"
        return Score.undefined(name, reason, n_windows=n)
    return share_score(name, sum(rank < k for rank in ranks), n, confidence=0.95)


def _ranks(texts: Sequence[tuple[str, ...]], labels: Sequence[str], vectors: _Vectors) -> list[int]:
    """How many other labels fit each side at least as well as its own, which has the same place."""
    if not labels:
        return []
    known = vectors.of(labels)
    ranks = []
    for place, own in enumerate(texts):
        fits = known @ vectors.of(own).mean(axis=0)
        ranks.append(int((fits >= fits[place] - _EQUAL).sum()) - 1)
    return ranks


class _Vectors:
    """Embeds every text once; vectors of length 1, and of zeros where a text has no direction."""

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder = embedder
        self._known: dict[str, _Floats] = {}

    def of(self, texts: Sequence[str]) -> _Floats:
        """One row a text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        for text, vector in zip(new, self._embedder.embed(new), strict=True):
            row = np.nan_to_num(np.asarray(list(vector), dtype=np.float32))
            self._known[text] = row / (float(np.linalg.norm(row)) or 1.0)
        return np.stack([self._known[text] for text in texts])


def _strongest(records: Sequence[ActivationRecord], side: Side) -> Iterator[str]:
    active = [record for record in records if record.peak(side) > 0]
    for record in sorted(active, key=lambda record: -record.peak(side))[:N_TEXTS]:
        values = record.side(side)
        place = max(range(len(values)), key=values.__getitem__)
        yield "".join(cut_around(record.tokens, values, place, _SHOWN)[0])
