"""Some labels of a dictionary, by the units that a person names or at random."""

from __future__ import annotations

import random
from collections.abc import Iterable

from autointerp.core.errors import InputError
from autointerp.core.ids import Side, UnitId
from autointerp.core.seeds import derive_seed
from autointerp.core.unit_spec import HookItem, UnitSpec, parse_unit_spec
from autointerp.dictionary.read import Dictionary

_MLP = "mlp"


def chosen_labels(
    dictionary: Dictionary, *, units: str | None, limit: int | None, seed: int
) -> tuple[tuple[UnitId, Side], ...]:
    """The sides of units that have a label, by layer, hook point, index and side.

    Args:
        dictionary: of which they are.
        units: as in a job, without what is drawn or lies in files; all where None.
        limit: so many of them at random; all where None or where there are no more.
        seed: of the random choice.

    Raises:
        InputError: no label is of those units, or they are named in another way.
    """
    every = list(dictionary.sides())
    wanted = every if units is None else _among(every, _spec(units))
    if not wanted:
        named = "holds no labels" if units is None else f"has no label of {units}"
        raise InputError(f"{dictionary.folder} {named}; it has {len(every):,} labels")
    if limit is not None and limit < len(wanted):
        drawn = random.Random(derive_seed(seed, "labels to rescore"))
        wanted = [wanted[place] for place in sorted(drawn.sample(range(len(wanted)), limit))]
    return tuple(wanted)


def _spec(units: str) -> UnitSpec:
    spec = parse_unit_spec(units)
    if spec.random is not None:
        raise InputError(f"units {units} are drawn from the model; --limit draws from the labels")
    if spec.paths:
        raise InputError(
            f"units {units} lie in a file; name latents as their labels do, "
            "blocks.5.hook_resid_post.sae_mine:0-99"
        )
    return spec


def _among(every: Iterable[tuple[UnitId, Side]], spec: UnitSpec) -> list[tuple[UnitId, Side]]:
    items = [item for item in spec.items if isinstance(item, HookItem)]
    return [(unit, side) for unit, side in every if spec.all or any(_is_of(unit, x) for x in items)]


def _is_of(unit: UnitId, item: HookItem) -> bool:
    if item.indices is not None and not item.indices.low <= unit.index <= item.indices.high:
        return False
    if not item.usual:
        return unit.hook == item.hook
    # Without a hook point it is a neuron, wherever the model has its neurons.
    parts = unit.hook.split(".")
    return parts[1] == item.hook.split(".")[1] and parts[2:-1] == [_MLP]
