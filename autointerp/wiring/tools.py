"""Explainers and scorers by name, and those that a job asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from autointerp.activations.sentence_encoder import load_embedder
from autointerp.core.config import JobSpec, ScoreConfig
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.core.variants import Need
from autointerp.explainers import ExplainerDependencies, TokenLookup, explainers_named
from autointerp.llm import (
    UPPER_ESTIMATE,
    ChatModel,
    EchoModel,
    FittingModel,
    TokenCounter,
)
from autointerp.pipeline import Tools
from autointerp.scorers import (
    WORDS_PER_CALL,
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
    WordsSimulation,
)
from autointerp.templates import check_prompts
from autointerp.wiring.llms import echo_of

_LEAST_POOL = 3


@dataclass(frozen=True, slots=True)
class Bench:
    """What a scorer is built from."""

    llm: ChatModel
    config: ScoreConfig
    pool: Sequence[UnitId] = ()
    """Units of the job, from which some scorers take others to tell this one from."""
    counter: TokenCounter = UPPER_ESTIMATE

    @property
    def model(self) -> ChatModel:
        """The LLM, which is never sent what does not fit its context."""
        return FittingModel(self.llm, self.counter)

    @property
    def echo(self) -> EchoModel:
        """The LLM's way to say how probable a text is.

        Raises:
            InputError: it has none.
        """
        return echo_of(self.model)


def _output_test(bench: Bench) -> Scorer:
    if len(bench.pool) < _LEAST_POOL:
        msg = (
            f"output_test tells a unit from two others, and the job has {len(bench.pool)} units "
            "whose model is at hand; name at least three"
        )
        raise InputError(msg)
    return OutputTest(bench.model, bench.pool)


def of_many(windows_per_call: int) -> int:
    """One window a call, the default, stands for the scorer's own: alone it would save nothing."""
    return WORDS_PER_CALL if windows_per_call == 1 else windows_per_call


SIMULATIONS: Mapping[str, Callable[[Bench], Scorer]] = {
    "simulation": lambda bench: Simulation(
        bench.model,
        version=bench.config.prompt,
        windows_per_call=bench.config.windows_per_call,
    ),
    "simulation_sparse": lambda bench: SparseSimulation(
        bench.model, windows_per_call=bench.config.windows_per_call
    ),
    "simulation_words": lambda bench: WordsSimulation(
        bench.model, windows_per_call=of_many(bench.config.windows_per_call)
    ),
    "simulation_echo": lambda bench: EchoSimulation(bench.echo),
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


def build_tools(
    job: JobSpec,
    model: ChatModel | None,
    *,
    pool: Sequence[UnitId] = (),
    counter: TokenCounter = UPPER_ESTIMATE,
) -> Tools:
    """The explainers and scorers of a job; those that ask an LLM only where there is one.

    What does not fit the LLM's context is cut by explainers; of several windows in a call scorers
    ask in parts, and one that does not fit alone is a failed trial.

    Args:
        job: names them.
        model: the LLM, None where none is used.
        pool: units of the job.
        counter: of the LLM's tokens.

    Raises:
        InputError: a scorer needs what is not there: an endpoint with echo, other units, the
            embedding model.
    """
    dependencies = ExplainerDependencies(
        FittingModel(model, counter) if model else None, job.explain, job.seed, counter
    )
    runnable = [
        spec
        for spec in explainers_named(job.explain.explainers)
        if model is not None or Need.LLM not in spec.needs
    ]
    explainers = [spec.build(dependencies) for spec in runnable] or [TokenLookup()]
    bench = Bench(model, job.score, pool, counter) if model is not None else None
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
    explainers = explainers_named(job.explain.explainers)
    return bool(further) or any(Need.LLM in spec.needs for spec in explainers)


def asks_for_echo(job: JobSpec) -> bool:
    """Whether a scorer of the job needs an LLM that says how probable a text is."""
    return EchoSimulation.name in job.score.scorers and asks_an_llm(job)


def check_names(job: JobSpec) -> None:
    """Refuses explainers, scorers and prompt versions that do not exist.

    Raises:
        InputError: naming those that do.
    """
    explainers_named(job.explain.explainers)
    unknown = [name for name in job.score.scorers if name not in SCORERS]
    if unknown:
        msg = f"unknown scorer {unknown[0]!r}; there are {', '.join(sorted(SCORERS))}"
        raise InputError(msg)
    check_prompts(job)
