"""From a summary to cases: records, hard negatives and what a unit writes, for a chunk of units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from autointerp.activations import (
    Activations,
    Summary,
    TokenIndex,
    UnitPlan,
    UnitReader,
    build_sets,
    peak_tokens,
    read_windows,
    sampled_records,
    silent_only,
)
from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.ids import Side, UnitId
from autointerp.core.probe import UnitProbe
from autointerp.core.progress import Progress
from autointerp.core.records import (
    ActivationRecord,
    ExplainSet,
    HeldOutSet,
    UnitSets,
    ValidationSet,
)
from autointerp.core.seeds import derive_seed
from autointerp.core.text import Split
from autointerp.core.variants import Need
from autointerp.corpora import TokenCorpus
from autointerp.explainers import explainers_named
from autointerp.interventions import logit_effects
from autointerp.pipeline import Case
from autointerp.store.labels import UnitStore
from autointerp.subjects import SubjectModel, select_units

_MIN_ACTIVE_WINDOWS = 2
# Of the windows that hold an exemplar's token, some turn out active: so many are read for each
# negative that is wanted.
_READ_PER_NEGATIVE = 4
_SILENT = 0.1


class Target(NamedTuple):
    """What a label is of."""

    unit: UnitId
    side: Side


@dataclass(frozen=True, slots=True)
class Written:
    """Tokens that a unit's output makes more and less probable."""

    promoted: tuple[str, ...] = ()
    suppressed: tuple[str, ...] = ()


class Cases:
    """Reads records of units, from the store where they are kept."""

    def __init__(  # noqa: PLR0913 - the parts of a job
        self,
        spec: JobSpec,
        subject: SubjectModel,
        corpus: TokenCorpus,
        reader: UnitReader,
        *,
        store: UnitStore,
        probe: UnitProbe,
        progress: Progress,
    ) -> None:
        self._spec, self._subject, self._corpus, self._reader = spec, subject, corpus, reader
        self._store, self._probe, self._progress = store, probe, progress
        self._index: TokenIndex | None = None

    def of(self, targets: Sequence[Target]) -> dict[Target, Case]:
        """One case a target; a dead one has no records."""
        sets = self._sets(targets)
        negatives = self._negatives(sets)
        written = self._written(targets)
        cases = {}
        for target in targets:
            failed = self._store.get_label(target.unit, target.side)
            cases[target] = Case(
                sets=sets[target],
                token_means=self._reader.token_means(target.unit, target.side),
                stats=self._reader.stats(target.unit, target.side),
                tokenizer=self._subject.tokenizer,
                config=self._spec.score,
                seed=self._spec.seed,
                fresh_explanations=failed is not None and failed.explanation is None,
                fresh_trials=failed is not None and failed.explanation is not None,
                negatives=negatives.get(target, ()),
                promoted=written[target].promoted,
                suppressed=written[target].suppressed,
                probe=self._probe,
            )
        return cases

    def _sets(self, targets: Sequence[Target]) -> dict[Target, UnitSets]:
        found: dict[Target, UnitSets] = {}
        plans: list[UnitPlan] = []
        for target in targets:
            kept = self._store.get_sets(target.unit, target.side)
            if kept is not None:
                found[target] = kept
            elif why_dead(self._reader, target) is not None:
                found[target] = _no_records(target)
            else:
                plans.append(self._reader.plan(target.unit, target.side))
        read = self._read({Target(plan.unit, plan.side): plan.windows for plan in plans})
        for plan in plans:
            sets = build_sets(plan, read, self._corpus, self._subject)
            self._store.put_sets(sets)
            found[Target(plan.unit, plan.side)] = sets
        return found

    def _read(self, windows: Mapping[Target, Sequence[int]]) -> Activations:
        requests: dict[tuple[str, int], tuple[int, ...]] = {}
        for (unit, _), wanted in windows.items():
            key = (unit.hook, unit.index)
            requests[key] = tuple(dict.fromkeys((*requests.get(key, ()), *wanted)))
        return read_windows(
            self._subject,
            self._corpus,
            requests,
            batch_windows=self._spec.collect.batch_windows,
            progress=self._progress,
        )

    def _negatives(
        self, sets: Mapping[Target, UnitSets]
    ) -> dict[Target, tuple[ActivationRecord, ...]]:
        """Explain windows that hold the exemplars' tokens, on which the side is silent."""
        n = self._spec.select.n_negative
        explainers = explainers_named(self._spec.explain.explainers)
        if not n or not any(Need.NEGATIVES in spec.needs for spec in explainers):
            return {}
        if self._index is None:
            self._index = TokenIndex(self._corpus, Split.EXPLAIN)
        asked = {}
        for target, own in sets.items():
            records = own.explain.activating
            if records:
                asked[target] = self._index.candidates(
                    peak_tokens(records, target.side),
                    _READ_PER_NEGATIVE * n,
                    seed=derive_seed(self._spec.seed, "negatives", *map(str, target)),
                    exclude=[record.window for record in records],
                )
        read = self._read({target: draw.windows for target, draw in asked.items()})
        found = {}
        for target, draw in asked.items():
            unit, side = target
            at_most = _SILENT * sets[target].explain.peak
            silent = silent_only(draw, read, unit, side, n=n, at_most=at_most)
            found[target] = sampled_records(silent, unit, read, self._corpus, self._subject)
        return found

    def _written(self, targets: Sequence[Target]) -> dict[Target, Written]:
        """What each unit promotes; nothing where the model's weights cannot be told apart."""
        try:
            effects = logit_effects(self._subject, select_units(unit for unit, _ in targets))
        except InputError:
            return dict.fromkeys(targets, Written())
        by_unit = {effect.unit: effect for effect in effects}
        return {target: Written(*by_unit[target.unit].of(target.side)) for target in targets}


def why_dead(reader: UnitReader, target: Target) -> str | None:
    """Why a side cannot be labelled, None where it can."""
    unit, side = target
    if reader.peak(unit, side) <= 0:
        return "it never activates on the explain text; collect more tokens to be sure"
    for split in (Split.EXPLAIN, Split.HELD_OUT):
        n_active = reader.n_active(unit, side, split)
        if n_active < _MIN_ACTIVE_WINDOWS:
            return (
                f"it activates in {n_active} {split.replace('_', '-')} windows, "
                f"{_MIN_ACTIVE_WINDOWS} are needed; collect more tokens"
            )
    return None


def reader_of(summary: Summary, spec: JobSpec, corpus: TokenCorpus) -> UnitReader:
    """Reads the summary as the job chooses windows."""
    n_top = max(spec.select.n_top, spec.explain.n_exemplars)
    return UnitReader(
        summary,
        spec.select.model_copy(update={"n_top": n_top}),
        n_validation=max(spec.score.n_rule_windows, spec.score.n_validation),
        n_heldout=max(spec.score.n_rule_windows, spec.score.n_heldout),
        seed=spec.seed,
        corpus=corpus,
    )


def _no_records(target: Target) -> UnitSets:
    unit, side = target
    return UnitSets(
        ExplainSet(unit, side, (), 0.0),
        ValidationSet(unit, side, (), (), 0.0),
        HeldOutSet(unit, side, (), (), 0.0),
    )
