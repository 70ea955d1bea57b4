"""What a request names, checked as far as it can be without a worker: units, models of LLMs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from autointerp.api.config import ApiConfig
from autointerp.api.problems import Problem
from autointerp.core.errors import InputError
from autointerp.store.board import Board

_ITEM = re.compile(
    r"(?P<where>\d{1,6}|blocks\.\d{1,6}\.[a-z0-9_.]+):(?P<low>\d+)(?:-(?P<high>\d+))?", re.ASCII
)
_LAYER = re.compile(r"layer:(?P<layer>[0-9]{1,6})")
_RANDOM = re.compile(r"random:(?P<n>[0-9]+)(?:@.*)?", re.DOTALL)
_FILED = ("sae:", "dirs:")
_HUGE = 10**12


class _Hook(BaseModel):
    hook: str
    width: int


class _Note(BaseModel):
    n_layers: int
    hooks: tuple[_Hook, ...]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a worker has said of a subject model."""

    n_layers: int
    widths: Mapping[str, int]
    """Units by hook point."""


def facts_of(board: Board, subject: str) -> ModelFacts | None:
    """What is known of a subject; None until a worker has loaded it."""
    text = board.note("models", subject)
    if text is None:
        return None
    try:
        note = _Note.model_validate_json(text)
    except ValidationError:
        return None  # Of another version; the worker checks the units itself.
    return ModelFacts(note.n_layers, {found.hook: found.width for found in note.hooks})


def check_llm_model(config: ApiConfig, llm: str, model: str | None) -> None:
    """Refuses a model that the alias does not lead to.

    Raises:
        Problem: 422.
    """
    if model is None:
        return
    provider = config.providers.get(llm)
    if provider is None:
        raise Problem(422, "llm_model_unknown", f"llm {llm!r} takes no llm_model")
    try:
        provider.model_for(model)
    except InputError as error:
        raise Problem(422, "llm_model_unknown", str(error)) from error


def check_units(spec: str, facts: ModelFacts | None, *, limit: int) -> None:
    """Refuses units that do not exist or are too many, as far as that can be known here.

    Raises:
        Problem: 422.
    """
    n = _count(spec.strip(), facts)
    if n > limit:
        named = f"{n:,}" if n < _HUGE else "too many"
        detail = f"units {_short(spec)}: {named} units were asked for, a request takes {limit:,}"
        raise Problem(422, "too_many_units", detail)


def _count(spec: str, facts: ModelFacts | None) -> int:
    if spec == "all":
        plain = (
            {h: n for h, n in facts.widths.items() if h.endswith(".mlp.hook_post")} if facts else {}
        )
        return sum(plain.values())
    chosen = _RANDOM.fullmatch(spec)
    if chosen:
        return _number(chosen["n"])
    if any(kind in spec for kind in _FILED):
        return 0  # Counted where the file is.
    return sum(_of_item(item.strip(), spec, facts) for item in spec.split(","))


def _of_item(item: str, spec: str, facts: ModelFacts | None) -> int:
    layer = _LAYER.fullmatch(item)
    if layer is not None:
        return _width(f"blocks.{int(layer['layer'])}.mlp.hook_post", facts) or 0
    match = _ITEM.fullmatch(item)
    if match is None:
        detail = (
            f"units {_short(spec)}: {_short(item)} is not of the form 5:0-19,7:3 or "
            "blocks.5.mlp.hook_pre:0-9 or layer:5 or random:50 or random:12@0,10,20 or all"
        )
        raise Problem(422, "unit_unknown", detail)
    where = match["where"]
    hook = f"blocks.{where}.mlp.hook_post" if where.isdigit() else where
    low, high = _number(match["low"]), _number(match["high"] or match["low"])
    width = _width(hook, facts)
    if low > high or (width is not None and high >= width):
        has = f"{hook} has the units 0 to {width - 1}" if width else "a range ascends"
        raise Problem(422, "unit_unknown", f"units {_short(item)}: {has}")
    return high - low + 1


def _width(hook: str, facts: ModelFacts | None) -> int | None:
    if facts is None:
        return None
    layer = int(hook.split(".")[1])
    if layer >= facts.n_layers:
        detail = f"{_short(hook)}: the model has the layers 0 to {facts.n_layers - 1}"
        raise Problem(422, "unit_unknown", detail)
    # Hook points that the note does not name may exist all the same.
    return facts.widths.get(hook)


def _number(digits: str) -> int:
    return int(digits) if len(digits) <= 12 else _HUGE


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}...")
