"""Commands that take several options as one value, and the groups in which help shows options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, get_args, get_type_hints

_PANELS = {
    "What": "folder units other_units several limit encoder dtype sides seed config set_field "
    "from_manifest collected",
    "Text": "corpus tokens n_ctx top_k batch_windows shard token_tables",
    "Explaining": "explainer llm llm_model samples top diverse quantiles receipts describe",
    "Scoring": "scorer heldout score_width windows_per_call explanation program",
    "Money": "budget_usd budget_tokens order prices batch",
    "Output": "out resume save_every keep_collection print_config as_json key wait server",
}
_PANEL_OF = {name: panel for panel, names in _PANELS.items() for name in names.split()}


def with_options(
    command: Callable[..., None], *, helps: Mapping[str, str] | None = None
) -> Callable[..., None]:
    """The command with a parameter for each field of every parameter that is a dataclass.

    `helps` are help texts in place of those declared here, by parameter.
    """
    signature = inspect.signature(command, eval_str=True)
    groups = {p.name: p.annotation for p in signature.parameters.values()}
    groups = {name: kind for name, kind in groups.items() if is_dataclass(kind)}
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        kind = groups.get(parameter.name)
        parameters += [parameter] if kind is None else _parameters_of(kind)
    helped = [_helped(p, (helps or {}).get(p.name)) for p in parameters]

    @wraps(command)
    def spread(**values: Any) -> None:
        given = {
            name: kind(**{f.name: values.pop(f.name) for f in fields(kind)})
            for name, kind in groups.items()
        }
        command(**given, **values)

    spread.__signature__ = signature.replace(parameters=helped)  # type: ignore[attr-defined]
    return spread


def _parameters_of(kind: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(kind)
    ]


def _helped(parameter: inspect.Parameter, text: str | None) -> inspect.Parameter:
    parameter = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
    panel = _PANEL_OF.get(parameter.name)
    if text is None and panel is None:
        return parameter
    kind, info = get_args(parameter.annotation)
    info = copy(info)
    info.help = text or info.help
    info.rich_help_panel = panel
    return parameter.replace(annotation=Annotated[kind, info])
