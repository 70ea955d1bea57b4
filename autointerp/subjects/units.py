"""Which units are meant: the text people type, checked against a subject model."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.core.seeds import derive_seed
from autointerp.subjects.directions import load_directions
from autointerp.subjects.encoders import Encoder
from autointerp.subjects.model import SubjectModel
from autointerp.subjects.sae import load_sae

_FORMS = (
    "5:0-19,7:3 or blocks.5.mlp.hook_pre:0-9 or layer:5 or random:50 or random:12@0,10,20 or all "
    "or sae:FOLDER:0-99 or dirs:FILE.safetensors"
)
_ITEM = re.compile(r"(?P<where>\d+|blocks\.\d+\.[a-z0-9_.]+):(?P<low>\d+)(?:-(?P<high>\d+))?")
_FILED = re.compile(r"(?P<kind>sae|dirs):(?P<path>.+?)(?::(?P<which>\d+(?:-\d+)?|all))?", re.DOTALL)
# Where an item begins, so that commas in between belong to a path.
_BEGINS = re.compile(r",(?=\s*(?:\d+:|blocks\.\d+\.|layer:|sae:|dirs:))")


@dataclass(frozen=True, slots=True)
class HookUnits:
    """Units at one hook point."""

    hook: str
    indices: tuple[int, ...]
    """0-based, ascending, each once."""


def all_neurons(subject: SubjectModel, *, kind: str = "hook_post") -> tuple[HookUnits, ...]:
    """Every MLP neuron of every layer, layers ascending."""
    hooks = [f"blocks.{layer}.mlp.{kind}" for layer in range(subject.n_layers)]
    return tuple(HookUnits(hook, tuple(range(subject.width(hook)))) for hook in hooks)


def select_units(ids: Iterable[UnitId]) -> tuple[HookUnits, ...]:
    """The same units, grouped by hook point, layers and indices ascending."""
    grouped: dict[tuple[int, str], set[int]] = {}
    for unit in ids:
        grouped.setdefault((unit.layer, unit.hook), set()).add(unit.index)
    return tuple(
        HookUnits(hook, tuple(sorted(grouped[layer, hook]))) for layer, hook in sorted(grouped)
    )


def parse_units(spec: str, subject: SubjectModel, *, seed: int = 0) -> tuple[HookUnits, ...]:
    """The units that a specification names, each checked to exist.

    Args:
        spec: ``5:0-19,7:3`` (layer:indices of ``mlp.hook_post``), ``blocks.5.mlp.hook_pre:0-9``,
            ``layer:5``, ``random:50`` over all layers, ``random:12@0,10`` spread evenly over
            those layers, ``all``, ``sae:FOLDER:0-99`` or ``sae:FOLDER:all`` (a SAELens folder),
            ``dirs:FILE.safetensors`` with indices or without. Several are joined by commas;
            random units and ``all`` stand alone.
        subject: the model. Encoders that are named are attached to it.
        seed: of the random choice.

    Raises:
        InputError: not of these forms; or a layer, hook point, index or file that does not
            exist, or a file that does not fit the model.
    """
    text = spec.strip()
    if text == "all":
        return all_neurons(subject)
    if text.startswith("random:"):
        return _random(text, subject, seed)
    found: dict[str, set[int]] = {}
    for item in _items(text):
        hook, indices = _item(item.strip(), spec, subject)
        found.setdefault(hook, set()).update(indices)
    return _grouped(found)


def _items(text: str) -> list[str]:
    if "sae:" in text or "dirs:" in text:
        return _BEGINS.split(text)
    return text.split(",")


def _item(item: str, spec: str, subject: SubjectModel) -> tuple[str, range]:
    if item.startswith("layer:") and item[6:].isdigit():
        hook = f"blocks.{int(item[6:])}.mlp.hook_post"
        return hook, range(subject.width(hook))
    filed = _FILED.fullmatch(item)
    if filed is not None:
        return _filed_units(filed, item, subject)
    match = _ITEM.fullmatch(item)
    if match is None:
        msg = f"units {spec!r}: {item!r} is not of the form {_FORMS}"
        raise InputError(msg)
    where = match["where"]
    hook = f"blocks.{where}.mlp.hook_post" if where.isdigit() else where
    low, high = int(match["low"]), int(match["high"] or match["low"])
    return hook, _checked(low, high, hook, item, subject)


def _checked(low: int, high: int, hook: str, item: str, subject: SubjectModel) -> range:
    width = subject.width(hook)
    if low > high or high >= width:
        msg = f"units {item!r}: {hook} of {subject.name} has the units 0 to {width - 1}"
        raise InputError(msg)
    return range(low, high + 1)


def _filed_units(match: re.Match[str], item: str, subject: SubjectModel) -> tuple[str, range]:
    path = Path(match["path"]).expanduser()
    encoder: Encoder = load_sae(path) if match["kind"] == "sae" else load_directions(path)
    which = match["which"]
    if which is None and match["kind"] == "sae":
        msg = (
            f"units {item!r}: {encoder.n_units} latents are many; write {item}:0-99 for some of "
            f"them or {item}:all"
        )
        raise InputError(msg)
    hook = subject.attach(encoder)
    if which in (None, "all"):
        return hook, range(encoder.n_units)
    low, _, high = which.partition("-")
    return hook, _checked(int(low), int(high or low), hook, item, subject)


def _random(text: str, subject: SubjectModel, seed: int) -> tuple[HookUnits, ...]:
    match = re.fullmatch(r"random:(\d+)(?:@(\d+(?:,\d+)*))?", text)
    if match is None or int(match[1]) < 1:
        msg = f"units {text!r}: write random:50, or random:12@0,10,20 for some layers"
        raise InputError(msg)
    n = int(match[1])
    generator = random.Random(derive_seed(seed, "random units", text))
    if match[2] is None:
        neurons = all_neurons(subject)
        return _grouped(_draw({u.hook: len(u.indices) for u in neurons}, n, text, generator))
    hooks = [f"blocks.{layer}.mlp.hook_post" for layer in dict.fromkeys(match[2].split(","))]
    found: dict[str, set[int]] = {}
    for place, hook in enumerate(hooks):
        share = n // len(hooks) + (place < n % len(hooks))
        found |= _draw({hook: subject.width(hook)}, share, text, generator)
    return _grouped({hook: chosen for hook, chosen in found.items() if chosen})


def _draw(
    widths: Mapping[str, int], n: int, text: str, generator: random.Random
) -> dict[str, set[int]]:
    total = sum(widths.values())
    if n > total:
        msg = f"units {text!r}: {n} asked for, but there are only {total}"
        raise InputError(msg)
    found: dict[str, set[int]] = {}
    for place in generator.sample(range(total), n):
        rest = place
        for hook, width in widths.items():
            if rest < width:
                found.setdefault(hook, set()).add(rest)
                break
            rest -= width
    return found


def _grouped(found: Mapping[str, set[int]]) -> tuple[HookUnits, ...]:
    hooks = sorted(found, key=lambda hook: (int(hook.split(".")[1]), hook))
    return tuple(HookUnits(hook, tuple(sorted(found[hook]))) for hook in hooks)
