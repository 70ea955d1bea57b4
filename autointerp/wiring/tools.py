"""Explainers and scorers by name, and those that a job asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from autointerp.activations.embedding import load_embedder
from autointerp.core.config import ExplainConfig, JobSpec, ScoreConfig
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.explainers import (
    Contrastive,
    Explainer,
    MarkedTokens,
    OutputSide,
    ProgramExplainer,
    Revision,
    TokenActivation,
    TokenList,
    TokenLookup,
)
from autointerp.llm import ChatModel, EchoModel
from autointerp.pipeline import Tools
from autointerp.scorers import (
    Contrast,
    Detection,
    Discrimination,
    EchoSimulation,
    Embedding,
    Fuzzing,
    Generative,
    InputTest,
    OutputTest,
    Responsiveness,
    Scorer,
    Simulation,
    SparseSimulation,
)

__all__ = [
    "EXPLAINERS",
    "SCORERS",
    "SIMULATIONS",
    "Bench",
    "asks_an_llm",
    "build_tools",
    "check_names",
]

_LEAST_POOL = 3


@dataclass(frozen=True, slots=True)
class Bench:
    """What a scorer is built from."""

    model: ChatModel
    config: ScoreConfig
    pool: Sequence[UnitId] = ()
    """Units of the job, from which some scorers take others to tell this one from."""


def _echo_model(model: ChatModel) -> EchoModel:
    if not isinstance(model, EchoModel):
        msg = (
            f"simulation_echo needs /v1/completions with echo, which {model.name} here has not; "
            "take --scorer simulation"
        )
        raise InputError(msg)
    return model


def _output_test(bench: Bench) -> Scorer:
    if len(bench.pool) < _LEAST_POOL:
        msg = (
            f"output_test tells a unit from two others, and the job has {len(bench.pool)} units "
            "whose model is at hand; name at least three"
        )
        raise InputError(msg)
    return OutputTest(bench.model, bench.pool)


EXPLAINERS: Mapping[str, Callable[[ChatModel, ExplainConfig, int], Explainer]] = {
    "token_activation": lambda model, config, seed: TokenActivation(model, config, seed=seed),
    "marked_tokens": lambda model, config, seed: MarkedTokens(model, config, seed=seed),
    "contrastive": lambda model, config, seed: Contrastive(model, config, seed=seed),
    "token_list": lambda model, config, seed: TokenList(model, config, seed=seed),
    "output_side": lambda model, config, seed: OutputSide(model, config, seed=seed),
    "program": lambda model, config, seed: ProgramExplainer(model, config, seed=seed),
    "revision": lambda model, config, seed: Revision(
        TokenActivation(model, config, seed=seed),
        model,
        config,
        seed=seed,
        n_texts=config.n_counterexamples,
        n_rounds=config.n_revisions,
    ),
}
"""Explainers that ask an LLM; `TokenLookup` needs none."""

SIMULATIONS: Mapping[str, Callable[[Bench], Scorer]] = {
    "simulation": lambda bench: Simulation(
        bench.model,
        version=bench.config.prompt,
        windows_per_call=bench.config.windows_per_call,
    ),
    "simulation_sparse": lambda bench: SparseSimulation(
        bench.model, windows_per_call=bench.config.windows_per_call
    ),
    "simulation_echo": lambda bench: EchoSimulation(_echo_model(bench.model)),
}
"""Ways to let an LLM predict activations; the first that a job names is its preferred scorer."""

SCORERS: Mapping[str, Callable[[Bench], Scorer]] = {
    **SIMULATIONS,
    "detection": lambda bench: Detection(
        bench.model, windows_per_call=bench.config.windows_per_call
    ),
    "fuzzing": lambda bench: Fuzzing(bench.model),
    "contrast": lambda bench: Contrast(bench.model, windows_per_call=bench.config.windows_per_call),
    "discrimination": lambda bench: Discrimination(bench.model),
    "embedding": lambda _bench: Embedding(load_embedder()),
    "generative": lambda bench: Generative(bench.model),
    "input_test": lambda bench: InputTest(bench.model),
    "responsiveness": lambda bench: Responsiveness(bench.model),
    "output_test": _output_test,
}
"""Scorers that a job may name; rules, programs and the lookup baseline always run."""


def build_tools(job: JobSpec, model: ChatModel | None, *, pool: Sequence[UnitId] = ()) -> Tools:
    """The explainers and scorers of a job; those that ask an LLM only where there is one.

    Args:
        job: names them.
        model: the LLM, None where none is used.
        pool: units of the job.

    Raises:
        InputError: a scorer needs what is not there: an endpoint with echo, other units, the
            embedding model.
    """
    explainers: list[Explainer] = []
    if model is not None:
        explainers += [
            EXPLAINERS[name](model, job.explain, job.seed)
            for name in job.explain.explainers
            if name in EXPLAINERS
        ]
    if model is None or TokenLookup.name in job.explain.explainers:
        explainers.append(TokenLookup())
    bench = Bench(model, job.score, pool) if model is not None else None
    preferred = next((name for name in job.score.scorers if name in SIMULATIONS), "simulation")
    simulation = SIMULATIONS[preferred](bench) if bench is not None else None
    further = tuple(
        SCORERS[name](bench)
        for name in job.score.scorers
        if bench is not None and name != preferred
    )
    prompts = [ref for explainer in explainers for ref in explainer.prompts]
    prompts += [ref for s in (simulation, *further) if s is not None for ref in s.prompts]
    return Tools(tuple(explainers), simulation, further, tuple(dict.fromkeys(prompts)))


def asks_an_llm(job: JobSpec) -> bool:
    """Whether anything in the job asks an LLM; rules are judged by a program."""
    further = set(job.score.scorers) - set(SIMULATIONS)
    return bool(further) or any(name in EXPLAINERS for name in job.explain.explainers)


def check_names(job: JobSpec) -> None:
    """Refuses explainers and scorers that do not exist.

    Raises:
        InputError: naming those that do.
    """
    known = {
        "explainer": ({*EXPLAINERS, TokenLookup.name}, job.explain.explainers),
        "scorer": (set(SCORERS), job.score.scorers),
    }
    for kind, (names, asked) in known.items():
        unknown = [name for name in asked if name not in names]
        if unknown:
            msg = f"unknown {kind} {unknown[0]!r}; there are {', '.join(sorted(names))}"
            raise InputError(msg)
