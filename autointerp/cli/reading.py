"""One unit as ``show`` prints it, from a run's folder or from a feature dictionary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autointerp.cli.numbers import counted
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.core.labels import Label
from autointerp.core.levels import MAX_LEVEL
from autointerp.core.records import ActivationRecord, UnitSets
from autointerp.store.labels import JsonLabelStore

_UNIT = re.compile(
    r"(?:(?:(?P<subject>[^/]+)/)?(?P<hook>blocks\.\d+\.[a-z0-9_.]+)|(?P<layer>\d+))[/:](?P<index>\d+)"
)


@dataclass(frozen=True, slots=True)
class Scored:
    """A held-out record beside what the preferred scorer predicted."""

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
    held_out: tuple[Scored, ...]


def read_unit(folder: Path, text: str) -> tuple[UnitView, ...]:
    """Every labelled side of a unit, positive first.

    A run's own files are read first, finished or not; they need no Arrow, which is slow to load.

    Args:
        folder: of a run or of a dictionary.
        text: ``smollm2-135m/blocks.5.mlp.hook_post/131``, the same without the subject, or
            ``5:131`` for every labelled hook point of the layer.

    Raises:
        InputError: no unit, no such folder, or no label of the unit in it.
        StorageError: the disk refuses, or a file is damaged.
    """
    match = _UNIT.fullmatch(text.strip())
    if match is None:
        msg = f"{text!r} is not a unit; write 5:131 or smollm2-135m/blocks.5.mlp.hook_post/131"
        raise InputError(msg)
    if not folder.is_dir():
        msg = f"there is no folder {folder}; give the folder of a run with --dir"
        raise InputError(msg)
    if not (folder / "labels").is_dir():
        return _from_dictionary(folder, text)
    views = tuple(_from_store(JsonLabelStore(folder), match))
    if not views:
        n = counted(JsonLabelStore(folder).count(), "label")
        msg = f"{folder} has no label of {text}; it holds {n}{_some(folder)}"
        raise InputError(msg)
    return views


def _from_store(store: JsonLabelStore, asked: re.Match[str]) -> Iterator[UnitView]:
    first = next(store.labels(), None)
    if first is None or asked["subject"] not in (None, first.unit.subject):
        return
    layer = f"blocks.{int(asked['layer'])}." if asked["layer"] else asked["hook"]
    hooks = sorted(path.name for path in (store.folder / "labels").iterdir() if path.is_dir())
    for hook in hooks:
        if hook == asked["hook"] or (asked["layer"] and hook.startswith(layer)):
            unit = UnitId(first.unit.subject, hook, int(asked["index"]))
            for label in store.get_sides(unit):
                yield _view(label, store.get_sets(unit, label.side))


def _view(label: Label, sets: UnitSets | None) -> UnitView:
    if sets is None:
        return UnitView(label, 0.0, (), ())
    result = label.result(label.preferred) if label.preferred else None
    predicted = {trial.window: trial.predicted for trial in result.trials} if result else {}
    peak = sets.explain.peak
    held_out = tuple(
        Scored(r, in_model_units(predicted.get(r.window), label.preferred, peak))
        for r in sets.held_out.records
    )
    return UnitView(label, peak, sets.explain.records, held_out)


def _from_dictionary(folder: Path, text: str) -> tuple[UnitView, ...]:
    from autointerp.dictionary import open_dictionary  # noqa: PLC0415 - brings pyarrow

    dictionary = open_dictionary(folder)
    views = []
    for label in dictionary.find(text):
        found = dictionary.records(label.unit, label.side)
        if found is None:
            views.append(UnitView(label, 0.0, (), ()))
            continue
        held_out = tuple(
            Scored(r, in_model_units(r.predicted, found.scorer, found.peak)) for r in found.held_out
        )
        views.append(UnitView(label, found.peak, found.explain, held_out))
    return tuple(views)


def in_model_units(
    predicted: Sequence[float] | None, scorer: str | None, peak: float
) -> tuple[float, ...] | None:
    """What a scorer predicted for each token of a window, in model units of the side."""
    # A simulation predicts prompt levels; rules and lookup predict activations.
    if predicted is None or scorer != "simulation":
        return None if predicted is None else tuple(predicted)
    return tuple(level * peak / MAX_LEVEL for level in predicted)


def _some(folder: Path) -> str:
    first = next(JsonLabelStore(folder).labels(), None)
    return f", the first is {first.unit}" if first else ""
