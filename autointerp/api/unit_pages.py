"""A unit's labels and records, from the store to what travels."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import groupby
from typing import Any

from pydantic_core import to_json

from autointerp.api.label_indexes import LabelIndexes
from autointerp.api.problems import Problem
from autointerp.api.schemas.explanation_schemas import ScorerOut
from autointerp.api.tagged_body import TaggedBody
from autointerp.core.errors import AutointerpError, InputError
from autointerp.core.explanations import Label
from autointerp.core.ids import HookPoint, Side, UnitId
from autointerp.core.records import ActivationRecord, UnitSets, band_order
from autointerp.core.scores import ScorerResult
from autointerp.core.unit_kinds import kinds_of
from autointerp.core.unreadable import OnUnreadable, if_readable
from autointerp.store.label_records import LabelRecords, label_records
from autointerp.store.labels import LabelStore, LoadSides

_MODEL = re.compile(r"[^/\x00-\x1f\x7f\\]{1,200}")
_MOST = 10**9
_KEPT_BYTES = 1 << 26
_OF_LABEL = tuple(f.name for f in fields(Label) if f.name not in {"unit", "results", "receipts"})

Plain = dict[str, Any]


def unit_of(model: str, hook: str, index: int) -> UnitId:
    """The unit of a path.

    Raises:
        Problem: 404 where there can be no such unit.
    """
    try:
        name = HookPoint(hook).name
    except InputError as error:
        raise Problem(404, "unit_unknown", str(error)) from error
    if not _MODEL.fullmatch(model) or not 0 <= index <= _MOST or len(name) > 200:
        raise Problem(404, "unit_unknown", "there is no such unit")
    return UnitId(model, name, index)


def labels_of(
    load: LoadSides, unit: UnitId, unreadable: list[AutointerpError]
) -> tuple[Label, ...]:
    """Its labels that can be read, positive side first.

    Raises:
        Problem: 404 where it has none.
        AutointerpError: it has some, none of which can be read.
    """
    labels = load(unreadable.append)
    if labels:
        return labels
    if unreadable:
        raise unreadable[0]
    raise Problem(404, "label_unknown", f"there is no label of {unit}; a job can make one")


def records_of(store: LabelStore, label: Label, on_unreadable: OnUnreadable) -> LabelRecords | None:
    """What the explainer read and the scorer judged, or None where it was not kept."""
    sets = _sets_of(store, label, on_unreadable)
    return None if sets is None else label_records(label, sets)


def _sets_of(store: LabelStore, label: Label, on_unreadable: OnUnreadable) -> UnitSets | None:
    """The records behind a label, or None where they were not kept."""
    return if_readable(partial(store.get_sets, label.unit, label.side, label.origin), on_unreadable)


@dataclass(frozen=True, slots=True)
class UnitPageReader:
    """Reads the labels of several units of a model at once."""

    indexes: LabelIndexes
    pages: UnitPages
    model: str
    has_kept: bool
    """Whether labels of the model may be kept beside newer ones."""

    def __call__(self, units: Sequence[UnitId]) -> list[Callable[..., TaggedBody]]:
        """What gives the page of each of them: `UnitPages.page`, which takes ``trials``."""
        store = self.indexes.store(self.model)
        result = zip(units, store.sides_of(units), strict=True)
        page = partial(self.pages.page, store, has_kept=self.has_kept)
        return [partial(page, unit, sides) for unit, sides in result]


class UnitPages:
    """Pages of units, kept until a label or records of theirs change; many threads may ask."""

    def __init__(self, *, most_bytes: int = _KEPT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._n_bytes = 0
        self._kept: OrderedDict[tuple[UnitId, bool], tuple[Hashable, TaggedBody]] = OrderedDict()
        self._lock = threading.Lock()

    def page(
        self, store: LabelStore, unit: UnitId, sides: LoadSides, *, trials: bool, has_kept: bool
    ) -> TaggedBody:
        """Everything about a unit, as the JSON of a `UnitPage`.

        `has_kept` is whether the store may keep labels beside newer ones, which are named then.

        Raises:
            Problem: 404 where it has none.
            AutointerpError: it has some, none of which can be read.
        """
        key = (unit, trials)
        # Before it is read: what changes in between has another stamp the next time.
        stamp = store.stamp(unit)
        with self._lock:
            known = self._kept.get(key)
            if known is not None and known[0] == stamp is not None:
                self._kept.move_to_end(key)
                return known[1]
        unreadable: list[AutointerpError] = []
        with store.reading():
            labels = labels_of(partial(sides, with_trials=trials), unit, unreadable)
            others = store.kept_of(unit, unreadable.append) if has_kept else ()
            sets = [_sets_of(store, label, unreadable.append) for label in labels]
            if not trials and any(own is not None for own in sets):
                # What was predicted is shown beside the records.
                labels = _whole(labels, sides)
        records = [
            None if own is None else label_records(label, own)
            for label, own in zip(labels, sets, strict=True)
        ]
        page = _unit_page(labels, records, others, unreadable, trials=trials)
        result = TaggedBody.of(page)
        # What could not be read may be readable without a change.
        self._keep(key, None if unreadable else stamp, result)
        return result

    def _keep(self, key: tuple[UnitId, bool], stamp: Hashable | None, page: TaggedBody) -> None:
        with self._lock:
            before = self._kept.pop(key, None)
            self._n_bytes -= len(before[1].data) if before else 0
            if stamp is not None and len(page.data) <= self._most_bytes:
                self._kept[key] = (stamp, page)
                self._n_bytes += len(page.data)
            while self._n_bytes > self._most_bytes:
                _, (_, oldest) = self._kept.popitem(last=False)
                self._n_bytes -= len(oldest.data)


def page_of_origin(
    store: LabelStore, unit: UnitId, *, corpus: str | None, explainer: str | None, trials: bool
) -> TaggedBody:
    """The same page of labels that were made from a text, or by an explainer: the newest of a side.

    Raises:
        Problem: 404 where it has none.
        AutointerpError: labels are there, none of which can be read.
    """
    unreadable: list[AutointerpError] = []
    there = [*labels_of(partial(store.get_sides, unit), unit, unreadable)]
    there += store.kept_of(unit, unreadable.append)
    shown: dict[Side, Label] = {}
    for label in there:
        if corpus in {None, label.origin.corpus} and explainer in {None, label.origin.explainer}:
            shown.setdefault(label.side, label)
    if not shown:
        origins = dict.fromkeys(label.origin for label in there)
        known = ", ".join(f"corpus={o.corpus} explainer={o.explainer}" for o in origins)
        detail = f"there is no such label of {unit}; it has labels of {known}"
        raise Problem(404, "label_unknown", detail)
    others = [label for label in there if all(label is not one for one in shown.values())]
    labels = tuple(shown[side] for side in Side if side in shown)
    records = [records_of(store, label, unreadable.append) for label in labels]
    return TaggedBody.of(_unit_page(labels, records, others, unreadable, trials=trials))


def _whole(labels: Sequence[Label], sides: LoadSides) -> tuple[Label, ...]:
    """The labels with their trials, without those of one whose trials are damaged."""
    whole = {label.side: label for label in sides(lambda _: None)}
    return tuple(whole.get(label.side, label) for label in labels)


def _unit_page(
    labels: Sequence[Label],
    records: Sequence[LabelRecords | None],
    others: Sequence[Label],
    unreadable: list[AutointerpError],
    *,
    trials: bool,
) -> bytes:
    # Stored values were checked when they were read, so that they are not checked again.
    unit = labels[0].unit
    shown = [_side(label, own, trials) for label, own in zip(labels, records, strict=True)]
    page = {
        "unit": str(unit),
        "model": unit.subject,
        "hook": unit.hook,
        "layer": unit.layer,
        "index": unit.index,
        "sides": shown,
        "others": [_other(label) for label in others],
        "unreadable": [str(error) for error in unreadable],
    }
    return to_json(page)


def _other(label: Label) -> Plain:
    return {
        "side": label.side,
        **label.origin._asdict(),
        "description": label.explanation.text if label.explanation else None,
        "status": label.status,
        "score": label.headline.value,
    }


def _side(label: Label, records: LabelRecords | None, trials: bool) -> Plain:
    return {
        **{name: getattr(label, name) for name in _OF_LABEL},
        "results": [_result(result, trials) for result in label.results],
        "receipts": [{**asdict(r), "as_expected": r.as_expected} for r in label.receipts],
        "kinds": [asdict(one) for one in kinds_of(label)],
        "peak": records.peak if records else 0.0,
        "exemplars": _bands((*records.explain, *records.shown)) if records else [],
        "held_out": records.held_out if records else [],
        "strata": records.strata if records else [],
    }


def _result(result: ScorerResult, trials: bool) -> Plain:
    return {
        "scorer": result.scorer,
        "explanation": result.explanation,
        "scores": result.scores,
        "n_asked": result.n_asked,
        "n_judged": result.n_judged,
        "n_failed": result.n_failed,
        "failure": result.failure,
        "notes": result.notes,
        "trials": result.trials if trials else None,
    }


def result_out(result: ScorerResult) -> ScorerOut:
    """What a scorer found, as it travels without its questions."""
    return ScorerOut.model_validate_json(to_json(_result(result, False)))


def _bands(records: tuple[ActivationRecord, ...]) -> list[Plain]:
    ordered = sorted(records, key=lambda r: band_order(r.stratum))
    return [
        {"band": band, "records": list(group)}
        for band, group in groupby(ordered, key=lambda r: r.stratum)
    ]
