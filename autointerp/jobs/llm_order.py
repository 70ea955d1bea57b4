"""Which units an LLM labels first, where its budget may end before the last of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from autointerp.core.config import JobSpec, LlmOrder
from autointerp.core.explanations import Label, LabelStatus
from autointerp.core.ids import UnitId
from autointerp.core.records import TokenMeans, UnitSets
from autointerp.core.seeds import derive_seed
from autointerp.jobs.unit_inputs import Target
from autointerp.scorers import Lookup, ScoringSet
from autointerp.store.label_outlines import LabelOutline
from autointerp.store.labels import LabelStore

_LAST = -2.0  # Below every correlation.


def is_by_rules_alone(label: Label | LabelOutline) -> bool:
    """Whether a label says something, or tried to, and no LLM was there to be asked."""
    said = label.status in {LabelStatus.OK, LabelStatus.NO_SIGNAL}
    llm = label.provenance.explainer_model if isinstance(label, Label) else label.explainer_model
    return said and llm is None


def has_failed(label: Label) -> bool:
    """Whether an LLM could not be had for it, be there a label by rules in its place or not."""
    return label.status is LabelStatus.FAILED or (is_by_rules_alone(label) and bool(label.failures))


def is_scored(label: Label | LabelOutline) -> bool:
    """Whether it says something that was scored."""
    explained = label.explanation is not None if isinstance(label, Label) else label.is_explained
    return label.status is LabelStatus.OK and explained


def n_finished_with_llm(store: LabelStore) -> int:
    """How many labels await no LLM any more."""
    labels = store.labels_without_trials(lambda _: None) if store.count() else ()
    return sum(not (has_failed(label) or is_by_rules_alone(label)) for label in labels)


def table_score(sets: UnitSets | None, means: TokenMeans, spec: JobSpec) -> float | None:
    """How well the token table predicts a side's validation windows; None where undefined.

    Held-out windows are not looked at: whoever chooses by them could not be judged by them.
    """
    if sets is None or not sets.validation.records:
        return None
    score = spec.score
    windows = ScoringSet.of(
        sets.validation, seed=0, n_bootstrap=score.n_bootstrap, confidence=score.confidence
    )
    return Lookup(means).value(windows)


def llm_order(
    targets: Sequence[Target],
    order: LlmOrder,
    *,
    seed: int,
    score: Callable[[Target], float | None],
) -> list[Target]:
    """The targets as the LLM gets them; those of one unit stay together.

    Of ``lookup``, a unit goes by the better of its sides; those without a score come last, and
    equal ones stay as they are.
    """
    if order == "asked":
        return list(targets)
    if order == "random":
        return sorted(targets, key=lambda target: derive_seed(seed, "llm order", str(target.unit)))
    best = _best((target.unit, score(target)) for target in targets)
    return sorted(targets, key=lambda target: -best[target.unit])


def _best(scores: Iterable[tuple[UnitId, float | None]]) -> dict[UnitId, float]:
    best: dict[UnitId, float] = {}
    for unit, score in scores:
        best[unit] = max(best.get(unit, _LAST), _LAST if score is None else score)
    return best
