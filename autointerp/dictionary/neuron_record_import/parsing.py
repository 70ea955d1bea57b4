"""Records from elsewhere: our own record files, and OpenAI's NeuronRecord JSON.

The latter says neither which vocabulary its tokens are of nor how much text there was. Tokens are
taken as text, and what would need the size of the text is undefined.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from autointerp.core.errors import InputError, StorageError
from autointerp.core.explanations import Explanation, Label
from autointerp.core.files import gunzip, read_file
from autointerp.core.ids import Side, UnitId
from autointerp.core.json_text import parse_json
from autointerp.dictionary.neuron_record_import.record_file import (
    FileFacts,
    PlainRecord,
    RecordFile,
    file_of_plain_records,
    file_of_records,
    file_of_sets,
)
from autointerp.store.codec import LABELS, SETS
from autointerp.store.label_records import RECORDS, label_records
from autointerp.store.labels import FolderLabelStore

_POSITIVE, _NEGATIVE = "most_positive_activation_records", "most_negative_activation_records"
_RANDOM, _QUANTILES = "random_sample", "random_sample_by_quantile"
_LABELS_BESIDE = {"records": "scores", "sets": "labels"}
_SURROGATE = re.compile("[\ud800-\udfff]")
# Models compute in float32 or less.
_LARGEST = 3.4e38
_ADVICE = "export or download it again"

_Json = dict[str, object]


def read_record_file(path: Path, *, seed: int) -> RecordFile:
    """One side of one unit, its records divided into explain, validation and held-out sets.

    The path is what `records_path` gives, or of a NeuronRecord or a record file of an earlier
    version, compressed or not; the seed is of the split, where it has none.

    Raises:
        InputError: the file is missing or of another kind, or its records are too few or all
            alike.
    """
    if path.parent.suffix == ".sqlite":
        return _of_store(path, seed=seed)
    data = _bytes(path)
    try:
        result = parse_json(data)
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    if isinstance(result, dict) and "schema" in result and "kind" in result:
        return _ours(path, data, kind=result["kind"], seed=seed)
    if not isinstance(result, dict) or not ({_POSITIVE, _NEGATIVE} & set(result)):
        msg = f"{path} is neither a record file of autointerp nor an OpenAI NeuronRecord"
        raise InputError(msg)
    return _neuron_record(path, result, seed=seed, digest=_digest(data))


def records_path(folder: Path, unit: UnitId, side: Side) -> Path:
    """Names the records of one side of a unit in the folder of a run or a dictionary."""
    return folder / "records" / f"{unit.hook}.sqlite" / f"{unit.index}.{side}"


def _of_store(path: Path, *, seed: int) -> RecordFile:
    """The records that `records_path` names."""
    try:
        index, side = path.name.split(".")
        asked, of = int(index), Side(side)
    except ValueError:
        raise InputError(f"{path} names no records; write INDEX.SIDE: 131.positive") from None
    store = FolderLabelStore(path.parents[2], advice=_ADVICE)
    try:
        unit = UnitId(store.subject() or "", path.parent.stem, asked)
        label, sets = store.get_label(unit, of), store.get_sets(unit, of)
    except StorageError as error:
        raise InputError(str(error)) from error
    if label is None or sets is None:
        raise InputError(f"{path.parents[2]} has no records of {unit.hook}/{asked} ({of})")
    records = label_records(label, sets)
    facts = FileFacts(path, _digest(RECORDS.encode(records)), label.explanation, label)
    return file_of_records(facts, records, seed=seed)


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise InputError(f"{path} is a folder; name the record files in it")
    try:
        data = read_file(path, pipe=True)
        if data is None:
            raise InputError(f"could not read {path}: No such file or directory; name another")
        return gunzip(data, where=str(path), advice=_ADVICE) if data[:2] == b"\x1f\x8b" else data
    except StorageError as error:
        raise InputError(str(error)) from error


def _ours(path: Path, data: bytes, *, kind: object, seed: int) -> RecordFile:
    facts = FileFacts(path, _digest(data))
    try:
        label = _label_beside(path)
        if label is not None:
            facts = replace(facts, label=label, explanation=label.explanation)
        if kind == SETS.kind:
            return file_of_sets(facts, SETS.decode(data, where=str(path), advice=_ADVICE))
        records = RECORDS.decode(data, where=str(path), advice=_ADVICE)
    except StorageError as error:
        raise InputError(str(error)) from error
    return file_of_records(facts, records, seed=seed)


def _label_beside(path: Path) -> Label | None:
    """The label in a folder beside that of the records: of a dictionary, or of a run."""
    path = path.absolute()
    beside = _LABELS_BESIDE.get(path.parent.parent.name)
    if len(path.parents) < 3 or beside is None:
        return None
    label = path.parents[2] / beside / path.parent.name / path.name.removesuffix(".gz")
    return LABELS.read(label, advice=_ADVICE) if label.is_file() else None


def _neuron_record(path: Path, content: _Json, *, seed: int, digest: str) -> RecordFile:
    lists = {
        name: tuple(_records(content.get(name), name, path)) for name in (_POSITIVE, _NEGATIVE)
    }
    side = _side(lists)
    strata = {
        "top": lists[_POSITIVE if side is Side.POSITIVE else _NEGATIVE],
        **_bands(content.get(_QUANTILES), path),
        "random": tuple(_records(content.get(_RANDOM), _RANDOM, path)),
    }
    facts = FileFacts(
        path,
        digest,
        explanation=_own_explanation(content),
        mean_and_variance=(_statistic(content, "mean"), _statistic(content, "variance")),
        notes=_notes([record for records in strata.values() for record in records]),
    )
    mended = {name: tuple(map(_mended, records)) for name, records in strata.items()}
    return file_of_plain_records(facts, _unit(content, path), side, mended, seed=seed)


def _records(raw: object, name: str, path: Path) -> Iterator[PlainRecord]:
    if raw is not None and not isinstance(raw, list):
        raise InputError(f"{path}: {name} is not a list of records")
    for number, record in enumerate(raw or (), 1):
        yield _record(record, f"record {number} of {name} in {path}")


def _bands(raw: object, path: Path) -> dict[str, tuple[PlainRecord, ...]]:
    if raw is not None and not isinstance(raw, list):
        raise InputError(f"{path}: {_QUANTILES} is not a list of lists of records")
    return {
        f"band{number}": tuple(_records(band, f"band {number} of {_QUANTILES}", path))
        for number, band in enumerate(raw or ())
    }


def _record(raw: object, where: str) -> PlainRecord:
    tokens, activations = (
        (raw.get("tokens"), raw.get("activations")) if isinstance(raw, dict) else (None, None)
    )
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise InputError(f"{where} needs a list of tokens, each a text")
    if not isinstance(activations, list) or not all(map(_is_number, activations)):
        raise InputError(f"{where} needs a list of activations, each a number")
    if not tokens or len(tokens) != len(activations):
        raise InputError(
            f"{where} has {len(tokens)} tokens and {len(activations)} activations; "
            "each token needs one"
        )
    for place, (token, activation) in enumerate(zip(tokens, activations, strict=True)):
        if not abs(_float(activation)) <= _LARGEST:
            msg = f"{where} has the activation {activation} at token {place} ({token!r})"
            raise InputError(msg)
    return PlainRecord(tuple(tokens), tuple(map(_float, activations)))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _side(lists: Mapping[str, Sequence[PlainRecord]]) -> Side:
    """The side with the greater peak among its own strongest records."""
    peaks = {
        name: max((record.peak(side) for record in lists[name]), default=0.0)
        for name, side in ((_POSITIVE, Side.POSITIVE), (_NEGATIVE, Side.NEGATIVE))
    }
    return Side.NEGATIVE if peaks[_NEGATIVE] > peaks[_POSITIVE] else Side.POSITIVE


def _unit(content: _Json, path: Path) -> UnitId:
    raw = content.get("neuron_id")
    named = cast(_Json, raw) if isinstance(raw, dict) else {}
    layer, index = named.get("layer_index"), named.get("neuron_index")
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in (layer, index)):
        msg = f"{path} does not name a neuron: neuron_id needs layer_index and neuron_index"
        raise InputError(msg)
    return UnitId("unknown", f"blocks.{layer}.mlp.hook_post", cast(int, index))


def _own_explanation(content: _Json) -> Explanation | None:
    text = content.get("explanation")
    if not isinstance(text, str) or not text.strip():
        return None
    message = _SURROGATE.sub("\ufffd", text.strip())
    return Explanation(message, "file", None, None, None, 0)


def _statistic(content: _Json, name: str) -> float | None:
    # The published layout has NaN where it was not counted.
    value = content.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(_float(value)) else None


def _mended(record: PlainRecord) -> PlainRecord:
    return PlainRecord(
        tuple(_SURROGATE.sub("\ufffd", t) for t in record.tokens), record.activations
    )


def _notes(records: Sequence[PlainRecord]) -> tuple[str, ...]:
    n = sum(bool(_SURROGATE.search(token)) for record in records for token in record.tokens)
    if not n:
        return ()
    return (f"{n} tokens hold half a character (a lone surrogate) and are shown as \ufffd",)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
