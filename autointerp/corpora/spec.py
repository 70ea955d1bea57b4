"""What a user writes to name a corpus."""

from __future__ import annotations

import math
import os.path
from dataclasses import dataclass

from autointerp.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Share:
    """One source of a corpus."""

    name: str
    weight: float
    """Share of the tokens, 0..1; the shares of a corpus add up to 1."""


def parse_spec(spec: str) -> tuple[Share, ...]:
    """The sources named, with their shares; a path that exists is one source whatever its name.

    Raises:
        InputError: a weight that is not a positive number, or a source named twice.
    """
    name = spec.strip()
    if "=" not in name or is_path(name):
        return (Share(name, 1.0),)
    shares = [_parse_share(part, spec) for part in name.split(",")]
    if len({share.name for share in shares}) < len(shares):
        msg = f"the mixture {spec!r} names a source twice; name it once with the sum of its weights"
        raise InputError(msg)
    total = math.fsum(share.weight for share in shares)
    return tuple(Share(share.name, share.weight / total) for share in shares)


def is_path(name: str) -> bool:
    """Whether something lies there, a broken link included."""
    return os.path.lexists(os.path.expanduser(name))


def _parse_share(part: str, spec: str) -> Share:
    name, _, number = part.rpartition("=")
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not name.strip() or not math.isfinite(weight) or weight <= 0:
        msg = (
            f"{part.strip()!r} in the mixture {spec!r} is not NAME=WEIGHT with a positive weight; "
            "write for example wiki=0.7,python=0.3"
        )
        raise InputError(msg)
    return Share(name.strip(), weight)
