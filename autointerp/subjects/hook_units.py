"""Which units are meant: the text people type, checked against a subject model."""

from __future__ import annotations

import logging
import os.path
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autointerp.core.errors import InputError
from autointerp.core.ids import HookPoint, UnitId
from autointerp.core.one_line import numbers, shortened
from autointerp.core.seeds import derive_seed
from autointerp.core.unit_spec import FileItem, HookItem, RandomItem, parse_unit_spec
from autointerp.subjects.directions import load_directions
from autointerp.subjects.encoders import Encoder
from autointerp.subjects.experts import experts_of
from autointerp.subjects.model import SubjectModel
from autointerp.subjects.sae_release import open_sae

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HookUnits:
    """Units at one hook point."""

    hook: str
    indices: tuple[int, ...]
    """0-based, ascending, each once."""

    def __repr__(self) -> str:
        return f"HookUnits({self.hook}: {numbers(self.indices)})"


def all_neurons(subject: SubjectModel, *, kind: str | None = None) -> tuple[HookUnits, ...]:
    """Every MLP neuron of every layer that has some, layers ascending.

    They are read at that kind, or at `SubjectModel.neuron_kind`.

    Layers without (mixtures of experts, state-space layers) are left out, which is logged.

    Raises:
        InputError: no layer has neurons.
    """
    layers, missing = neuron_layers(subject, kind=kind)
    if not layers:
        raise InputError(next(iter(missing.values()), f"{subject.name} has no layers"))
    beside = [f"the experts of layer {n}" for n in _with_experts(subject, layers)]
    if left_out := [*_first(list(missing.values())), *_first(beside)]:
        _LOG.warning("all of %s leaves out: %s", subject.name, "; ".join(left_out))
    return layers


def _first(told: Sequence[str], most: int = 2) -> list[str]:
    """What is told of the first layers, and how many more there are."""
    more = len(told) - most
    return [*told[:most], *([f"and {more} more layers"] if more > 0 else [])]


def _with_experts(subject: SubjectModel, units: Iterable[HookUnits]) -> list[int]:
    """The layers among these that have experts beside the MLP."""
    layers = [HookPoint(u.hook).layer for u in units]
    return [layer for layer in layers if experts_of(subject.bridge, layer) is not None]


def neuron_layers(
    subject: SubjectModel, *, kind: str | None = None
) -> tuple[tuple[HookUnits, ...], dict[int, str]]:
    """Every MLP neuron of the layers that have some, and why the other layers have none."""
    layers: list[HookUnits] = []
    missing: dict[int, str] = {}
    for layer in range(subject.n_layers):
        hook = f"blocks.{layer}.mlp.{kind or subject.neuron_kind}"
        try:
            layers.append(HookUnits(hook, tuple(range(subject.width(hook)))))
        except InputError as error:
            missing[layer] = str(error)
    return tuple(layers), missing


def select_units(ids: Iterable[UnitId]) -> tuple[HookUnits, ...]:
    """The same units, grouped by hook point, layers and indices ascending."""
    grouped: dict[tuple[int, str], set[int]] = {}
    for unit in ids:
        grouped.setdefault((unit.layer, unit.hook), set()).add(unit.index)
    return tuple(
        HookUnits(hook, tuple(sorted(grouped[layer, hook]))) for layer, hook in sorted(grouped)
    )


def open_encoder(item: FileItem) -> Encoder:
    """The SAE, transcoder or directions in a file.

    Raises:
        InputError: there is no such file, or it cannot be read here exactly.
    """
    if item.kind == "sae":
        return open_sae(item.path, hook=item.hook)
    path = Path(os.path.expanduser(item.path))  # a home folder of nobody stays as it is
    return load_directions(path, hook=item.hook)


def parse_units(
    spec: str,
    subject: SubjectModel,
    *,
    seed: int = 0,
    kind: str | None = None,
    opened: Callable[[FileItem], Any] = open_encoder,
) -> tuple[HookUnits, ...]:
    """The units that a specification (see `core.unit_spec`) names, each checked to exist.

    Encoders that are named are opened and attached to the model; the seed is of the random choice.
    Where no hook point is written, neurons are read at that kind, or at `SubjectModel.neuron_kind`.

    Raises:
        InputError: not of that grammar; or a layer, hook point, index or file that does not
            exist, or a file that does not fit the model.
    """
    parsed = parse_unit_spec(spec)
    kind = kind or subject.neuron_kind
    if parsed.all:
        return all_neurons(subject, kind=kind)
    if parsed.random is not None:
        return _random(parsed.random, spec.strip(), subject, seed, kind)
    result: dict[str, set[int]] = {}
    for item in parsed.items:
        hook, indices = _units_of(item, subject, kind, seed, opened)
        result.setdefault(hook, set()).update(indices)
    return _grouped(result)


def _units_of(
    item: HookItem | FileItem,
    subject: SubjectModel,
    kind: str,
    seed: int,
    opened: Callable[[FileItem], Any],
) -> tuple[str, Iterable[int]]:
    if isinstance(item, HookItem):
        hook = item.hook.replace("hook_post", kind) if item.usual else item.hook
        n_units, asked = subject.width(hook), item.indices
    else:
        encoder = opened(item)
        if item.indices is None and item.kind == "sae":
            raise InputError(
                f"units '{item}': {encoder.n_units} latents are many; write {item}:0-99 for some "
                f"of them, {item}:random:50 or {item}:all"
            )
        hook, n_units = subject.attach(encoder), encoder.n_units
        if isinstance(item.indices, RandomItem):
            return hook, _drawn(item, item.indices.n, encoder, seed)
        asked = None if item.indices == "all" else item.indices
    if asked is None:
        return hook, range(n_units)
    if asked.high >= n_units:
        msg = f"units '{item}': {hook} of {subject.name} has the units 0 to {n_units - 1}"
        raise InputError(msg)
    return hook, range(asked.low, asked.high + 1)


def _drawn(item: FileItem, n: int, encoder: Encoder, seed: int) -> list[int]:
    """So many units of an encoder; which ones depends on it and the seed, not on its path."""
    if n > encoder.n_units:
        msg = f"units '{item}': {n} asked for, but there are only {encoder.n_units}"
        raise InputError(msg)
    generator = random.Random(derive_seed(seed, "random units", encoder.digest))
    return generator.sample(range(encoder.n_units), n)


def _random(
    asked: RandomItem, text: str, subject: SubjectModel, seed: int, kind: str
) -> tuple[HookUnits, ...]:
    generator = random.Random(derive_seed(seed, "random units", text))
    if not asked.layers:
        neurons = all_neurons(subject, kind=kind)
        widths = {u.hook: len(u.indices) for u in neurons}
        return _grouped(_sampled(widths, asked.n, text, generator))
    hooks = [f"blocks.{layer}.mlp.{kind}" for layer in asked.layers]
    result: dict[str, set[int]] = {}
    for place, hook in enumerate(hooks):
        share = asked.n // len(hooks) + (place < asked.n % len(hooks))
        result |= _sampled({hook: subject.width(hook)}, share, text, generator)
    return _grouped({hook: chosen for hook, chosen in result.items() if chosen})


def _sampled(
    widths: Mapping[str, int], n: int, text: str, generator: random.Random
) -> dict[str, set[int]]:
    total = sum(widths.values())
    if n > total:
        raise InputError(f"units {shortened(text)}: {n} asked for, but there are only {total}")
    result: dict[str, set[int]] = {}
    for place in generator.sample(range(total), n):
        rest = place
        for hook, width in widths.items():
            if rest < width:
                result.setdefault(hook, set()).add(rest)
                break
            rest -= width
    return result


def _grouped(indices_by_hook: Mapping[str, set[int]]) -> tuple[HookUnits, ...]:
    hooks = sorted(indices_by_hook, key=lambda hook: (int(hook.split(".")[1]), hook))
    return tuple(HookUnits(hook, tuple(sorted(indices_by_hook[hook]))) for hook in hooks)
