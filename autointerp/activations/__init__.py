"""Collection, mergeable summaries, the choice of windows, and records of their activations."""

from autointerp.activations.collect import CollectPlan, collect
from autointerp.activations.records import read_windows
from autointerp.activations.select import SetSizes, UnitPlan, UnitReader, build_sets
from autointerp.activations.storage import load_summary, save_summary
from autointerp.activations.summary import HookSummary, Summary, merge_summaries

__all__ = [
    "CollectPlan",
    "HookSummary",
    "SetSizes",
    "Summary",
    "UnitPlan",
    "UnitReader",
    "build_sets",
    "collect",
    "load_summary",
    "merge_summaries",
    "read_windows",
    "save_summary",
]
