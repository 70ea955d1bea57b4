"""Units that a subject does not have, told from configurations and heads of files alone."""

from __future__ import annotations

import os.path
from collections.abc import Iterator
from pathlib import Path

from autointerp.core.errors import InputError
from autointerp.core.unit_spec import FileItem, HookItem, UnitSpec, parse_unit_spec
from autointerp.orchestration.counted_units import counted_units
from autointerp.settings import Settings
from autointerp.subjects import parse_units
from autointerp.subjects.directions import read_directions_head
from autointerp.subjects.encoders import EncoderHead
from autointerp.subjects.model_facts import NOT_RUN
from autointerp.subjects.sae_release import open_sae_head
from autointerp.subjects.unloaded import UnloadedSubject, unloaded_subject
from autointerp.wiring.job_plans import subject_shape


def check_units_beforehand(units: str, subject: str, settings: Settings) -> None:
    """Nothing, unless it can be told without weights that a subject does not have these units.

    What is wrong with the subject itself, or depends on values, shows when it is loaded.

    Raises:
        InputError: as `parse_units` of the loaded subject.
    """
    parsed = parse_unit_spec(units)
    for item in parsed.items:
        if isinstance(item, FileItem):
            _head(item)
    if parsed.all or _are_neurons_of_a_usual_model(parsed, subject):
        return
    if parsed.random is not None and not parsed.random.layers:
        return
    unloaded = unloaded_subject(subject, settings.cache_dir)
    here = UnitSpec(tuple(item for item in parsed.items if _is_here(item)), parsed.random)
    if unloaded is None or not (here.items or here.random):
        return
    try:
        unloaded.look_at(_hooks(here, unloaded))
        if unloaded.is_sure:
            parse_units(str(here), unloaded, opened=_head)
    except NOT_RUN:
        return  # What an expert computes, for one, depends on values.


def _is_here(item: HookItem | FileItem) -> bool:
    """Whether it is not of a release that would have to be fetched."""
    return isinstance(item, HookItem) or _head(item) is not None


def _head(item: FileItem) -> EncoderHead | None:
    """The sizes of an encoder; None for one of a release, which is fetched when it is loaded."""
    if item.kind == "sae":
        return open_sae_head(item.path, hook=item.hook)
    path = Path(os.path.expanduser(item.path))  # a home folder of nobody stays as it is
    return read_directions_head(path, hook=item.hook)


def _hooks(spec: UnitSpec, subject: UnloadedSubject) -> Iterator[str]:
    """Hook points that are read for these units."""
    for layer in () if spec.random is None else spec.random.layers:
        yield f"blocks.{layer}.mlp.{subject.neuron_kind}"
    for item in spec.items:
        if isinstance(item, HookItem):
            yield item.hook.replace("hook_post", subject.neuron_kind) if item.usual else item.hook
        elif (head := _head(item)) is not None:
            yield head.hook


def _are_neurons_of_a_usual_model(spec: UnitSpec, subject: str) -> bool:
    """Whether they are neurons that the shape of the model has, which takes no time to tell.

    Raises:
        InputError: it does not have them.
    """
    usual = all(isinstance(item, HookItem) and item.usual for item in spec.items)
    if not usual or Path(subject).suffix == ".gguf":
        return False
    try:
        shape = subject_shape(subject)
    except InputError:
        return False
    if shape.uniform:
        counted_units(str(spec), shape)
    return shape.uniform
