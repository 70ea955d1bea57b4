"""Options of commands, each declared once, and commands that take several as one value."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer

_UNITS = typer.Option(help="5:0-19,7:3, layer:5, random:50, random:12@0,10, all.")

Subject = Annotated[
    str | None,
    typer.Argument(help="smollm2-135m (default), a Hugging Face name or folder, a .gguf."),
]
Units = Annotated[str | None, _UNITS]
RequiredUnits = Annotated[str, _UNITS]
Corpus = Annotated[
    str | None, typer.Option(help="wiki (default), python, a file or folder, hf:NAME, a mixture.")
]
Tokens = Annotated[int | None, typer.Option(help="Tokens to read.")]
NCtx = Annotated[int | None, typer.Option(help="Tokens per window.")]
Dtype = Annotated[str | None, typer.Option(help="float32 (default) or bfloat16.")]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
TopK = Annotated[int | None, typer.Option(help="Windows kept at each end, per split.")]
BatchWindows = Annotated[int | None, typer.Option(help="Windows per batch.")]
Shard = Annotated[str | None, typer.Option(help="I/N: only the I-th of N shards.")]
Explainers = Annotated[
    list[str] | None,
    typer.Option(help="token_activation, token_lookup, revision ...; repeatable."),
]
Scorers = Annotated[
    list[str] | None, typer.Option(help="simulation, detection, fuzzing ...; repeatable.")
]
Llm = Annotated[
    str | None, typer.Option(help="embedded (default), none, or an endpoint's base URL.")
]
LlmModel = Annotated[str | None, typer.Option(help="Model of that LLM.")]
Samples = Annotated[int | None, typer.Option(help="Answers that the LLM gives per unit.")]
Heldout = Annotated[int | None, typer.Option(help="Windows to score on.")]
Sides = Annotated[str | None, typer.Option(help="stronger (default) or both sides of zero.")]
ScoreWidth = Annotated[
    float | None, typer.Option(help="Stop asking when a score's interval is no wider than this.")
]
Top = Annotated[int | None, typer.Option(help="Strongest windows that an explainer is shown.")]
Diverse = Annotated[
    bool | None,
    typer.Option("--diverse", help="Pass over strong windows that nearly repeat a stronger one."),
]
Quantiles = Annotated[
    str | None,
    typer.Option(help="0.25,0.5,0.9: where the bands of weaker windows to explain are cut."),
]
WindowsPerCall = Annotated[int | None, typer.Option(help="Windows per request to an LLM.")]
Receipts = Annotated[
    int | None,
    typer.Option(
        help="Texts that the LLM writes to try its explanation on the model; 20, or 0 with the "
        "embedded one."
    ),
]
Describe = Annotated[
    str | None,
    typer.Option(help="Which explanation describes a unit where both score: llm, better or rules."),
]
BudgetUsd = Annotated[float | None, typer.Option(help="Most dollars that the LLM may cost.")]
BudgetTokens = Annotated[int | None, typer.Option(help="Most tokens that the LLM may use.")]
LlmFirst = Annotated[
    str | None,
    typer.Option(
        "--order",
        help="Which units the LLM labels before the budget ends: lookup (default: where the token "
        "table predicts most), asked (as named) or random; the others are labelled by rules.",
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue what is in the folder.")]
RecordFiles = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help="Our own record files, or NeuronRecord JSON."),
]
JsonFile = Annotated[
    Path | None, typer.Option("--out", help="File for the JSON, beside what is printed.")
]
Server = Annotated[
    str | None,
    typer.Option(help="Address of the server; AUTOINTERP_SERVER, or http://127.0.0.1:8000."),
]
JobId = Annotated[str, typer.Argument(help="The id that submit printed: job_...")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelOptions:
    """The options of ``label`` and ``submit`` that describe a job; None where not given."""

    subject: Subject = None
    units: Units = None
    corpus: Corpus = None
    tokens: Tokens = None
    n_ctx: NCtx = None
    explainer: Explainers = None
    scorer: Scorers = None
    llm: Llm = None
    llm_model: LlmModel = None
    dtype: Dtype = None
    samples: Samples = None
    heldout: Heldout = None
    sides: Sides = None
    top: Top = None
    top_k: TopK = None
    diverse: Diverse = None
    quantiles: Quantiles = None
    score_width: ScoreWidth = None
    windows_per_call: WindowsPerCall = None
    receipts: Receipts = None
    describe: Describe = None
    seed: Seed = None

    @property
    def given(self) -> tuple[str, ...]:
        """The options that were given, as they are written on the command line."""
        return tuple(
            option_name(f.name) for f in fields(self) if getattr(self, f.name) not in (None, [])
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectOptions:
    """The options of ``collect`` that describe a collection; None where not given."""

    units: RequiredUnits
    subject: Subject = None
    corpus: Corpus = None
    tokens: Tokens = None
    n_ctx: NCtx = None
    dtype: Dtype = None
    seed: Seed = None
    top_k: TopK = None
    batch_windows: BatchWindows = None
    shard: Shard = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainOptions:
    """The options of ``explain`` that describe a job; None where not given."""

    explainer: Explainers = None
    llm: Llm = None
    llm_model: LlmModel = None
    samples: Samples = None
    top: Top = None
    diverse: Diverse = None
    windows_per_call: WindowsPerCall = None
    seed: Seed = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreOptions:
    """The options of ``score`` that describe a job; None where not given."""

    scorer: Scorers = None
    llm: Llm = None
    llm_model: LlmModel = None
    heldout: Heldout = None
    windows_per_call: WindowsPerCall = None
    seed: Seed = None


def option_name(name: str) -> str:
    """The option as it is written on the command line."""
    return "SUBJECT" if name == "subject" else "--" + name.replace("_", "-")


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
    if text is None:
        return parameter
    kind, info = get_args(parameter.annotation)
    info = copy(info)
    info.help = text
    return parameter.replace(annotation=Annotated[kind, info])
