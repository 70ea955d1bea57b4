"""Every field of a job by its name: from files, from ``--set select.n_top=20``, and into files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from rich.text import Text

from autointerp.cli.rendering.console import result_console
from autointerp.core.addresses import HIDDEN
from autointerp.core.errors import InputError
from autointerp.core.files import read_file
from autointerp.core.job_fields import OPTION_PLACES, put_field, spelled_out
from autointerp.core.one_line import shortened

_MOST_BYTES = 1 << 20
_DEEPEST = 3
"""More names than any field has."""
_TAG = "tag:yaml.org,2002:"
_FLOAT = re.compile(
    r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$|[-+]?[0-9]+[eE][-+]?[0-9]+$"
    r"|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
)
_SIGNED = "-+0123456789"


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Plain words are what they are in JSON and YAML 1.2.

    In YAML 1.1, 5:13 is a number in base 60, 010 is 8, ``no`` is false and 1e3 is a text.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - filled below, as in the library


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Quotes what either version of YAML would take for something else than a text."""


for _name, _pattern, _first in (
    ("null", re.compile(r"(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    ("int", re.compile(r"[-+]?(?:0|[1-9][0-9]*)$"), list(_SIGNED)),
    ("float", _FLOAT, list(f"{_SIGNED}.")),
    ("merge", re.compile(r"<<$"), ["<"]),
):
    _Loader.add_implicit_resolver(_TAG + _name, _pattern, _first)
_Dumper.add_implicit_resolver(f"{_TAG}float", _FLOAT, list(f"{_SIGNED}."))


def config_values(path: Path, model: type[BaseModel]) -> dict[str, Any]:
    """The fields of a job that a YAML or JSON file names, nested as the job is.

    Raises:
        InputError: it cannot be read, is no mapping, or names a field that the job does not have.
    """
    try:
        data = read_file(path, most=_MOST_BYTES)
        if data is None:
            raise InputError(f"--config {path} does not exist; --print-config prints such a file")
        values = _parsed(data)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = "" if where is None else f" in line {where.line + 1}"
        msg = f"--config {path} is not YAML or JSON{line}; --print-config prints such a file"
        raise InputError(msg) from error
    if not isinstance(values, dict):
        raise InputError(
            f"--config {path} does not hold fields by name; write for example units: 5:0-19"
        )
    for name in [name for name in values if isinstance(name, str) and "." in name]:
        put_field(values, tuple(name.split(".")), values.pop(name))
    try:
        values = spelled_out(values)
    except ValueError as error:
        raise InputError(f"--config {path}: {error}") from error
    for place in _places(values):
        _check_field(place, model, f"--config {path}")
    return values


def set_values(assignments: Sequence[str], model: type[BaseModel]) -> Iterator[tuple[Any, ...]]:
    """(place, value) of each ``select.n_top=20``.

    Where a field is no text, its value is read as YAML, so 20 is a number.

    Raises:
        InputError: without ``=``, or of a field that the job does not have.
    """
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            shown = shortened(without_passwords(assignment))
            msg = f"--set {shown} has no =; write for example select.n_top=20"
            raise InputError(msg)
        place = tuple(name.strip().split("."))
        kind = _check_field(place, model, "--set")
        try:
            yield place, _value(text.strip(), kind)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            msg = f"--set {name}: {shortened(without_passwords(text))} is no value"
            raise InputError(msg) from error


def without_passwords(text: str) -> str:
    """The text, of whose addresses everything before an @ is hidden."""
    return re.sub(r"://\S*@", f"://{HIDDEN}@", text)


def print_config_of(job: BaseModel) -> None:
    """Prints the job as a file that ``--config`` takes, every field written out."""
    values = job.model_dump(mode="json")
    text = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    result_console().print(Text(text.rstrip("\n")), soft_wrap=True)


def _parsed(data: bytes) -> Any:
    try:
        # YAML has JSON within it, but not its tabs, nor its characters in two escapes.
        return json.loads(data)
    except (ValueError, RecursionError):
        return yaml.load(data, _Loader)  # noqa: S506 - it is a safe one


def _value(text: str, kind: Any) -> Any:
    is_quoted = text[:1] in {'"', "'"}
    if _is_text(kind) and not is_quoted and text not in {"", "null", "~"}:
        return text
    return yaml.load(text, _Loader)  # noqa: S506 - it is a safe one


def _is_text(kind: Any) -> bool:
    """Whether a field takes texts, of whatever characters."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _is_text(get_args(kind)[0])
    if origin in {Union, UnionType}:
        return any(map(_is_text, get_args(kind)))
    return kind is str or origin is Literal


def _check_field(place: tuple[str, ...], model: type[BaseModel], origin: str) -> Any:
    """The type of the field."""
    known = dict(_fields(model))
    name = ".".join(place)
    if name in known:
        return known[name]
    if place[0] == "budget":
        raise InputError(f"{origin}: a budget is not a field of a job; use --budget-usd")
    meant = [".".join(full) for full in OPTION_PLACES.get(name, ())]
    near = (
        [full for full in meant if full in known]
        or get_close_matches(name, known, n=1)
        or [k for k in known if k.endswith(f".{place[-1]}")]
    )
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
        # A mapping may hold itself.
        if isinstance(value, Mapping) and len(place) < _DEEPEST:
            yield from _places(value, place)
        else:
            yield place
