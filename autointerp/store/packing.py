"""JSON and arrays in few bytes: the frame of packed labels and of packed sets of records.

A frame is ``AI``, a version, and a zlib stream of its parts, whose dictionary holds what most
labels have in common; so a frame of a few kilobytes can be read without any other.
"""

from __future__ import annotations

import math
import struct
import sys
import zlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from autointerp.core.errors import AutointerpError, DamagedError, newer_version
from autointerp.core.files import MOST_BYTES, REMAKE, too_large

VERSION = 1
_MAGIC = b"AI"
_LIMITS = {
    code: (-(1 << bits - 1), (1 << bits - 1) - 1) if code.islower() else (0, (1 << bits) - 1)
    for code, bits in {"B": 8, "b": 8, "H": 16, "h": 16, "I": 32, "i": 32, "q": 64}.items()
}
_CODES = tuple(_LIMITS)
_WIDEST = "d"


def is_frame(data: bytes) -> bool:
    """Whether the bytes are a frame, of whichever version."""
    return data[:2] == _MAGIC


def frame(parts: Sequence[bytes]) -> bytes:
    """The parts as one compressed value; equal parts are equal bytes."""
    sizes = struct.pack(f"<B{len(parts)}I", len(parts), *map(len, parts))
    # The highest level takes four times as long for a label, to save 1.5 % of its bytes.
    stream = zlib.compressobj(7, zdict=_KNOWN)
    body = stream.compress(sizes) + b"".join(map(stream.compress, parts)) + stream.flush()
    return _MAGIC + bytes([VERSION]) + body


def unframe(data: bytes, n: int, *, where: str, advice: str = REMAKE) -> list[bytes]:
    """The parts that `frame` was given.

    Raises:
        InputError: a newer autointerp wrote it.
        DamagedError: it is damaged, or does not have n parts.
    """
    if is_frame(data) and data[2:3] > bytes([VERSION]):
        raise newer_version(where, data[2], VERSION)
    with damages(where, advice):
        if data[:3] != _MAGIC + bytes([VERSION]):
            raise ValueError("it does not begin as a packed value does")
        stream = zlib.decompressobj(zdict=_KNOWN)
        whole = stream.decompress(data[3:], MOST_BYTES)
        if stream.unconsumed_tail:
            raise too_large(where, MOST_BYTES)
        if not stream.eof or whole[:1] != bytes([n]):
            raise ValueError("it is cut off")
        sizes = struct.unpack_from(f"<{n}I", whole, 1)
        starts = [1 + 4 * n + sum(sizes[:place]) for place in range(n + 1)]
        if starts[-1] != len(whole):
            raise ValueError("its parts are not as long as they should be")
        return [whole[start:end] for start, end in zip(starts, starts[1:], strict=False)]


@contextmanager
def damages(where: str, advice: str) -> Iterator[None]:
    """Turns whatever wrong content of bytes leads to into a DamagedError that names them."""
    try:
        yield
    except DamagedError:
        raise
    except (
        *(ValueError, TypeError, LookupError, OverflowError, ArithmeticError),
        *(AutointerpError, struct.error, zlib.error),
    ) as error:
        raise DamagedError(f"{where} is damaged: {error}; {advice}") from error


@contextmanager
def packable(what: str) -> Iterator[None]:
    """Turns whatever a field of another type leads to into one error.

    Raises:
        AutointerpError: it cannot be stored.
    """
    try:
        yield
    except (ValueError, TypeError, LookupError, OverflowError, AttributeError) as error:
        raise AutointerpError(f"this {what} cannot be stored: {error}") from error


class Packer:
    """Arrays as bytes, one behind the other; `Unpacker` reads them in the same order."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    @property
    def data(self) -> bytes:
        """What was packed so far."""
        return b"".join(self._parts)

    def ints(self, values: Sequence[int]) -> None:
        """Whole numbers, in as few bytes each as the largest needs."""
        low, high = min(values, default=0), max(values, default=0)
        fitting = (c for c, (least, most) in _LIMITS.items() if least <= low and high <= most)
        code = next(fitting, None)
        if code is None:
            raise AutointerpError(f"a number is too large to be stored: {max(high, -low)}")
        self._put(array(code, values))

    def floats(self, values: Sequence[float]) -> None:
        """Numbers: where few differ, each different one once, and which of them each is."""
        places = {value: place for place, value in enumerate(dict.fromkeys(values))}
        if not all(map(math.isfinite, places)):
            raise AutointerpError("a number that is to be stored is not finite")
        if 2 * len(places) > len(values):
            self._put(array(_WIDEST, values))
        else:
            self.ints([places[value] for value in values])
            self._put(array(_WIDEST, places))

    def optional_floats(self, values: Sequence[float | None]) -> None:
        """Numbers, some of which there may not be."""
        self.ints([value is None for value in values])
        self.floats([value for value in values if value is not None])

    def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self._parts += [struct.pack("<cI", b"B", len(data)), data]

    def _put(self, values: array[int] | array[float]) -> None:
        if sys.byteorder == "big":
            values = values[:]
            values.byteswap()
        self._parts += [struct.pack("<cI", values.typecode.encode(), len(values)), values.tobytes()]


class Unpacker:
    """Reads what a `Packer` wrote; anything else is a ValueError or a struct.error."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def ints(self) -> Sequence[int]:
        """Whole numbers."""
        values: array[int] = self._take(_CODES)
        return values

    def floats(self) -> list[float]:
        """Numbers."""
        values = self._take((_WIDEST, *_CODES))
        if values.typecode == _WIDEST:
            return list(values)
        known: array[float] = self._take((_WIDEST,))
        return list(map(known.tolist().__getitem__, values.tolist()))

    def optional_floats(self) -> list[float | None]:
        """Numbers, and None where there is none."""
        missing, values = self.ints(), iter(self.floats())
        return [None if is_missing else next(values) for is_missing in missing]

    def raw(self) -> bytes:
        """Bytes."""
        return bytes(self._take(("B",)))

    def _take(self, codes: Sequence[str]) -> array:  # type: ignore[type-arg]
        code, n = struct.unpack_from("<cI", self._data, self._place)
        kind = code.decode("latin-1")
        if kind not in codes:
            raise ValueError("its arrays are of another kind")
        values = array(kind)
        start = self._place + struct.calcsize("<cI")
        self._place = start + n * values.itemsize
        part = self._data[start : self._place]
        if len(part) != n * values.itemsize:
            raise ValueError("its arrays are cut off")
        values.frombytes(part)
        if sys.byteorder == "big":
            values.byteswap()
        return values


def _known() -> bytes:
    """What zlib may refer to: what most labels say in the same words.

    Changing it makes another version: what was packed with the former cannot be read with it.
    """
    edges = [m * 2.0**e for e in range(-17, 13) for m in (1.0, 1.25, 1.5, 1.75)]
    signed = [*(-edge for edge in reversed(edges)), 0.0, *edges]
    return f"{','.join(map(repr, signed))}{_WORDS}{_LABEL}".encode()


_WORDS = (
    '{"window":"stratum":{"name":"band0","n_windows":32,"n_sampled":9,"low":0.4375,"high":0.75,'
    '"joint":true},"strata":["top","band4","band3","band2","band1","band0"],"peak":1.'
    '"verdict":null,"probability":null,"failure":null,"truth":null,"senses":null'
    '"the real activations are constant""the predictions are constant"'
    '"is undefined""not tried: there is nothing to choose from"'
    '"mass":{"name":"mass","value":0.,"low":null,"high":null,"n_windows":40,"reason":null},"gain":'
    '"n_places":12,"doubt":null},"kind":"positive","near_miss","shortened","deleted","same_kind",'
    '"stranger","sense":0,"text":"","expected":true,"level":,"changed":"","fires_from":3.0},'
    '"kind":"token","piece","phrase","topic","position","other","mixed","activation":null,'
    '"program":null},{"description":"","level":10.0,"kind":"token","activation":0.'
    '{"rules":[],[],["],"results":[{"scorer":"rules","the token ","the tokens ""levels by logprobs"'
    '{"scorer":"simulation_senses_null",'
    '{"scorer":"simulation_senses","over_broader","over_narrower","added","survived",'
    '"mass_explained","iou","recall","ev_correlation"'
    '["population","top_random","random","cosine","top","silent","band4","band3","band2","band1",'
    '"band0","auprc","auroc","f1","iou","balanced_accuracy","accuracy","precision","recall",'
    '"chance_p","over_null","over_lookup"],"reason":["notes":[],"strata":["band1","band0","top"]},'
    '{"scorer":"rules_null","explanation":"","scores":["population","top_random","random","cosine",'
    '"top","band3","band2","band1","band0"],"notes":[],"strata":["band1","band0","top"]},{"scorer":'
    '"lookup","explanation":"the token table","scores":["population","top_random","random",'
    '"cosine","top","band2","band1","band0"],"notes":[]}],{"scorer":"rules","explanation":"'
)
_LABEL = (
    '{"schema":1,"kind":"label","value":{"unit":{"subject":"smollm2-135m","hook":'
    '"blocks.5.mlp.hook_post","index":4},"side":"negative","side":"positive","status":"no_signal",'
    '"status":"ok","reason":null,"explanation":{"text":"the tokens \\"","explainer":'
    '"token_activation","token_lookup","model":null,"prompt":{"name":"explain_senses","version":'
    '"v1","digest":"","temperature":0.0,"model":null,"prompt":null,"temperature":null,"sample":0,'
    '"rules":[],"program":null,"senses":[{"description":"","background":0.0},'
    '"rules":[],"program":null},"validation_score":null,"reason":"not tried: there is nothing to '
    'choose from","chosen":true}],"candidates":[{"explanation":{"text":"","results":[],'
    '"preferred":"simulation","preferred":"rules","stats":{"n_tokens":,'
    '"n_windows":,"mean":0.0,"variance":0.0,"minimum":-1.,"maximum":,"density":0.,'
    '"window_density":1.0,"histogram":[1,1,2,3,4],"bin_edges":[],"quantiles":[[0.25,0.],[0.5,0.],'
    '[0.75,0.],[0.9,0.],[0.95,0.],[0.99,1.]]},"top_tokens":["provenance":{"package_version":'
    '"0.1.0","subject":"smollm2-135m","subject_revision":"bac68de1ca99e847","dtype":"float32",'
    '"tokenizer":"TokenizersBackend:450fd25da1a689ff:bos=1","corpus":"wiki","corpus_hash":'
    '"afee4ca2bde03460642e57246be7dc54f066a1702efbdc2e366f88a98bc0a693","n_tokens":,"n_ctx":64,'
    '"seed":0,"split_hash":"","collect_hash":"","explainer_model":null,"scorer_model":null,'
    '"prompts":[],"encoders":[]},"failures":[],"promoted":[""],"suppressed":[""],"llm":'
    '{"explanation":"rules":{"explanation":{"text":"the tokens \\"","scorer":"rules"}}}'
)
_KNOWN = _known()
