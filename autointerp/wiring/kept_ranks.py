"""Ranks of a dictionary's units that are kept beside their labels, as evidence of each unit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from autointerp.core.causal_evidence import CausalEvidence, EvidenceKind
from autointerp.core.causal_request import CausalRequest
from autointerp.core.errors import InputError
from autointerp.core.explanations import Label
from autointerp.core.ids import Side, UnitId
from autointerp.core.kept_evidence import EvidenceSource, KeptEvidence, labels_digest
from autointerp.core.own_label_rank import OwnLabelRank
from autointerp.core.progress import Progress
from autointerp.dictionary import Dictionary
from autointerp.evidence.label_ranking import NOTHING
from autointerp.evidence.ranking_cost import say_ranking_cost
from autointerp.jobs.evidence_source import source_now, source_of_labels
from autointerp.jobs.keeping_evidence import answer_and_keep, kept_answer
from autointerp.jobs.ranked_labels import UNITS_AT_ONCE, labels_to_rank, rank_evidence
from autointerp.store.labels import FolderLabelStore
from autointerp.subjects import SubjectModel

Sides = Sequence[tuple[UnitId, Side]]


def own_label_evidence(  # noqa: PLR0913 - a dictionary, what is asked of it, and how
    dictionary: Dictionary,
    subject: SubjectModel,
    units: Sequence[UnitId],
    request: CausalRequest,
    *,
    keep: bool,
    progress: Progress,
) -> CausalEvidence:
    """The ranks of these units, on the text that was kept with their labels.

    Raises:
        InputError: none has a label that predicts something.
    """
    store = FolderLabelStore(dictionary.folder)
    labels, without = labels_to_rank(store, dictionary.manifest.subject, units)
    if not labels:
        raise InputError(next(iter(without.values())))
    able = [unit for unit in units if unit in labels]

    def answer(some: Sequence[UnitId]) -> CausalEvidence:
        own = {unit: labels[unit] for unit in some}
        first = [one for unit in some if unit.hook == some[0].hook for one in labels[unit]]
        say_ranking_cost(
            subject,
            first,
            n_hooks=len({unit.hook for unit in some}),
            n_labels=sum(map(len, own.values())),
            progress=progress,
        )
        return rank_evidence(subject, own, seed=request.seed, progress=progress)

    def source_of_unit(unit: UnitId) -> EvidenceSource:
        return source_of_labels(subject, [one.label for one in labels[unit]])

    if keep:
        found = answer_and_keep(store, able, request, source_of_unit, answer, at_once=UNITS_AT_ONCE)
    else:
        found = answer(able)
    if not without:
        return found
    n, first = f"{len(without)} of {len(units)} units are left out", next(iter(without.values()))
    return replace(found, notes=(*found.notes, f"{n}: {first}"))


class KeptRanks:
    """Of one dictionary and seed; what `autointerp evidence --kind rank --keep` keeps is the same.

    A unit's answer is about all its sides whose labels predict something.
    """

    def __init__(self, dictionary: Dictionary, *, seed: int) -> None:
        self._dictionary = dictionary
        self._store = FolderLabelStore(dictionary.folder)
        self._request = CausalRequest(EvidenceKind.RANK, seed=seed)

    def with_other_sides(self, chosen: Sides) -> Sides:
        """The same with the other labelled sides of these units."""
        units = {unit for unit, _ in chosen}
        return tuple((unit, side) for unit, side in self._dictionary.sides() if unit in units)

    def known(self, units: Iterable[UnitId]) -> Iterator[OwnLabelRank]:
        """What was kept of these units with the labels that they have; of all sides of each."""
        for unit in units:
            if not self._store.evidence_of(unit, lambda _: None):
                continue
            labels = self._labels(unit)
            able = [label for label in labels if _predicts(label)]
            if not able:
                continue
            found = kept_answer(self._store, unit, self._request, self._source(able))
            if found is None:
                continue
            yield from found.ranks
            for label in labels:
                if label not in able:
                    yield _without(label, found.ranks[0].n_units)

    def keep(self, ranks: Iterable[OwnLabelRank]) -> Iterator[OwnLabelRank]:
        """The same ranks, in the order of units, after those of a hook point were stored."""
        for _, of_hook in groupby(ranks, key=lambda one: one.unit.hook):
            some = list(of_hook)
            self._store.put_all_evidence(self._answers(some))
            yield from some

    def _answers(self, ranks: Sequence[OwnLabelRank]) -> Iterator[KeptEvidence]:
        for unit, own in groupby(ranks, key=lambda one: one.unit):
            told = tuple(one for one in own if one.n_windows)
            labels = [label for label in self._labels(unit) if _predicts(label)]
            if not told or len(labels) != len(told):
                continue  # What a label predicts does not fit the text, and there is no rank.
            source = self._source(labels)
            found = CausalEvidence(EvidenceKind.RANK, unit.subject, source.dtype, ranks=told)
            yield KeptEvidence(unit, self._request, found, source)

    def _labels(self, unit: UnitId) -> list[Label]:
        labels = (self._dictionary.label(unit, side) for side in Side)
        return [label for label in labels if label is not None]

    def _source(self, labels: Sequence[Label]) -> EvidenceSource:
        made = self._dictionary
        source = source_now(made.manifest.subject_revision, made.job.dtype)
        corpus = labels[0].provenance.corpus
        return replace(source, corpus=corpus, label=labels_digest(labels))


def _without(label: Label, n_units: int) -> OwnLabelRank:
    nothing = (None,) * 7
    return OwnLabelRank(label.unit, label.side, n_units, 0, 0, *nothing, reason=NOTHING)


def _predicts(label: Label) -> bool:
    result = None if label.preferred is None else label.result(label.preferred)
    return result is not None and any(trial.predicted is not None for trial in result.trials)
