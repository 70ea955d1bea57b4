"""Which calls a job will make, for an estimate before it starts.

The rule: four letters of instructions are a token; a subject's token is one of the LLM's where
text is shown, and three where it is a quoted cell of a row; an excerpt lists its active tokens
after its text, which doubles it. A level in a reply is two tokens, or one digit of the embedded
LLM's; where only active words are listed, a reply is half as long as the texts.
"""

from __future__ import annotations

from math import ceil

from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.progress import Progress
from autointerp.core.variants import CELL, PHRASE, TEXT, WORD, WRITTEN_TEXT, Need, PromptCalls
from autointerp.explainers import explainers_named
from autointerp.llm import PlannedCalls, estimate_job, estimate_text
from autointerp.scorers import SparseSimulation, WordsSimulation
from autointerp.templates import load_template
from autointerp.wiring.llms import JobBudget, quote_of
from autointerp.wiring.tools import of_many

_LETTERS_A_TOKEN = 4
# Texts that are written to be tried: how many in a call.
_WRITTEN = {"generative": 20, "input_test": 10}
# Questions that some scorers put about a unit, whatever the number of windows.
_REPEATS = {"discrimination": 6, "output_test": 10}
_PROMPTS = {
    "detection": "detect",
    "contrast": "detect",
    "fuzzing": "fuzz",
    "responsiveness": "rate_text",
    "discrimination": "discriminate",
    "output_test": "pick_continuations",
    "generative": "generate_texts",
    "input_test": "input_test",
    "simulation": "simulate_levels",
    "simulation_sparse": "simulate_sparse",
    "simulation_words": "simulate_sparse",
    "simulation_echo": "simulate_echo",
}
_FREE = frozenset({"embedding"})


def say_what_it_costs(job: JobSpec, budget: JobBudget, *, n_units: int, progress: Progress) -> None:
    """Notes the price of the job's model and what so many units will cost.

    Raises:
        InputError: a budget in dollars, and the price is unknown.
    """
    quote = quote_of(job, budget)
    if quote.price is None and budget.limits.usd is not None:
        msg = f"--budget-usd {budget.limits.usd:g} cannot be kept: {quote.text} (--prices)"
        raise InputError(msg)
    progress.note(quote.text)
    if n_units:
        estimate = estimate_job(n_units, planned_calls(job), quote.price)
        progress.note(f"{n_units:,} to label: {estimate_text(estimate)}")


def planned_calls(job: JobSpec) -> tuple[PlannedCalls, ...]:
    """What one unit asks the LLM, in the order of the stages."""
    explainers = explainers_named(job.explain.explainers)
    preferred = next((s for s in job.score.scorers if s.startswith("simulation")), "simulation")
    explaining = [call for spec in explainers for call in spec.calls(job)]
    planned = [_planned("explain", call) for call in explaining]
    n_answers = sum(call.n for call in explaining if call.explains)
    if n_answers + sum(Need.LLM not in spec.needs for spec in explainers) > 1:
        planned.append(_judging(job, preferred, "choose", job.score.n_validation, n_answers))
    if n_answers:
        planned.append(_judging(job, preferred, "score", job.score.n_heldout, 1))
    if n_answers and job.score.n_null:
        planned.append(_judging(job, preferred, "null", job.score.n_null, 1))
    further = [s for s in job.score.scorers if s != preferred and s not in _FREE]
    return (*planned, *(_further(job, name) for name in further))


def _planned(stage: str, call: PromptCalls) -> PlannedCalls:
    prompt = _instructions(call.prompt, call.version) + call.shown
    return PlannedCalls(stage, call.n, prompt, call.reply)


def _judging(job: JobSpec, scorer: str, stage: str, n_windows: int, n_each: int) -> PlannedCalls:
    """Simulations of so many windows, for so many explanations."""
    per_call, n_ctx = job.score.windows_per_call, job.corpus.n_ctx
    if scorer == WordsSimulation.name:
        return _words(job, stage, n_windows, n_each)
    small = job.is_small_llm
    version = "v3" if per_call > 1 else "v2" if small else "v1"
    if scorer != "simulation":
        version = "v3" if small and scorer == SparseSimulation.name else "v1"
    cells = per_call * n_ctx * (CELL - small)
    prompt = _instructions(_PROMPTS[scorer], version) + PHRASE + cells
    levels = 0 if scorer == "simulation_echo" else per_call * n_ctx * (WORD - small)
    return PlannedCalls(stage, n_each * ceil(n_windows / per_call), prompt, levels)


def _words(job: JobSpec, stage: str, n_windows: int, n_each: int) -> PlannedCalls:
    per_call = min(n_windows, of_many(job.score.windows_per_call))
    shown = per_call * job.corpus.n_ctx * TEXT
    prompt = _instructions("simulate_sparse", "v4" if job.is_small_llm else "v2")
    prompt += PHRASE + shown
    return PlannedCalls(stage, n_each * ceil(n_windows / per_call), prompt, shown // 2)


def _further(job: JobSpec, name: str) -> PlannedCalls:
    per_call, n_ctx, n = job.score.windows_per_call, job.corpus.n_ctx, job.score.n_heldout
    prompt = _instructions(_PROMPTS[name]) + PHRASE
    if name in _WRITTEN:
        return PlannedCalls("score", 1, prompt, _WRITTEN[name] * WRITTEN_TEXT)
    if name in _REPEATS:
        return PlannedCalls("score", _REPEATS[name], prompt + 3 * n_ctx + 10 * PHRASE, WORD)
    if name.startswith("simulation"):
        return _judging(job, name, "score", n, 1)
    in_lists = per_call if name in {"detection", "contrast"} else 1
    n_each = 2 if name == "contrast" else 1
    shown = in_lists * n_ctx * TEXT
    return PlannedCalls("score", n_each * ceil(n / in_lists), prompt + shown, in_lists * WORD)


def _instructions(name: str, version: str = "v1") -> int:
    letters = sum(len(text) for _, text in load_template(name, version).turns)
    return letters // _LETTERS_A_TOKEN
