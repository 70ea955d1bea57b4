"""The one place that builds concrete parts: subjects, corpora, LLMs, explainers, scorers.

Names are imported when they are first used: what the API is built from needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autointerp.wiring.llms import JobBudget, counter_of, open_llm, quote_of
    from autointerp.wiring.runs import RunOutcome, label, run_job
    from autointerp.wiring.tools import build_tools

_HOMES = {
    "llms": ("JobBudget", "counter_of", "open_llm", "quote_of"),
    "runs": ("RunOutcome", "label", "run_job"),
    "tools": ("build_tools",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "JobBudget",
    "RunOutcome",
    "build_tools",
    "counter_of",
    "label",
    "open_llm",
    "quote_of",
    "run_job",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{home}"), name)
