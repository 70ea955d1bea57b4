"""Options of commands, each declared once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from autointerp.core.config import (
    CollectConfig,
    CorpusConfig,
    ExplainConfig,
    ScoreConfig,
    SelectConfig,
)

_UNITS = typer.Option(
    help="5:0-19,7:3 (layer:neurons), layer:5, random:50, random:12@0,10, all, a hook point as "
    "blocks.5.hook_resid_post:0-9, sae:FOLDER:0-99, sae:FOLDER:random:50, sae:FOLDER@HOOK:0-99, "
    "dirs:FILE.safetensors; joined by commas."
)
_CORPUS, _COLLECT, _SELECT, _EXPLAIN, _SCORE = (
    CorpusConfig(),
    CollectConfig(),
    SelectConfig(),
    ExplainConfig(),
    ScoreConfig(),
)
_BY_LLM = "what fits the LLM"


def _option(text: str, default: object) -> Any:
    """An option whose default is not what the command is given where it is left out."""
    return typer.Option(help=f"{text} (default: {default}).")


Subject = Annotated[
    str | None,
    typer.Argument(help="smollm2-135m (default), a Hugging Face name or folder, a .gguf."),
]
Units = Annotated[str | None, _UNITS]
Corpus = Annotated[
    str | None,
    typer.Option(
        help="wiki (default), python, a file or folder[:field], a save_to_disk folder"
        "[:split[:field]], hf:NAME, a mixture."
    ),
]
Tokens = Annotated[int | None, _option("Tokens to read", f"{_CORPUS.n_tokens:,}")]
NCtx = Annotated[int | None, _option("Tokens per window", str(_CORPUS.n_ctx))]
Dtype = Annotated[str | None, typer.Option(help="float32 (default) or bfloat16.")]
Seed = Annotated[int | None, _option("Seed of everything random", "0")]
TopK = Annotated[
    int | None,
    _option("Windows kept at each end, per split", str(_COLLECT.top_k)),
]
BatchWindows = Annotated[int | None, _option("Windows per batch", str(_COLLECT.batch_windows))]
Shard = Annotated[str | None, _option("I/N: only the I-th of N shards", "1/1")]
Explainers = Annotated[
    list[str] | None,
    _option("token_activation, token_lookup, revision ...; repeatable", _BY_LLM),
]
Scorers = Annotated[
    list[str] | None,
    _option("simulation, detection, fuzzing ...; repeatable", _BY_LLM),
]
Llm = Annotated[
    str | None, typer.Option(help="embedded (default), none, or an endpoint's base URL.")
]
LlmModel = Annotated[str | None, typer.Option(help="Model of that LLM.")]
Samples = Annotated[
    int | None,
    _option("Answers that the LLM gives per unit", str(_EXPLAIN.n_samples)),
]
Heldout = Annotated[int | None, _option("Windows to score on", str(_SCORE.n_heldout))]
Sides = Annotated[str | None, typer.Option(help="stronger (default) or both sides of zero.")]
ScoreWidth = Annotated[
    float | None,
    _option("Stop asking when a score's interval is no wider than this", "ask all"),
]
Top = Annotated[
    int | None,
    _option("Strongest windows that an explainer is shown", str(_SELECT.n_top)),
]
Diverse = Annotated[
    bool | None,
    typer.Option("--diverse", help="Pass over strong windows that nearly repeat a stronger one."),
]
Quantiles = Annotated[
    str | None,
    _option(
        "Where the bands of weaker windows to explain are cut",
        ",".join(map(str, _SELECT.explain_quantiles)),
    ),
]
WindowsPerCall = Annotated[
    int | None,
    _option("Windows per request to an LLM", str(_SCORE.windows_per_call)),
]
Receipts = Annotated[
    int | None,
    typer.Option(
        help="Texts that the LLM writes to try its explanation on the model; 20, or 0 with the "
        "embedded one."
    ),
]
Describe = Annotated[
    str | None,
    _option(
        "Which explanation describes a unit where both score: llm, better or rules",
        _EXPLAIN.description,
    ),
]
BudgetUsd = Annotated[float | None, _option("Most dollars that the LLM may cost", "no limit")]
BudgetTokens = Annotated[int | None, _option("Most tokens that the LLM may use", "no limit")]
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
    typer.Argument(metavar="FILE", help="Our own record files, or NeuronRecord JSON."),
]
JsonFile = Annotated[
    Path | None, typer.Option("--out", help="File for the JSON, beside what is printed.")
]
OfCorpus = Annotated[
    str | None, typer.Option("--corpus", help="Labels made from this text; else the newest.")
]
OfExplainer = Annotated[
    str | None, typer.Option("--explainer", help="Labels by this explainer; else the newest.")
]
Server = Annotated[
    str | None,
    typer.Option(help="Address of the server; AUTOINTERP_SERVER, or http://127.0.0.1:8000."),
]
JobId = Annotated[str, typer.Argument(help="The id that submit printed: job_...")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


Config = Annotated[
    Path | None,
    typer.Option(help="YAML or JSON file with fields of the job; options go before it."),
]
SetField = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any field of the job by its name: select.n_band=4; repeatable."),
]
PrintConfig = Annotated[
    bool,
    typer.Option("--print-config", help="Print the whole job as a file for --config, and end."),
]


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
    config: Config = None
    set_field: SetField = None

    @property
    def given(self) -> tuple[str, ...]:
        """The options that were given, as they are written on the command line."""
        return tuple(
            option_name(f.name) for f in fields(self) if getattr(self, f.name) not in (None, [])
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectOptions:
    """The options of ``collect`` that describe a collection; None where not given."""

    units: Units = None
    subject: Subject = None
    corpus: Corpus = None
    tokens: Tokens = None
    n_ctx: NCtx = None
    dtype: Dtype = None
    seed: Seed = None
    top_k: TopK = None
    batch_windows: BatchWindows = None
    shard: Shard = None
    config: Config = None
    set_field: SetField = None


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
    config: Config = None
    set_field: SetField = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreOptions:
    """The options of ``score`` that describe a job; None where not given."""

    scorer: Scorers = None
    llm: Llm = None
    llm_model: LlmModel = None
    heldout: Heldout = None
    windows_per_call: WindowsPerCall = None
    seed: Seed = None
    config: Config = None
    set_field: SetField = None


_WRITTEN = {"subject": "SUBJECT", "set_field": "--set"}


def option_name(name: str) -> str:
    """The option as it is written on the command line."""
    return _WRITTEN.get(name, "--" + name.replace("_", "-"))
