"""A chunk's records on their way from the activations worker to the label worker.

One ``.npz`` file: numbers as arrays, the rest as JSON. It holds all that a unit's input is made of,
so that labelling needs neither the subject model nor the summary.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from typing_extensions import override

from autointerp.core.errors import AutointerpError, DamagedError, StorageError, newer_version
from autointerp.core.explanations import Provenance
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import (
    ActivationRecord,
    ExplainSet,
    HeldOutSet,
    InputContexts,
    NeuronStats,
    Stratum,
    TokenMeans,
    UnitSets,
    ValidationSet,
)
from autointerp.core.text import TextTokenizer
from autointerp.core.unit_evidence import UnitEvidence
from autointerp.jobs.unit_inputs import Target, UnitRecords

_VERSION = 1
_STATS, _PROVENANCE = TypeAdapter(NeuronStats), TypeAdapter(Provenance)
_STRATA = TypeAdapter(tuple[Stratum, ...])
_EVIDENCE = TypeAdapter(UnitEvidence | None)


@dataclass(frozen=True, slots=True)
class ChunkRecords:
    """The units of a chunk."""

    provenance: Provenance
    """What was read; no LLM was asked yet."""
    token_strings: dict[int, str]
    """Of every token in the records and the tables."""
    units: tuple[UnitRecords, ...]

    @classmethod
    def of(
        cls, provenance: Provenance, tokenizer: TextTokenizer, units: tuple[UnitRecords, ...]
    ) -> ChunkRecords:
        """Of units that were read, with the strings of their tokens."""
        needed: set[int] = set()
        for unit in units:
            needed.update(unit.token_means.means)
            needed.update(token for record in _records_of(unit) for token in record.token_ids)
        ids = sorted(needed)
        return cls(provenance, dict(zip(ids, tokenizer.pieces(ids), strict=True)), units)

    def to_bytes(self) -> bytes:
        """For `from_bytes`."""
        arrays: dict[str, NDArray[Any]] = {}
        tables = _Tables()
        rows = [_head(unit, tables) for unit in self.units]
        records = [record for unit in self.units for record in _records_of(unit)]
        head = {
            "version": _VERSION,
            "provenance": _PROVENANCE.dump_python(self.provenance, mode="json"),
            "pieces": [list(self.token_strings), list(self.token_strings.values())],
            "cases": rows,
            "documents": [record.document for record in records],
            "sources": {record.document: record.source for record in records},
            "strata": [record.stratum for record in records],
        }
        arrays["head"] = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
        arrays |= _record_arrays(records) | tables.arrays()
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str) -> ChunkRecords:
        """The chunk that was written.

        Raises:
            DamagedError: it is damaged.
            StorageError: a newer version wrote it, whose workers can read it.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                return _read({name: arrays[name] for name in arrays.files}, where)
        except (ValueError, KeyError, zipfile.BadZipFile, ValidationError) as error:
            raise DamagedError(f"{where} is damaged: {error}") from error


@dataclass(slots=True)
class _Tables:
    """Token lookup tables, of which those of one hook point share tokens and counts."""

    keys: list[NDArray[np.int64]] = field(default_factory=list)
    means: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, table: TokenMeans) -> int:
        """The number of its keys."""
        pairs = np.array([list(table.counts), list(table.counts.values())], dtype=np.int64)
        self.means.append(np.fromiter(table.means.values(), dtype=np.float64))
        for number, known in enumerate(self.keys):
            if np.array_equal(known, pairs):
                return number
        self.keys.append(pairs)
        return len(self.keys) - 1

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Under their names in the file."""
        result: dict[str, NDArray[Any]] = {f"keys{n}": keys for n, keys in enumerate(self.keys)}
        result["means"] = np.concatenate([np.zeros(0), *self.means])
        return result


def _head(unit: UnitRecords, tables: _Tables) -> dict[str, Any]:
    sets, contexts = unit.sets, unit.sets.explain.contexts
    return {
        "unit": str(unit.target.unit),
        "side": unit.target.side,
        "dead": unit.dead,
        "stats": _STATS.dump_python(unit.stats, mode="json"),
        "keys": tables.add(unit.token_means),
        "overall": unit.token_means.overall,
        "peak": sets.explain.peak,
        "validation": _STRATA.dump_python(sets.validation.strata, mode="json"),
        "held_out": _STRATA.dump_python(sets.held_out.strata, mode="json"),
        "n": [
            len(records)
            for records in (
                sets.explain.records,
                sets.validation.records,
                sets.held_out.records,
                unit.negatives,
                *([] if contexts is None else [contexts.records]),
            )
        ],
        "n_shown": len(sets.shown),
        "inputs": None if contexts is None else [contexts.places, contexts.vectors, contexts.hook],
        "ranks": sets.explain.ranks,
        "promoted": unit.promoted,
        "suppressed": unit.suppressed,
        "effects": [unit.promoted_values, unit.suppressed_values],
        "evidence": _EVIDENCE.dump_python(unit.evidence, mode="json"),
    }


def _records_of(unit: UnitRecords) -> Iterator[ActivationRecord]:
    sets = unit.sets
    for records in (sets.explain.records, sets.validation.records, sets.held_out.records):
        yield from records
    yield from unit.negatives
    if sets.explain.contexts is not None:
        yield from sets.explain.contexts.records
    yield from sets.shown


def _record_arrays(records: Sequence[ActivationRecord]) -> dict[str, NDArray[Any]]:
    tokens = [token for record in records for token in record.token_ids]
    activations = [value for record in records for value in record.activations]
    return {
        "tokens": np.array(tokens, dtype=np.int32),
        "activations": np.array(activations, dtype=np.float64),
        "lengths": np.array([len(record.token_ids) for record in records], dtype=np.int64),
        "windows": np.array([(r.window, r.offset) for r in records], np.int64).reshape(-1, 2),
        "weights": np.array([(r.weight, r.influence) for r in records], float).reshape(-1, 2),
    }


def _read(arrays: dict[str, NDArray[Any]], where: str) -> ChunkRecords:
    head = json.loads(arrays["head"].tobytes())
    if int(head["version"]) > _VERSION:
        raise StorageError(str(newer_version(where, head["version"], _VERSION)))
    strings = dict(zip(*head["pieces"], strict=True))
    records = _read_records(arrays, head, strings)
    means, first = arrays["means"].tolist(), 0
    tables = {name: arrays[name].tolist() for name in arrays if name.startswith("keys")}
    units = []
    for row in head["cases"]:
        tokens, counts = tables[f"keys{row['keys']}"]
        last = first + len(tokens)
        table = TokenMeans(
            dict(zip(tokens, means[first:last], strict=True)),
            dict(zip(tokens, counts, strict=True)),
            row["overall"],
        )
        first = last
        units.append(_unit(row, table, records))
    provenance = _PROVENANCE.validate_python(head["provenance"])
    return ChunkRecords(provenance, strings, tuple(units))


def _read_records(
    arrays: dict[str, NDArray[Any]], head: dict[str, Any], strings: dict[int, str]
) -> Iterator[ActivationRecord]:
    tokens, activations = arrays["tokens"].tolist(), arrays["activations"].tolist()
    # Chunks that an earlier version wrote have none.
    sources = head.get("sources", {})
    rows = zip(
        arrays["lengths"].tolist(),
        arrays["windows"].tolist(),
        arrays["weights"].tolist(),
        head["documents"],
        head["strata"],
        strict=True,
    )
    first = 0
    for length, (window, offset), (weight, influence), document, stratum in rows:
        own = tuple(tokens[first : first + length])
        yield ActivationRecord(
            window=window,
            document=document,
            offset=offset,
            token_ids=own,
            tokens=tuple(strings[token] for token in own),
            activations=tuple(activations[first : first + length]),
            stratum=stratum,
            weight=weight,
            influence=influence,
            source=sources.get(document, ""),
        )
        first += length


def _unit(
    row: dict[str, Any], table: TokenMeans, records: Iterator[ActivationRecord]
) -> UnitRecords:
    unit, side, peak = UnitId.parse(row["unit"]), Side(row["side"]), row["peak"]
    explain, validation, held_out, negatives, *more = (
        tuple(next(records) for _ in range(n)) for n in row["n"]
    )
    contexts = None
    if more:
        places, vectors, hook = row["inputs"]
        contexts = InputContexts(more[0], tuple(map(tuple, places)), vectors, hook)
    shown = tuple(next(records) for _ in range(row.get("n_shown", 0)))
    # Chunks that an earlier version wrote have none.
    promoted_values, suppressed_values = map(tuple, row.get("effects", ((), ())))
    return UnitRecords(
        target=Target(unit, side),
        sets=UnitSets(
            ExplainSet(unit, side, explain, peak, contexts, tuple(row.get("ranks", ()))),
            ValidationSet(unit, side, validation, _STRATA.validate_python(row["validation"]), peak),
            HeldOutSet(unit, side, held_out, _STRATA.validate_python(row["held_out"]), peak),
            shown,
        ),
        token_means=table,
        stats=_STATS.validate_python(row["stats"]),
        negatives=negatives,
        promoted=tuple(row["promoted"]),
        suppressed=tuple(row["suppressed"]),
        promoted_values=promoted_values,
        suppressed_values=suppressed_values,
        evidence=_EVIDENCE.validate_python(row.get("evidence")),
        dead=row["dead"],
    )


class ChunkTokenizer(TextTokenizer):
    """Knows the strings of a chunk's tokens, and encodes nothing."""

    def __init__(self, name: str, strings: Mapping[int, str]) -> None:
        self._name, self._strings = name, strings

    @property
    @override
    def name(self) -> str:
        return self._name

    @property
    @override
    def bos_id(self) -> int | None:
        return None

    @override
    def encode(self, text: str) -> list[int]:
        raise AutointerpError(f"{text[:40]!r} cannot be encoded: a label worker has no tokenizer")

    @override
    def pieces(self, token_ids: Sequence[int]) -> tuple[str, ...]:
        return tuple(self._strings[token] for token in token_ids)
