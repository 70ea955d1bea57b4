"""From a summary to inputs of the pipeline: records, hard negatives and promoted tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autointerp.activations import (
    Activations,
    RecordedWindows,
    Summary,
    TokenIndex,
    UnitKey,
    UnitPlan,
    UnitReader,
    WindowTexts,
    build_sets,
    opened_recording,
    peak_tokens,
    read_contexts,
    read_windows,
    read_windows_and_contexts,
    record_windows,
    recording_name,
    sampled_records,
    silent_only,
)
from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.explanations import Label, LabelStatus
from autointerp.core.ids import Side, UnitId
from autointerp.core.probe import UnitProbe
from autointerp.core.progress import Places, Progress
from autointerp.core.records import (
    ActivationRecord,
    ExplainSet,
    HeldOutSet,
    NeuronStats,
    TokenMeans,
    UnitSets,
    ValidationSet,
)
from autointerp.core.seeds import derive_seed
from autointerp.core.text import Split, TextTokenizer
from autointerp.core.unit_evidence import UnitEvidence
from autointerp.core.variants import Need
from autointerp.corpora import TokenCorpus
from autointerp.evidence import FreeEvidence, ReadUnit, SideEffects, logit_effects
from autointerp.pipeline import JobVariants, UnitInput
from autointerp.store.labels import UnitStore
from autointerp.subjects import SubjectModel, select_units

Ints = NDArray[np.int32]

_MIN_ACTIVE_WINDOWS = 2
# Of the windows that hold an exemplar's token, some turn out active: so many are read for each
# negative that is wanted.
_READ_PER_NEGATIVE = 4
_SILENT = 0.1
_MOST_TEXTS = 16_384


class Target(NamedTuple):
    """What a label is of."""

    unit: UnitId
    side: Side


@dataclass(frozen=True, slots=True)
class UnitRecords:
    """What was read of one side of one unit."""

    target: Target
    sets: UnitSets
    token_means: TokenMeans
    stats: NeuronStats
    negatives: tuple[ActivationRecord, ...] = ()
    promoted: tuple[str, ...] = ()
    """Tokens that the side makes more probable, strongest first."""
    suppressed: tuple[str, ...] = ()
    promoted_values: tuple[float, ...] = ()
    """What the side adds to the logit of each, as in `Label`."""
    suppressed_values: tuple[float, ...] = ()
    evidence: UnitEvidence | None = None
    """What is known of the side beside what its label will say."""
    dead: str | None = None
    """Why it cannot be labelled; None where it can."""

    def to_input(
        self,
        spec: JobSpec,
        tokenizer: TextTokenizer,
        *,
        failed: Label | None,
        probe: UnitProbe | None,
    ) -> UnitInput:
        """Ready to be labelled; where an earlier try failed, the LLM is asked anew."""
        return UnitInput(
            sets=self.sets,
            token_means=self.token_means,
            stats=self.stats,
            tokenizer=tokenizer,
            config=spec.score,
            seed=spec.seed,
            describe=spec.explain.description,
            fresh_explanations=failed is not None
            and (failed.explanation is None or failed.status is not LabelStatus.FAILED),
            fresh_scorers=frozenset() if failed is None else _asked_anew(failed, spec),
            negatives=self.negatives,
            promoted=self.promoted,
            suppressed=self.suppressed,
            promoted_values=self.promoted_values,
            suppressed_values=self.suppressed_values,
            evidence=self.evidence,
            probe=probe,
        )


class RecordsReader:
    """Reads the records of units; from a store, where it has them."""

    def __init__(  # noqa: PLR0913 - the parts of a job
        self,
        spec: JobSpec,
        subject: SubjectModel,
        corpus: TokenCorpus,
        reader: UnitReader,
        *,
        store: UnitStore | None,
        progress: Progress,
    ) -> None:
        self._spec, self._subject, self._corpus, self._reader = spec, subject, corpus, reader
        self._store, self._progress = store, progress
        self._evidence = FreeEvidence(subject)
        self._index: TokenIndex | None = None
        self._recorded: RecordedWindows | None = None
        self._texts: WindowTexts = {}

    def record(self, targets: Sequence[Target], *, folder: Path | None = None) -> None:
        """Reads the windows of all these in one pass, for `read` of any of them afterwards.

        Into the folder, where an interrupted pass goes on; into memory without one.
        """
        if reads_inputs(self._spec):
            return  # What units read is let go of chunk by chunk.
        living = [target for target in targets if why_dead(self._reader, target) is None]
        options: dict[str, Any] = {
            "batch_windows": self._spec.collect.batch_windows,
            "progress": self._progress,
        }
        subject, corpus = self._subject, self._corpus
        if folder is not None:
            self._recorded = opened_recording(subject, corpus, folder, self.name, **options)
        if self._recorded is not None and all(map(self._has_recorded, living)):
            return
        wanted = self.wanted(targets)
        self._recorded = record_windows(
            subject, corpus, wanted, folder=folder, name=self.name, **options
        )

    @property
    def name(self) -> str:
        """Of what the job's units do on their windows; another where any of that differs."""
        return recording_name(self._reader.identity, self._corpus.hash, self._spec.digest)

    def wanted(self, targets: Sequence[Target]) -> dict[UnitKey, Ints]:
        """The windows of every unit that is not dead."""
        living = [target for target in targets if why_dead(self._reader, target) is None]
        self._progress.start("choose windows", len(living), "units")
        windows, places = (
            {},
            Places(self._progress, "choose windows", (t.unit.hook for t in living)),
        )
        for target in living:
            places.show([target.unit.hook])
            windows[target] = np.array(self._reader.plan(*target).windows, dtype=np.int32)
            self._progress.advance("choose windows", 1)
        return _requests(windows)

    def use(self, recorded: RecordedWindows) -> None:
        """Has `read` take from it what it holds."""
        self._recorded = recorded

    def _has_recorded(self, target: Target, windows: Sequence[int] = ()) -> bool:
        unit = target.unit
        recorded = self._recorded
        return recorded is not None and recorded.has((unit.hook, unit.index), windows)

    def read(self, targets: Sequence[Target]) -> tuple[UnitRecords, ...]:
        """Those of each target; a dead one has none."""
        sets = self._with_contexts(self._sets(targets))
        negatives = self._negatives(sets)
        effects = self._token_effects(targets)
        read = {
            target: ReadUnit(
                sets[target], self._reader.token_means(*target), self._reader.stats(*target)
            )
            for target in targets
        }
        evidence = self._evidence.of(read)
        return tuple(
            UnitRecords(
                target=target,
                **read[target]._asdict(),
                negatives=negatives.get(target, ()),
                **effects[target]._asdict(),
                evidence=evidence.get(target),
                dead=why_dead(self._reader, target),
            )
            for target in targets
        )

    def _sets(self, targets: Sequence[Target]) -> dict[Target, UnitSets]:
        result: dict[Target, UnitSets] = {}
        plans: list[UnitPlan] = []
        for target in targets:
            stored = self._store.get_sets(target.unit, target.side) if self._store else None
            if stored is not None:
                result[target] = stored
            elif why_dead(self._reader, target) is not None:
                result[target] = _no_records(target)
            else:
                plans.append(self._reader.plan(target.unit, target.side))
        for plan, sets in self._read_sets(plans):
            if self._store is not None:
                self._store.put_sets(sets)
            result[Target(plan.unit, plan.side)] = sets
        return result

    def _read_sets(self, plans: Sequence[UnitPlan]) -> Iterator[tuple[UnitPlan, UnitSets]]:
        """The sets of each plan, with what the units read where an explainer compares it."""
        texts = self._texts
        if len(texts) > _MOST_TEXTS:
            texts.clear()
        if not reads_inputs(self._spec):
            windows = {Target(p.unit, p.side): p.windows for p in plans}
            is_there = all(self._has_recorded(*asked) for asked in windows.items())
            chosen: Activations = (
                self._recorded if is_there and self._recorded else self._recorded_now(windows)
            )
            for plan in plans:
                yield plan, build_sets(plan, chosen, self._corpus, self._subject, texts)
            return
        samples = {(p.unit, p.side): self._reader.contexts(p.unit, p.side) for p in plans}
        peaks = {(p.unit, p.side): p.peak for p in plans}
        read, contexts = read_windows_and_contexts(
            self._subject,
            self._corpus,
            _requests({Target(plan.unit, plan.side): plan.windows for plan in plans}),
            samples,
            peaks=peaks,
            batch_windows=self._spec.collect.batch_windows,
            progress=self._progress,
        )
        for plan in plans:
            sets = build_sets(plan, read, self._corpus, self._subject, texts)
            own = contexts.get((plan.unit, plan.side))
            yield plan, replace(sets, explain=replace(sets.explain, contexts=own))

    def _with_contexts(self, sets: Mapping[Target, UnitSets]) -> Mapping[Target, UnitSets]:
        """The same, also where they were stored for explainers that do not compare it."""
        lacking = [
            target
            for target, own in sets.items()
            if own.explain.records and own.explain.contexts is None
        ]
        if not lacking or not reads_inputs(self._spec):
            return sets
        read = read_contexts(
            self._subject,
            self._corpus,
            {target: self._reader.contexts(*target) for target in lacking},
            peaks={target: sets[target].explain.peak for target in lacking},
            batch_windows=self._spec.collect.batch_windows,
            progress=self._progress,
        )
        result = dict(sets)
        for target in lacking:
            explain = replace(sets[target].explain, contexts=read[target])
            result[target] = replace(sets[target], explain=explain)
            if self._store is not None:
                self._store.put_sets(result[target])
        return result

    def _recorded_now(self, windows: Mapping[Target, Sequence[int]]) -> RecordedWindows:
        return record_windows(
            self._subject,
            self._corpus,
            _requests(windows),
            batch_windows=self._spec.collect.batch_windows,
            progress=self._progress,
        )

    def _read(self, windows: Mapping[Target, Sequence[int]]) -> Activations:
        return read_windows(
            self._subject,
            self._corpus,
            _requests(windows),
            batch_windows=self._spec.collect.batch_windows,
            progress=self._progress,
        )

    def _negatives(
        self, sets: Mapping[Target, UnitSets]
    ) -> dict[Target, tuple[ActivationRecord, ...]]:
        """Explain windows that hold the exemplars' tokens, on which the side is silent."""
        n = self._spec.select.n_negative
        if not n or not _is_needed(Need.NEGATIVES, self._spec):
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
        read = self._read({target: sample.windows for target, sample in asked.items()})
        result = {}
        for target, sample in asked.items():
            at_most = _SILENT * sets[target].explain.peak
            silent = silent_only(sample, read, *target, n=n, at_most=at_most)
            result[target] = sampled_records(silent, target.unit, read, self._corpus, self._subject)
        return result

    def _token_effects(self, targets: Sequence[Target]) -> dict[Target, SideEffects]:
        """What each side promotes and suppresses; nothing where the weights do not tell."""
        try:
            effects = logit_effects(self._subject, select_units(unit for unit, _ in targets))
        except InputError:
            return dict.fromkeys(targets, SideEffects((), (), (), ()))
        by_unit = {effect.unit: effect for effect in effects}
        return {target: by_unit[target.unit].of(target.side) for target in targets}


def _asked_anew(failed: Label, spec: JobSpec) -> frozenset[str]:
    """The scorers whose replies could not be used."""
    if failed.status is LabelStatus.FAILED:
        return frozenset(one.scorer for one in failed.results if one.failure is not None)
    # A label by rules that stands in for it does not say what of it failed.
    variants = JobVariants.of(spec)
    return frozenset(one.name for one in (variants.predictor, *variants.further) if one)


def reads_inputs(spec: JobSpec) -> bool:
    """Whether an explainer of the job compares what units read, so that no windows are shared."""
    return _is_needed(Need.INPUTS, spec)


def _is_needed(need: Need, spec: JobSpec) -> bool:
    return any(need in explainer.needs for explainer in JobVariants.of(spec).explainers)


def _requests(windows: Mapping[Target, Sequence[int] | Ints]) -> dict[UnitKey, Ints]:
    """The windows of each unit, whichever of its sides asks for them."""
    result: dict[UnitKey, Ints] = {}
    for (unit, _), wanted in windows.items():
        key = (unit.hook, unit.index)
        both = np.concatenate([result.get(key, []), wanted]).astype(np.int32)
        result[key] = np.unique(both)
    return result


NEVER_ACTIVE = "it never activates on the explain text; collect more tokens to be sure"


def why_dead(reader: UnitReader, target: Target) -> str | None:
    """Why a side cannot be labelled; None where it can."""
    unit, side = target
    if reader.peak(unit, side) <= 0:
        return NEVER_ACTIVE
    for split in (Split.EXPLAIN, Split.HELD_OUT):
        n_active = reader.n_active(unit, side, split)
        if n_active < _MIN_ACTIVE_WINDOWS:
            return (
                f"it activates in {n_active} {split.replace('_', '-')} windows, "
                f"{_MIN_ACTIVE_WINDOWS} are needed; collect more tokens"
            )
    return None


def unit_reader(
    summary: Summary, spec: JobSpec, corpus: TokenCorpus, kind: type[UnitReader] = UnitReader
) -> UnitReader:
    """Reads the summary with the windows that the job and the kind choose."""
    n_top = max(spec.select.n_top, spec.explain.n_exemplars)
    return kind(
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
