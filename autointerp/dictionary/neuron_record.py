"""OpenAI's layout: one NeuronRecord a neuron, ``LAYER/INDEX.json``.

Their reader builds its dataclasses from the keys, so a file has exactly theirs, but for
``most_negative_activation_records``, which stands only where the negative side is labelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import groupby
from pathlib import Path

from autointerp.core.errors import InputError
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import ActivationRecord, NeuronStats
from autointerp.core.unreadable import OnUnreadable, if_readable, refuse_unreadable
from autointerp.dictionary.read import Dictionary
from autointerp.store.codec import plain_json
from autointerp.store.label_records import LabelRecords

_Json = dict[str, object]


def write_neuron_records(
    dictionary: Dictionary, folder: Path, on_unreadable: OnUnreadable = refuse_unreadable
) -> None:
    """Fills an empty folder.

    Raises:
        InputError: the dictionary has two hook points of a layer, which this layout cannot tell
            apart.
    """
    _refuse_shared_layers(dictionary)
    readable = dictionary.labels(on_unreadable)
    for unit, labels in groupby(readable, key=lambda label: label.unit):
        path = folder / str(unit.layer) / f"{unit.index}.json"
        path.parent.mkdir(exist_ok=True)
        known = tuple(labels)
        records = {
            label.side: if_readable(partial(dictionary.records, unit, label.side), on_unreadable)
            for label in known
        }
        path.write_bytes(plain_json(_neuron_record(unit, known[0].stats, records)))


def _refuse_shared_layers(dictionary: Dictionary) -> None:
    hooks: dict[str, str] = {}
    for row in dictionary.rows():
        layer, hook = str(row["layer"]), str(row["hook"])
        if hooks.setdefault(layer, hook) != hook:
            raise InputError(
                f"neuron-record names a neuron by layer and index, but layer {layer} has "
                f"{hooks[layer]} and {hook} here; export as parquet, jsonl or neuronpedia"
            )


def _neuron_record(
    unit: UnitId, stats: NeuronStats, records: Mapping[Side, LabelRecords | None]
) -> _Json:
    positive, negative = records.get(Side.POSITIVE), records.get(Side.NEGATIVE)
    bands, boundaries = _bands(positive)
    made: _Json = {
        "dataclass_name": "NeuronRecord",
        "neuron_id": {
            "dataclass_name": "NeuronId",
            "layer_index": unit.layer,
            "neuron_index": unit.index,
        },
        # Our samples are stratified: none is the uniform one that this field promises.
        "random_sample": [],
        "random_sample_by_quantile": bands,
        "quantile_boundaries": boundaries,
        "mean": stats.mean,
        "variance": stats.variance,
        "skewness": None,
        "kurtosis": None,
        "most_positive_activation_records": _strongest(positive),
    }
    if negative is not None:
        made["most_negative_activation_records"] = _strongest(negative)
    return made


def _strongest(records: LabelRecords | None) -> list[_Json]:
    """The top windows, explain and held-out together, strongest first."""
    if records is None:
        return []
    top = [r for r in (*records.explain, *records.held_out) if r.stratum == "top"]
    return [_record(r) for r in sorted(top, key=lambda r: -r.peak(records.side))]


def _bands(records: LabelRecords | None) -> tuple[list[list[_Json]] | None, list[float] | None]:
    """Held-out records of each quantile band, the weakest first, and the bands' edges."""
    if records is None:
        return None, None
    bands = sorted((s for s in records.strata if s.name.startswith("band")), key=lambda s: s.low)
    if not bands:
        return None, None
    samples = [[_record(r) for r in records.held_out if r.stratum == band.name] for band in bands]
    return samples, [bands[0].low, *(band.high for band in bands)]


def _record(record: ActivationRecord) -> _Json:
    return {
        "dataclass_name": "ActivationRecord",
        "tokens": record.tokens,
        "activations": record.activations,
    }
