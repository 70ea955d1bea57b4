"""One unit as ``show`` prints it: from a run's folder, a feature dictionary or a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from autointerp.cli.folder_words import label_folder
from autointerp.cli.rendering.console import say
from autointerp.core.errors import AutointerpError, InputError
from autointerp.core.explanations import Label
from autointerp.core.ids import UnitId, UnitName
from autointerp.core.kept_evidence import KeptEvidence, label_digest
from autointerp.core.one_line import shortened
from autointerp.core.records import ActivationRecord, UnitSets
from autointerp.core.unreadable import if_readable, pass_over
from autointerp.store.labels import FolderLabelStore

if TYPE_CHECKING:
    from autointerp.client import Client

_RECORD = TypeAdapter(ActivationRecord)


@dataclass(frozen=True, slots=True)
class PredictedRecord:
    """A held-out record and what the preferred scorer predicted for it."""

    record: ActivationRecord
    predicted: tuple[float, ...] | None
    """Per token, model units of the side; None where there is no prediction."""


@dataclass(frozen=True, slots=True)
class UnitView:
    """One side of a unit."""

    label: Label
    peak: float
    """Largest activation of the side over all explain windows; 0 without records."""
    explain: tuple[ActivationRecord, ...]
    """Windows of explain text: the explain set, and what only people see."""
    held_out: tuple[PredictedRecord, ...]
    evidence: tuple[KeptEvidence, ...] = ()
    """Causal evidence that was kept of the unit; with its first side alone."""
    labels: tuple[str, ...] = ()
    """Digests of the labels of all sides of the unit, for the evidence."""


def read_unit(folder: Path, text: str) -> tuple[UnitView, ...]:
    """Every labelled side of a unit, positive first.

    Args:
        folder: of a run or of a dictionary.
        text: ``smollm2-135m/blocks.5.mlp.hook_post/131``, the same without the subject, or
            ``5:131`` for every labelled hook point of the layer.

    Raises:
        InputError: the text does not name a unit, or the folder does not exist or has no label
            of the unit.
        StorageError: the disk refuses, or a file is damaged.
    """
    name = UnitName.parse(text)
    store = FolderLabelStore(label_folder(folder))
    unreadable: list[AutointerpError] = []
    views = tuple(_from_store(store, name, unreadable))
    if not views and unreadable:
        raise unreadable[0]
    for error in unreadable:
        _say_left_out(error)
    if not views:
        first = next(store.labels(pass_over), None)
        example = f", the first is {first.unit}" if first else ""
        n = store.count()
        there = f"it holds {n:,} label{'' if n == 1 else 's'}{example}"
        raise InputError(f"{folder} has no label of {text}; {there}")
    return views


def read_units(folder: Path) -> Iterator[UnitView]:
    """Every labelled side in the folder of a run or of a dictionary, one at a time.

    What cannot be read is said and left out.

    Raises:
        InputError: the folder does not exist, or is neither.
        StorageError: the disk refuses.
    """
    store = FolderLabelStore(label_folder(folder))
    for label in store.labels(_say_left_out):
        sets = if_readable(partial(store.get_sets, label.unit, label.side), _say_left_out)
        yield _from_sets(label, sets)


def read_remote_unit(
    client: Client, text: str, *, corpus: str | None = None, explainer: str | None = None
) -> tuple[UnitView, ...]:
    """Every labelled side of a unit of a server, positive first.

    The newest label of each, of one corpus or explainer where that is given; others are said.

    Raises:
        InputError: the text does not name a unit, or the unit has no label.
        UpstreamError: the server cannot be reached.
    """
    name = UnitName.parse(text)
    if name.layer is None:
        raise InputError(
            f"write the whole hook point of {shortened(text)} for a server: blocks.5..."
        )
    model, hook = name.subject or _only_model(client), name.hook or str(name.layer)
    page = client.unit(model, hook, name.index, trials=True, corpus=corpus, explainer=explainer)
    for other in page.get("others", ()):
        score = "" if other["score"] is None else f"{other['score']:.2f}, "
        by = f" --explainer {other['explainer']}" if other["explainer"] else ""
        text = shortened(other["description"] or other["status"])
        say(f"another label ({other['side']}): --corpus {other['corpus']}{by}: {score}{text}")
    views = [_from_page(page, side) for side in page["sides"]]
    return _with_evidence(views, lambda unit: _remote_evidence(client, model, unit))


def _from_store(
    store: FolderLabelStore, name: UnitName, unreadable: list[AutointerpError]
) -> Iterator[UnitView]:
    first = next(store.labels(unreadable.append), None)
    if first is None:
        return
    unreadable.clear()
    for unit in name.among(first.unit.subject, store.hooks):
        views = []
        for label in store.get_sides(unit, unreadable.append):
            sets = if_readable(partial(store.get_sets, unit, label.side), unreadable.append)
            views.append(_from_sets(label, sets))
        yield from _with_evidence(views, lambda unit: store.evidence_of(unit, unreadable.append))


def _with_evidence(
    views: Sequence[UnitView], evidence_of: Callable[[UnitId], tuple[KeptEvidence, ...]]
) -> tuple[UnitView, ...]:
    """The sides of one unit, the first with what was kept of it."""
    labels = tuple(label_digest(view.label) for view in views)
    first = (
        replace(view, evidence=evidence_of(view.label.unit), labels=labels) for view in views[:1]
    )
    return (*first, *views[1:])


def _remote_evidence(client: Client, model: str, unit: UnitId) -> tuple[KeptEvidence, ...]:
    from autointerp.client.http_session import NotThereError  # noqa: PLC0415 - brings the client
    from autointerp.store.packed_causal import read_kept  # noqa: PLC0415

    try:
        return tuple(map(read_kept, client.kept_evidence(model, unit.hook, unit.index)))
    except NotThereError:
        return ()  # A server of an earlier version keeps none.


def _from_sets(label: Label, sets: UnitSets | None) -> UnitView:
    if sets is None:
        return UnitView(label, 0.0, (), ())
    result = label.result(label.preferred) if label.preferred else None
    predicted = {trial.window: trial.predicted for trial in result.trials} if result else {}
    peak = sets.explain.peak
    held_out = tuple(PredictedRecord(r, predicted.get(r.window)) for r in sets.held_out.records)
    return UnitView(label, peak, (*sets.explain.records, *sets.shown), held_out)


def _say_left_out(error: AutointerpError) -> None:
    say(f"left out: {error}")


def _from_page(page: dict[str, Any], side: dict[str, Any]) -> UnitView:
    from autointerp.client.client import label_of  # noqa: PLC0415 - brings the client

    label, peak = label_of(page, side), side["peak"]
    explain = [_RECORD.validate_python(r) for band in side["exemplars"] for r in band["records"]]
    held_out = [
        PredictedRecord(_RECORD.validate_python(r), _as_tuple(r["predicted"]))
        for r in side["held_out"]
    ]
    return UnitView(label, peak, tuple(explain), tuple(held_out))


def _only_model(client: Client) -> str:
    models = client.models()
    if len(models) != 1:
        known = ", ".join(models) or "no labels"
        msg = f"name the model, MODEL/blocks.5.mlp.hook_post/131; the server has {known}"
        raise InputError(msg)
    return models[0]


def _as_tuple(predicted: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if predicted is None else tuple(predicted)
