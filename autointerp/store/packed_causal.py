"""Kept causal evidence as compressed JSON: what `unpack_causal` reads `pack_causal` wrote."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from autointerp.core.causal_evidence import CausalEvidence
from autointerp.core.errors import DamagedError, InputError, UpstreamError, newer_version
from autointerp.core.files import MOST_BYTES
from autointerp.core.ids import UnitId
from autointerp.core.kept_evidence import KeptEvidence, kept_json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA = 1
_UNIT, _UNITS = {"unit", "other"}, {"units", "rivals"}
"""Fields that name one unit, and several."""
T = TypeVar("T")


def read_causal(plain: Mapping[str, Any]) -> CausalEvidence:
    """Evidence from what `causal_json` gave, as a server sends it.

    Raises:
        UpstreamError: it is of another version.
    """
    return _read(_causal(), plain)


def read_kept(plain: Mapping[str, Any]) -> KeptEvidence:
    """Kept evidence from what `kept_json` gave, as a server sends it.

    Raises:
        UpstreamError: it is of another version.
    """
    return _read(_kept(), plain)


def _read(reader: TypeAdapter[T], plain: Mapping[str, Any]) -> T:
    try:
        return reader.validate_python(_with_units(dict(plain)))
    # A ValidationError is a ValueError; whoever only reads labels needs no pydantic.
    except (ValueError, InputError) as error:
        msg = "a server of another version answered; run one version everywhere"
        raise UpstreamError(msg, retryable=False) from error


def pack_causal(kept: KeptEvidence) -> bytes:
    """The evidence as bytes."""
    return zlib.compress(json.dumps({"schema": SCHEMA, **kept_json(kept)}).encode(), 9)


def unpack_causal(data: bytes, *, where: str) -> KeptEvidence:
    """The evidence that `pack_causal` wrote.

    Raises:
        InputError: a newer autointerp wrote it.
        DamagedError: it is damaged.
    """
    try:
        stream = zlib.decompressobj()
        plain = json.loads(stream.decompress(data, MOST_BYTES))
        schema = plain.pop("schema")
    except (
        zlib.error,
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
        RecursionError,
    ) as error:
        raise _damaged(where, error) from error
    if isinstance(schema, int) and schema > SCHEMA:
        raise newer_version(where, schema, SCHEMA)
    try:
        return _kept().validate_python(_with_units(plain))
    except (ValueError, InputError) as error:
        raise _damaged(where, error) from error


def _damaged(where: str, error: Exception) -> DamagedError:
    return DamagedError(f"{where} is damaged ({type(error).__name__}); ask for it again")


@cache
def _causal() -> TypeAdapter[CausalEvidence]:
    from pydantic import TypeAdapter  # noqa: PLC0415 - takes as long as reading a label does

    return TypeAdapter(CausalEvidence)


@cache
def _kept() -> TypeAdapter[KeptEvidence]:
    from pydantic import TypeAdapter  # noqa: PLC0415 - takes as long as reading a label does

    return TypeAdapter(KeptEvidence)


def _with_units(plain: Any) -> Any:
    """The same with units read where their names stand."""
    if isinstance(plain, list):
        return [_with_units(one) for one in plain]
    if not isinstance(plain, dict):
        return plain
    read = {name: _with_units(value) for name, value in plain.items()}
    for name in _UNIT & read.keys():
        if isinstance(read[name], str):
            read[name] = UnitId.parse(read[name])
    for name in _UNITS & read.keys():
        if isinstance(read[name], list):
            read[name] = [UnitId.parse(str(unit)) for unit in read[name]]
    return read
