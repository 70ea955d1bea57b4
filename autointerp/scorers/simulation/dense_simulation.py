"""Simulation (Bills et al. 2023): an LLM that sees only the explanation predicts every level.

Levels are generated, one a token. Where the endpoint gives log-probabilities the prediction is
the expected level, else the level as it stands. Prompt v1 asks instruction-following models for
JSON rows of eight levels; v2 shows few-shot turns of digits to small models; v3 is v1 for several
windows at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil

from typing_extensions import override

from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.records import ActivationRecord
from autointerp.core.scores import ScorerResult
from autointerp.core.variants import CELL, PHRASE, WORD, JobLlm, PromptCalls
from autointerp.llm import ChatModel
from autointerp.scorers.llm_judge import ask_all, ask_batch, trials_of
from autointerp.scorers.scorer_inputs import LlmScorer, ScoringSet, predicted_scores
from autointerp.scorers.scorer_spec import ScorerSpec
from autointerp.scorers.simulation.level_forms import Digits, LevelsForm, ManyWindows, OneWindow
from autointerp.scorers.simulation.levels_reply import LevelsReply
from autointerp.scorers.verdict_replies import Verdict
from autointerp.templates import Template, load_template

_PROMPT = "simulate_levels"
AS_GENERATED = "levels as generated"
"""How the note begins of a result that uses no log-probabilities."""


class FormSimulation(LlmScorer):
    """A simulation scorer, whatever the form in which it asks for levels."""

    name: str

    def __init__(self, model: ChatModel, form: LevelsForm, windows_per_call: int) -> None:
        super().__init__(model)
        self._form, self._per_call = form, windows_per_call

    @property
    @override
    def prompts(self) -> tuple[PromptRef, ...]:
        return (self._form.template.ref,)

    @override
    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        async def levels(batch: Sequence[ActivationRecord]) -> list[LevelsReply | str]:
            shown = [record.tokens for record in batch]
            request = self._form.request(explanation.text, shown, self._model.features)
            request = replace(request, fresh=windows.fresh)
            read = self._form.read
            return await ask_batch(self._model, request, len(batch), lambda r: read(r, shown))

        outcomes, notes = _alike(await ask_all(levels, windows, self._per_call, self.name))
        scale = windows.peak / self._form.top
        trials = trials_of(windows, [_answer(outcome, scale) for outcome in outcomes])
        return ScorerResult(
            scorer=self.name,
            explanation=explanation.text,
            scores=predicted_scores(windows, trials),
            trials=trials,
            notes=notes,
        )


class Simulation(FormSimulation):
    """Predicts activations of held-out windows."""

    name = "simulation"

    def __init__(
        self, model: ChatModel, *, version: str | None = None, windows_per_call: int = 1
    ) -> None:
        """Asks for one window at a time, or for several with prompt v3.

        Raises:
            InputError: a version that shows one window, for several.
        """
        chosen = _version(version, windows_per_call, small=model.features.small)
        template = load_template(_PROMPT, chosen)
        forms: dict[str, Callable[[Template], LevelsForm]] = {"v1": OneWindow, "v2": Digits}
        super().__init__(model, forms.get(chosen, ManyWindows)(template), windows_per_call)


def _alike(
    outcomes: list[LevelsReply | str],
) -> tuple[list[LevelsReply | str], tuple[str, ...]]:
    """The outcomes all made in one way, and what that is.

    Expected levels and plain ones do not go into one score: where log-probabilities came with
    some replies only, none are used.
    """
    read = [outcome for outcome in outcomes if isinstance(outcome, LevelsReply)]
    without = sum(reply.plain is None for reply in read)
    if 0 < without < len(read):
        note = f"{AS_GENERATED}: {without} of {len(read)} windows came without log-probabilities"
        plain = [o if isinstance(o, str) else o.as_generated for o in outcomes]
        return plain, (note,)
    off = [reply.off_mass for reply in read if reply.off_mass is not None]
    return outcomes, (expectation_note(off),)


def _answer(outcome: LevelsReply | str, scale: float) -> Verdict:
    if isinstance(outcome, str):
        return Verdict(failure=outcome)
    return Verdict(predicted=tuple(level * scale for level in outcome.levels))


def expectation_note(off_masses: Sequence[float]) -> str:
    """Whether levels are expected values, and how much probability was on no level."""
    if not off_masses:
        return f"{AS_GENERATED}, without log-probabilities"
    mean = sum(off_masses) / len(off_masses)
    return f"expected levels from log-probabilities; {mean:.1%} of the mass was on no level"


def cell_calls(prompt: str, version: str, job: JobSpec, n_windows: int) -> tuple[PromptCalls, ...]:
    """Plans requests that show texts token by token and are answered with a level for each."""
    per_call, small = job.score.windows_per_call, job.is_small_llm
    n_tokens = per_call * job.corpus.n_ctx
    shown, reply = PHRASE + n_tokens * (CELL - small), n_tokens * (WORD - small)
    return (PromptCalls(prompt, ceil(n_windows / per_call), shown, reply, version=version),)


def _version(chosen: str | None, windows_per_call: int, *, small: bool) -> str:
    alone = "v2" if small else "v1"
    version = chosen or (alone if windows_per_call == 1 else "v3")
    if version in {"v1", "v2"} and windows_per_call > 1:
        raise InputError(
            f"simulation prompt {version} shows one window and not {windows_per_call}; "
            "take v3 or windows_per_call=1"
        )
    return version


def _calls(job: JobSpec, n_windows: int) -> tuple[PromptCalls, ...]:
    version = _version(job.score.prompt, job.score.windows_per_call, small=job.is_small_llm)
    return cell_calls(_PROMPT, version, job, n_windows)


SPEC = ScorerSpec(
    name=Simulation.name,
    build=lambda d: Simulation(
        d.model, version=d.config.prompt, windows_per_call=d.config.windows_per_call
    ),
    headline="population",
    calls=_calls,
    default_with=frozenset({JobLlm.SMALL}),
    chosen_prompt=_PROMPT,
    predicts_activations=True,
    judges_windows=True,
)
