"""The one place that builds concrete parts: subjects, corpora, LLMs, explainers, scorers."""

from autointerp.wiring.llms import Purse, counter_of, open_llm, quote_of
from autointerp.wiring.runs import RunOutcome, label, run_job
from autointerp.wiring.tools import EXPLAINERS, SCORERS, SIMULATIONS, asks_an_llm, build_tools

__all__ = [
    "EXPLAINERS",
    "SCORERS",
    "SIMULATIONS",
    "Purse",
    "RunOutcome",
    "asks_an_llm",
    "build_tools",
    "counter_of",
    "label",
    "open_llm",
    "quote_of",
    "run_job",
]
