"""Record sets as stores keep them: text once a window, and what a unit does there as arrays."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, NamedTuple

from autointerp.core import later_fields
from autointerp.core.errors import AutointerpError
from autointerp.core.files import REMAKE
from autointerp.core.identity_cache import cached_by_identity
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import (
    ActivationRecord,
    ExplainSet,
    HeldOutSet,
    InputContexts,
    Stratum,
    UnitSets,
    ValidationSet,
)
from autointerp.store.codec import Codec, without_surrogates
from autointerp.store.packed_arrays import Packer, Unpacker
from autointerp.store.packing import damages, frame, packable, unframe

Records = tuple[ActivationRecord, ...]


class StoredWindow(NamedTuple):
    """The text of a window, which is the same for all units."""

    number: int
    document: str
    offset: int
    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    source: str = ""


_Line = tuple[StoredWindow, tuple[float, ...]]
"""A window and what the unit does there."""


@dataclass(frozen=True, slots=True)
class _Set:
    names: tuple[str, ...]
    """Names of the strata, to which its records refer."""
    strata: tuple[Stratum, ...] = ()
    peak: float = 0.0
    ranks: Annotated[tuple[int, ...], later_fields.LATER] = ()


@dataclass(frozen=True, slots=True)
class _Contexts:
    names: tuple[str, ...]
    places: tuple[tuple[int, int], ...]
    vectors: str
    hook: str


@dataclass(frozen=True, slots=True)
class _Head:
    """What the sets have besides records."""

    unit: UnitId
    side: Side
    explain: _Set
    validation: _Set
    held_out: _Set
    contexts: _Contexts | None
    shown: Annotated[_Set | None, later_fields.LATER] = None


_HEADS = Codec("packed sets", _Head)


def pack_sets(sets: UnitSets) -> tuple[tuple[StoredWindow, ...], bytes]:
    """The windows that the records are of, and all else; activations as `recorded_lines` says.

    Raises:
        AutointerpError: a number is not finite, or a field has another type.
    """
    with packable("set of records"):
        return _packed(sets)


def unpack_sets(
    windows: Sequence[StoredWindow], data: bytes, *, where: str, advice: str = REMAKE
) -> UnitSets:
    """The sets that `pack_sets` packed.

    Raises:
        InputError: a newer autointerp wrote them.
        DamagedError: they are damaged, or the windows are not theirs.
    """
    packed, rest = unframe(data, 2, where=where, advice=advice)
    head = _HEADS.decode(packed, where=where, advice=advice)
    with damages(where, advice):
        numbers = Unpacker(rest)
        contexts = head.contexts
        names = [head.explain.names, head.validation.names, head.held_out.names]
        names += [contexts.names] if contexts else []
        names += [head.shown.names] if head.shown else []
        columns = [
            (known, numbers.ints(), numbers.ints(), numbers.floats(), numbers.floats())
            for known in names
        ]
        lines = list(zip(windows, _activations(windows, numbers), strict=True))
        explain, validation, held_out, *others = (
            tuple(_records(lines, *column)) for column in columns
        )
        shown = others.pop() if head.shown else ()
        read = None
        if contexts:
            read = InputContexts(others[0], contexts.places, contexts.vectors, contexts.hook)
        unit, side = head.unit, head.side
        return UnitSets(
            ExplainSet(unit, side, explain, head.explain.peak, read, head.explain.ranks),
            ValidationSet(unit, side, validation, head.validation.strata, head.validation.peak),
            HeldOutSet(unit, side, held_out, head.held_out.strata, head.held_out.peak),
            shown,
        )


def _packed(sets: UnitSets) -> tuple[tuple[StoredWindow, ...], bytes]:
    from autointerp.store.recorded_lines import pack_activations  # noqa: PLC0415 - brings numpy

    explain, validation, held_out = sets.explain, sets.validation, sets.held_out
    contexts = explain.contexts
    parts = [explain.records, validation.records, held_out.records]
    parts += [contexts.records] if contexts else []
    parts += [sets.shown] if sets.shown else []
    names = [tuple(dict.fromkeys(record.stratum for record in part)) for part in parts]
    lines, places = _different_lines(parts)
    numbers = Packer()
    for part, own, known in zip(parts, places, names, strict=True):
        numbers.ints(own)
        numbers.ints([known.index(record.stratum) for record in part])
        numbers.floats([record.weight for record in part])
        numbers.floats([record.influence for record in part])
    for column in pack_activations([activations for _, activations in lines]):
        numbers.raw(column)
    head = _Head(
        explain.unit,
        explain.side,
        _Set(names[0], (), explain.peak, explain.ranks),
        _Set(names[1], validation.strata, validation.peak),
        _Set(names[2], held_out.strata, held_out.peak),
        _Contexts(names[3], contexts.places, contexts.vectors, contexts.hook) if contexts else None,
        _Set(names[-1]) if sets.shown else None,
    )
    return tuple(window for window, _ in lines), frame([_HEADS.encode(head), numbers.data])


@dataclass(frozen=True, slots=True)
class _Text:
    documents: tuple[str, ...]
    tokens: tuple[str, ...]
    """The texts of the different tokens."""
    sources: Annotated[tuple[str, ...], later_fields.LATER] = ()
    """As many as documents, or none."""


_TEXTS = Codec("text of records", _Text)


def pack_whole_sets(sets: UnitSets) -> bytes:
    """The sets with their windows, for where nothing is shared between units."""
    windows, data = pack_sets(sets)
    pairs = [pair for w in windows for pair in zip(w.token_ids, w.tokens, strict=True)]
    places = {pair: place for place, pair in enumerate(dict.fromkeys(pairs))}
    numbers = Packer()
    numbers.ints([window.number for window in windows])
    numbers.ints([window.offset for window in windows])
    numbers.ints([len(window.tokens) for window in windows])
    numbers.ints([places[pair] for pair in pairs])
    numbers.ints([token for token, _ in places])
    sources = tuple(window.source for window in windows)
    text = _Text(
        tuple(window.document for window in windows),
        tuple(token for _, token in places),
        sources if any(sources) else (),
    )
    return frame([_TEXTS.encode(text), numbers.data, data])


def unpack_whole_sets(data: bytes, *, where: str, advice: str = REMAKE) -> UnitSets:
    """The sets that `pack_whole_sets` packed.

    Raises:
        InputError: a newer autointerp wrote them.
        DamagedError: they are damaged.
    """
    packed, numbers_of_text, rest = unframe(data, 3, where=where, advice=advice)
    text = _TEXTS.decode(packed, where=where, advice=advice)
    with damages(where, advice):
        numbers = Unpacker(numbers_of_text)
        windows, offsets, lengths, places, known = (numbers.ints() for _ in range(5))
        tokens = iter([(known[place], text.tokens[place]) for place in places])
        read = [tuple(zip(*islice(tokens, n), strict=True)) or ((), ()) for n in lengths]
        sources = text.sources or ("",) * len(windows)
        columns = zip(windows, text.documents, offsets, read, sources, strict=True)
        there = [
            StoredWindow(window, document, offset, ids, own, source)
            for window, document, offset, (ids, own), source in columns
        ]
    return unpack_sets(there, rest, where=where, advice=advice)


def _different_lines(parts: Sequence[Records]) -> tuple[list[_Line], list[list[int]]]:
    """Each line of the records once, and which of them each record of each part has."""
    lines: list[_Line] = []
    of_window: dict[int, list[int]] = {}

    def place(record: ActivationRecord) -> int:
        line = _line(record)
        # To hash a line takes longer than to compare the few of one window.
        known = of_window.setdefault(record.window, [])
        for there in known:
            if lines[there] == line:
                return there
        known.append(len(lines))
        lines.append(line)
        return known[-1]

    return lines, [list(map(place, part)) for part in parts]


def _line(record: ActivationRecord) -> _Line:
    n_tokens, n_activations = len(record.token_ids), len(record.activations)
    if not n_tokens == len(record.tokens) == n_activations:
        raise AutointerpError(f"a record has {n_tokens} tokens and {n_activations} activations")
    text = record.token_ids, record.tokens
    window = _window(record.window, record.document, record.offset, *text, record.source)
    return window, record.activations


# Units of a chunk share the text of their windows.
@cached_by_identity(1024)
def _window(  # noqa: PLR0913, PLR0917 - the fields of a window
    number: int,
    document: str,
    offset: int,
    token_ids: tuple[int, ...],
    tokens: tuple[str, ...],
    source: str,
) -> StoredWindow:
    text = "".join(tokens)
    clean = tokens if text == without_surrogates(text) else tuple(map(without_surrogates, tokens))
    document, source = map(without_surrogates, (document, source))
    return StoredWindow(number, document, offset, token_ids, clean, source)


def _activations(windows: Sequence[StoredWindow], numbers: Unpacker) -> Iterator[tuple[float, ...]]:
    """As `unpack_lines` gives them to the bit: products of so few digits are exact."""
    peaks = struct.unpack(f"<{2 * len(windows)}f", numbers.raw())
    pairs = numbers.raw()
    n_shares = len(pairs) // 2
    halves = bytearray(len(pairs))
    halves[::2], halves[1::2] = pairs[:n_shares], pairs[n_shares:]
    shares = iter(struct.unpack(f"<{n_shares}e", halves))
    for place, window in enumerate(windows):
        above, below = (peak if peak > 0 else 1.0 for peak in peaks[2 * place : 2 * place + 2])
        line = [s * (above if s > 0 else below) for s in islice(shares, len(window.token_ids))]
        if len(line) != len(window.token_ids):
            raise ValueError("its activations are cut off")
        yield tuple(array("f", line))
    if next(shares, None) is not None:
        raise ValueError("its activations are more than its tokens")


def _records(
    lines: Sequence[tuple[StoredWindow, tuple[float, ...]]],
    names: tuple[str, ...],
    places: Sequence[int],
    strata: Sequence[int],
    weights: Sequence[float],
    influences: Sequence[float],
) -> Iterator[ActivationRecord]:
    columns = zip(places, strata, weights, influences, strict=True)
    for place, stratum, weight, influence in columns:
        window, activations = lines[place]
        how = names[stratum], weight, influence, window.source
        yield ActivationRecord(*window[:5], activations, *how)
