"""Which calls a job will make, for an estimate before it starts.

The rule: four letters of instructions are a token; a subject's token is one of the LLM's where
text is shown, and three where it is a quoted cell of a row; an excerpt lists its active tokens
after its text, which doubles it. A level in a reply is two tokens, or one digit of the embedded
LLM's; where only active words are listed, a reply is half as long as the texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.progress import Progress
from autointerp.explainers import TokenLookup
from autointerp.llm import PlannedCalls, estimate_job
from autointerp.scorers import SparseSimulation, WordsSimulation
from autointerp.templates import load_template
from autointerp.wiring.llms import EMBEDDED, JobBudget, quote_of
from autointerp.wiring.tools import of_many

_LETTERS_A_TOKEN = 4
_PHRASE = 25
_EXPLANATION = 30
_WORD = 2
_TEXT, _EXCERPT, _CELL = 1, 2, 3
# Texts that are written to be tried: how many in a call, and tokens of each.
_WRITTEN, _TOKENS_A_TEXT = {"generative": 20, "input_test": 10, "revision": 10}, 30
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
        msg = f"--budget-usd {budget.limits.usd:g} cannot be kept: {quote.said} (--prices)"
        raise InputError(msg)
    progress.note(quote.said)
    if n_units:
        estimate = estimate_job(n_units, planned_calls(job), quote.price)
        progress.note(f"{n_units:,} to label: {estimate.said}")


def planned_calls(job: JobSpec) -> tuple[PlannedCalls, ...]:
    """What one unit asks the LLM, in the order of the stages."""
    explainers = [e for e in job.explain.explainers if e != TokenLookup.name]
    preferred = next((s for s in job.score.scorers if s.startswith("simulation")), "simulation")
    planned = [call for name in explainers for call in _explaining(job, name)]
    n_answers = len(explainers) * job.explain.n_samples
    n_answers += job.explain.n_revisions if "revision" in explainers else 0
    is_choice = n_answers + (TokenLookup.name in job.explain.explainers) > 1
    if is_choice:
        planned.append(_judging(job, preferred, "choose", job.score.n_validation, n_answers))
    if n_answers:
        planned.append(_judging(job, preferred, "score", job.score.n_heldout, 1))
    if n_answers and job.score.n_null:
        planned.append(_judging(job, preferred, "null", job.score.n_null, 1))
    further = [s for s in job.score.scorers if s != preferred and s not in _FREE]
    return (*planned, *(_further(job, name) for name in further))


def _explaining(job: JobSpec, name: str) -> tuple[PlannedCalls, ...]:
    n_ctx, config = job.corpus.n_ctx, job.explain
    shown = config.n_exemplars * n_ctx * _EXCERPT
    evidence: Mapping[str, int] = {
        "contrastive": shown + job.select.n_negative * n_ctx,
        "marked_tokens": config.n_exemplars * n_ctx * _EXCERPT,
        "token_list": 10 * _PHRASE,
        "output_side": 4 * _PHRASE,
    }
    template = "token_activation" if name == "revision" else name
    small = job.llm == EMBEDDED and template == "token_activation"
    prompt = _instructions(f"explain_{template}", "v2" if small else "v1")
    prompt += evidence.get(name, shown)
    calls = [PlannedCalls("explain", config.n_samples, prompt, _EXPLANATION)]
    if name == "revision":
        texts = _WRITTEN[name] * _TOKENS_A_TEXT
        writing = _instructions("explain_counterexamples") + _PHRASE
        revising = _instructions("explain_revision") + shown + _EXCERPT * texts
        calls.append(PlannedCalls("explain", config.n_revisions, writing, texts))
        calls.append(PlannedCalls("explain", config.n_revisions, revising, _EXPLANATION))
    return tuple(calls)


def _judging(job: JobSpec, scorer: str, stage: str, n_windows: int, n_each: int) -> PlannedCalls:
    """Simulations of so many windows, for so many explanations."""
    per_call, n_ctx = job.score.windows_per_call, job.corpus.n_ctx
    if scorer == WordsSimulation.name:
        return _words(job, stage, n_windows, n_each)
    small = job.llm == EMBEDDED
    version = "v3" if per_call > 1 else "v2" if small else "v1"
    if scorer != "simulation":
        version = "v3" if small and scorer == SparseSimulation.name else "v1"
    cells = per_call * n_ctx * (_CELL - small)
    prompt = _instructions(_PROMPTS[scorer], version) + _PHRASE + cells
    levels = 0 if scorer == "simulation_echo" else per_call * n_ctx * (_WORD - small)
    return PlannedCalls(stage, n_each * ceil(n_windows / per_call), prompt, levels)


def _words(job: JobSpec, stage: str, n_windows: int, n_each: int) -> PlannedCalls:
    per_call = min(n_windows, of_many(job.score.windows_per_call))
    shown = per_call * job.corpus.n_ctx * _TEXT
    prompt = _instructions("simulate_sparse", "v4" if job.llm == EMBEDDED else "v2")
    prompt += _PHRASE + shown
    return PlannedCalls(stage, n_each * ceil(n_windows / per_call), prompt, shown // 2)


def _further(job: JobSpec, name: str) -> PlannedCalls:
    per_call, n_ctx, n = job.score.windows_per_call, job.corpus.n_ctx, job.score.n_heldout
    prompt = _instructions(_PROMPTS[name]) + _PHRASE
    if name in _WRITTEN:
        return PlannedCalls("score", 1, prompt, _WRITTEN[name] * _TOKENS_A_TEXT)
    if name in _REPEATS:
        return PlannedCalls("score", _REPEATS[name], prompt + 3 * n_ctx + 10 * _PHRASE, _WORD)
    if name.startswith("simulation"):
        return _judging(job, name, "score", n, 1)
    in_lists = per_call if name in {"detection", "contrast"} else 1
    n_each = 2 if name == "contrast" else 1
    shown = in_lists * n_ctx * _TEXT
    return PlannedCalls("score", n_each * ceil(n / in_lists), prompt + shown, in_lists * _WORD)


def _instructions(name: str, version: str = "v1") -> int:
    letters = sum(len(text) for _, text in load_template(name, version).turns)
    return letters // _LETTERS_A_TOKEN
