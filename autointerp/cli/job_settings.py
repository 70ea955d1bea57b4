"""Every field of a job by its name: from files, from ``--set select.n_top=20``, and into files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from rich.text import Text

from autointerp.cli.rendering.console import result_console
from autointerp.core.errors import InputError
from autointerp.core.files import read_file
from autointerp.core.job_fields import spelled_out
from autointerp.core.unit_spec import shortened

_MOST_BYTES = 1 << 20


def config_values(path: Path, model: type[BaseModel]) -> dict[str, Any]:
    """The fields of a job that a YAML or JSON file names, nested as the job is.

    Raises:
        InputError: it cannot be read, is no mapping, or names a field that the job does not have.
    """
    try:
        data = read_file(path, most=_MOST_BYTES)
        if data is None:
            raise InputError(f"--config {path} does not exist; --print-config prints such a file")
        values = yaml.safe_load(data)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = "" if where is None else f" in line {where.line + 1}"
        msg = f"--config {path} is not YAML or JSON{line}; --print-config prints such a file"
        raise InputError(msg) from error
    if not isinstance(values, dict):
        raise InputError(f"--config {path} is no list of fields; write for example units: 5:0-19")
    try:
        values = spelled_out(values)
    except ValueError as error:
        raise InputError(f"--config {path}: {error}") from error
    for place in _places(values):
        _check_field(place, model, f"--config {path}")
    return values


def set_values(assignments: Sequence[str], model: type[BaseModel]) -> Iterator[tuple[Any, ...]]:
    """(place, value) of each ``select.n_top=20``; values are read as YAML, so 20 is a number.

    Raises:
        InputError: without ``=``, or of a field that the job does not have.
    """
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            msg = f"--set {shortened(assignment)} has no =; write for example select.n_top=20"
            raise InputError(msg)
        place = tuple(name.strip().split("."))
        _check_field(place, model, "--set")
        try:
            yield place, yaml.safe_load(text)
        except yaml.YAMLError as error:
            msg = f"--set {shortened(assignment)}: {shortened(text)} is no value"
            raise InputError(msg) from error


def print_config_of(job: BaseModel) -> None:
    """Prints the job as a file that ``--config`` takes, every field written out."""
    text = yaml.safe_dump(job.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    result_console().print(Text(text.rstrip("\n")), soft_wrap=True)


def _check_field(place: tuple[str, ...], model: type[BaseModel], origin: str) -> None:
    known = dict(_fields(model))
    name = ".".join(place)
    if name in known:
        return
    near = get_close_matches(name, known, n=1) or [k for k in known if k.endswith(f".{place[-1]}")]
    advice = f"did you mean {near[0]}?" if near else f"it has {', '.join(_top(known))}"
    raise InputError(f"{origin}: a job has no field {shortened(name)}; {advice}")


def _top(known: Mapping[str, Any]) -> list[str]:
    return [name for name in known if "." not in name]


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, type) of every field, those that hold others before theirs."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field.annotation
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _fields(kind, f"{prefix}{name}.")


def _places(values: Mapping[Any, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in values.items():
        place = (*prefix, str(name))
        if isinstance(value, Mapping):
            yield from _places(value, place)
        else:
            yield place
