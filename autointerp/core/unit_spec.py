"""The grammar in which people name units, read without a model.

One of ``all``, ``random:50`` over all layers, ``random:12@0,10,20`` spread evenly over those; or,
joined by commas, any of ``5:0-19`` (layer:indices of the MLP's neurons: ``mlp.hook_mid`` where a
model has one, SoLU before its LayerNorm, else ``mlp.hook_post``),
``blocks.5.mlp.hook_pre:0-9``, or ``/`` for its colon, as lists and pages name a unit,
``blocks.5.mlp.experts.3.hook_post:0-9`` (neurons of one expert of a
mixture, zero where the router chose others), ``layer:5``, ``sae:FOLDER:0-99``,
``sae:FOLDER:random:50`` or ``sae:FOLDER:all`` (a SAELens folder), ``dirs:FILE.safetensors`` with
indices or without. ``sae:FOLDER@blocks.5.hook_resid_post:0-99`` says at which hook point an SAE or
directions read, where their file does not, or in place of what it says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from autointerp.core.errors import InputError
from autointerp.core.one_line import shortened

UNIT_FORMS = (
    "5:0-19,7:3 or blocks.5.mlp.hook_pre:0-9 or layer:5 or random:50 or random:12@0,10,20 or all "
    "or sae:FOLDER:0-99 or sae:FOLDER:random:50 or dirs:FILE.safetensors"
)
MOST = 10**12
"""What every larger number is read as; no hook point has so many units."""
MOST_READ = 256
"""Units of one request for activations on a text."""

_ITEM = re.compile(
    r"(?P<where>[0-9]{1,6}(?=:)|blocks\.[0-9]{1,6}\.[a-z0-9_.]+)[:/](?P<low>[0-9]+)"
    r"(?:-(?P<high>[0-9]+))?"
)
_LAYER = re.compile(r"layer:([0-9]{1,6})")
_FILE = re.compile(
    r"(?P<kind>sae|dirs):(?P<path>.+?)(?:@(?P<hook>blocks\.[0-9]{1,6}\.[a-z0-9_.]+))?"
    r"(?::(?:(?P<low>[0-9]+)(?:-(?P<high>[0-9]+))?|(?P<all>all)|(?P<random>random:[0-9]+)))?",
    re.DOTALL,
)
_RANDOM = re.compile(r"random:([0-9]+)(?:@([0-9]{1,6}(?:,[0-9]{1,6})*))?")
_SEVERAL = re.compile(r"(.+):([0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)+)", re.DOTALL)
# Where an item begins, so that commas in between belong to a path.
_BEGINS = re.compile(r",(?=\s*(?:[0-9]+:|blocks\.[0-9]+\.|layer:|sae:|dirs:))")


@dataclass(frozen=True, slots=True)
class IndexRange:
    """Indices of units, both ends included, 0-based."""

    low: int
    high: int

    def __len__(self) -> int:
        return self.high - self.low + 1

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


@dataclass(frozen=True, slots=True)
class HookItem:
    """Units at a hook point of the model; every one of them where no range is given."""

    hook: str
    """For example ``blocks.5.mlp.hook_post``."""
    indices: IndexRange | None
    """None is written ``layer:5`` and only for neurons."""
    usual: bool = field(default=False, compare=False)
    """No hook point was written; ``mlp.hook_post`` stands for where the model has its neurons."""

    def __str__(self) -> str:
        layer = self.hook.split(".", 2)[1]
        if self.indices is None:
            return f"layer:{layer}"
        return f"{layer if self.usual else self.hook}:{self.indices}"


@dataclass(frozen=True, slots=True)
class RandomItem:
    """Units drawn at random from all layers, or evenly from some."""

    n: int
    layers: tuple[str, ...] = ()
    """Each once, in the order in which they were written; empty for all."""

    def __str__(self) -> str:
        return f"random:{self.n}" + (f"@{','.join(self.layers)}" if self.layers else "")


@dataclass(frozen=True, slots=True)
class FileItem:
    """Units of an encoder or of directions in a file."""

    kind: Literal["sae", "dirs"]
    path: str
    """As it was written: ``~`` is not expanded."""
    indices: IndexRange | RandomItem | Literal["all"] | None
    """None where none were named, which means all directions, and is too vague for an SAE."""
    hook: str | None = None
    """The hook point that is read, where it was named; else the file says it."""

    @property
    def source(self) -> str:
        """The file and the hook point, as they are written."""
        return f"{self.kind}:{self.path}" + (f"@{self.hook}" if self.hook else "")

    def __str__(self) -> str:
        return self.source if self.indices is None else f"{self.source}:{self.indices}"


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """What a specification says; ``str`` writes one that means the same."""

    items: tuple[HookItem | FileItem, ...] = ()
    random: RandomItem | None = None
    """Stands alone."""
    all: bool = False
    """Every neuron of every layer; stands alone."""

    @property
    def usual(self) -> bool:
        """Whether it names neurons without a hook point."""
        named = any(isinstance(item, HookItem) and item.usual for item in self.items)
        return self.all or self.random is not None or named

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file and folder that is read for it."""
        return tuple(item.path for item in self.items if isinstance(item, FileItem))

    def __str__(self) -> str:
        return "all" if self.all else ",".join(map(str, self.items)) or str(self.random)


def parse_unit_spec(text: str) -> UnitSpec:
    """What a specification names; whether it exists is for who knows the model.

    Raises:
        InputError: it is not of the grammar, or a range descends.
    """
    spec = text.strip()
    if spec == "all":
        return UnitSpec(all=True)
    if spec.startswith("random:"):
        return UnitSpec(random=_random(spec))
    return UnitSpec(tuple(_item(item.strip(), text) for item in _split(spec)))


def shown_value(value: object) -> str:
    """A setting's value as messages show it."""
    return shortened(value) if isinstance(value, str) else repr(value)


def _split(spec: str) -> list[str]:
    return _BEGINS.split(spec) if "sae:" in spec or "dirs:" in spec else spec.split(",")


def _item(item: str, spec: str) -> HookItem | FileItem:
    if layer := _LAYER.fullmatch(item):
        return HookItem(f"blocks.{int(layer[1])}.mlp.hook_post", None, usual=True)
    if file := _FILE.fullmatch(item):
        kind: Literal["sae", "dirs"] = "sae" if file["kind"] == "sae" else "dirs"
        if (several := _SEVERAL.fullmatch(item)) is not None:
            each = ",".join(f"{several[1]}:{one}" for one in several[2].split(","))
            raise InputError(f"units {shortened(item)}: each range names its file; write {each}")
        chosen = _random(file["random"]) if file["random"] else _indices(file, item)
        return FileItem(kind, file["path"], "all" if file["all"] else chosen, file["hook"])
    match = _ITEM.fullmatch(item)
    indices = _indices(match, item) if match else None
    if match is None or indices is None:
        msg = f"units {shortened(spec)}: {shortened(item)} is not of the form {UNIT_FORMS}"
        raise InputError(msg)
    where = match["where"]
    if where.isdigit():
        return HookItem(f"blocks.{where}.mlp.hook_post", indices, usual=True)
    return HookItem(where, indices)


def _indices(match: re.Match[str], item: str) -> IndexRange | None:
    if match["low"] is None:
        return None
    low, high = _number(match["low"]), _number(match["high"] or match["low"])
    if low > high:
        raise InputError(f"units {shortened(item)}: a range ascends; write {high}-{low}")
    return IndexRange(low, high)


def _random(spec: str) -> RandomItem:
    match = _RANDOM.fullmatch(spec)
    if match is None or _number(match[1]) < 1:
        msg = f"units {shortened(spec)}: write random:50, or random:12@0,10,20 for some layers"
        raise InputError(msg)
    return RandomItem(
        _number(match[1]), tuple(dict.fromkeys(filter(None, (match[2] or "").split(","))))
    )


def _number(digits: str) -> int:
    # Python refuses to read a number of thousands of digits.
    plain = digits.lstrip("0")
    return int(plain or "0") if len(plain) <= 12 else MOST
