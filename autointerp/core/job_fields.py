"""Short names of a job's fields, as the command line has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OPTION_PLACES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "subject": (("subject",),),
    "units": (("units",),),
    "dtype": (("dtype",),),
    "llm": (("llm",),),
    "llm_model": (("llm_model",),),
    "corpus": (("corpus", "corpus"),),
    "tokens": (("corpus", "n_tokens"),),
    "n_ctx": (("corpus", "n_ctx"),),
    "explainer": (("explain", "explainers"),),
    "samples": (("explain", "n_samples"),),
    "scorer": (("score", "scorers"),),
    "heldout": (("score", "n_heldout"),),
    "score_width": (("score", "score_width"),),
    "windows_per_call": (("score", "windows_per_call"),),
    "receipts": (("score", "n_receipts"),),
    "describe": (("explain", "description"),),
    "sides": (("sides",),),
    "top": (("select", "n_top"), ("explain", "n_exemplars")),
    "diverse": (("select", "diverse"),),
    "quantiles": (("select", "explain_quantiles"),),
    "seed": (("seed",), ("corpus", "seed"), ("collect", "seed")),
    "top_k": (("collect", "top_k"),),
    "batch_windows": (("collect", "batch_windows"),),
    "shard": (("shard",),),
}
"""Where each option goes in a job; a seed goes to every step."""
_BUDGET = {"budget_usd": ("budget", "usd"), "budget_tokens": ("budget", "tokens")}
_LISTS = frozenset({"explainer", "scorer"})


def spelled_out(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A job in which short names may stand, ``{"corpus": "wiki", "tokens": 4000}``, as a whole one.

    Raises:
        ValueError: a short name beside the field that it stands for.
    """
    short = {
        name: value
        for name, value in fields.items()
        if name in _BUDGET
        or (name in OPTION_PLACES and len(OPTION_PLACES[name][0]) > 1 and _is_short(name, value))
    }
    whole = {name: value for name, value in fields.items() if name not in short}
    for name, value in short.items():
        for place in (_BUDGET[name],) if name in _BUDGET else OPTION_PLACES[name]:
            if not isinstance(whole.get(place[0], {}), Mapping):
                continue  # What is wrong there is said when the whole job is read.
            if _has(whole, place):
                full = ".".join(place)
                raise ValueError(f"{name} and {full} are the same field; give one of them")
            put_field(whole, place, _listed(name, value))
    return whole


def _listed(name: str, value: object) -> object:
    """A list where it may be written as a text, as on the command line."""
    if not isinstance(value, str):
        return value
    if name == "quantiles":
        return value.split(",")
    return [value] if name in _LISTS else value


def _is_short(name: str, value: object) -> bool:
    """A corpus is a field as well, of which the short name stands for one part."""
    return name != "corpus" or isinstance(value, str)


def _has(fields: Mapping[str, Any], place: tuple[str, ...]) -> bool:
    *outer, last = place
    inside: Any = fields
    for name in outer:
        inside = inside.get(name) if isinstance(inside, Mapping) else None
    return isinstance(inside, Mapping) and last in inside


def put_field(values: dict[str, Any], place: tuple[str, ...], value: object) -> None:
    """Sets what lies at a place, the last of whose names is within those before it."""
    *outer, last = place
    for name in outer:
        inside = values.get(name)
        values[name] = dict(inside) if isinstance(inside, Mapping) else {}
        values = values[name]
    values[last] = value
