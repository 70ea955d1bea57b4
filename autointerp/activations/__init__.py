"""Collection, mergeable summaries, the choice of windows, and records of their activations.

Names are imported when they are first used: `open_summary` needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autointerp.activations.bands import Band, Cut, draw_bands, quantile_bands
    from autointerp.activations.collection import CollectPlan, collect
    from autointerp.activations.draws import Draw, How, Method, Pick
    from autointerp.activations.embedding import (
        EmbeddedWindows,
        Embedder,
        embed_windows,
        load_embedder,
        near_windows,
    )
    from autointerp.activations.live import TextActivations, live_activations
    from autointerp.activations.memory import (
        MemoryNeed,
        available_memory,
        collection_memory,
        refuse_what_cannot_fit,
    )
    from autointerp.activations.negatives import (
        RandomWindows,
        TokenIndex,
        peak_tokens,
        silent_only,
    )
    from autointerp.activations.records import Activations, read_windows
    from autointerp.activations.select import (
        UnitPlan,
        UnitReader,
        build_sets,
        diverse_plan,
        draw_records,
    )
    from autointerp.activations.storage import load_summary, save_summary
    from autointerp.activations.summary import HookSummary, Summary, merge_summaries
    from autointerp.activations.summary_file import (
        LazySummary,
        SideSummary,
        UnitSummary,
        open_summary,
    )

_HOMES = {
    "bands": ("Band", "Cut", "draw_bands", "quantile_bands"),
    "collection": ("CollectPlan", "collect"),
    "draws": ("Draw", "How", "Method", "Pick"),
    "embedding": ("EmbeddedWindows", "Embedder", "embed_windows", "load_embedder", "near_windows"),
    "live": ("TextActivations", "live_activations"),
    "memory": ("MemoryNeed", "available_memory", "collection_memory", "refuse_what_cannot_fit"),
    "negatives": ("RandomWindows", "TokenIndex", "peak_tokens", "silent_only"),
    "records": ("Activations", "read_windows"),
    "select": ("UnitPlan", "UnitReader", "build_sets", "diverse_plan", "draw_records"),
    "storage": ("load_summary", "save_summary"),
    "summary": ("HookSummary", "Summary", "merge_summaries"),
    "summary_file": ("LazySummary", "SideSummary", "UnitSummary", "open_summary"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Activations",
    "Band",
    "CollectPlan",
    "Cut",
    "Draw",
    "EmbeddedWindows",
    "Embedder",
    "HookSummary",
    "How",
    "LazySummary",
    "MemoryNeed",
    "Method",
    "Pick",
    "RandomWindows",
    "SideSummary",
    "Summary",
    "TextActivations",
    "TokenIndex",
    "UnitPlan",
    "UnitReader",
    "UnitSummary",
    "available_memory",
    "build_sets",
    "collect",
    "collection_memory",
    "diverse_plan",
    "draw_bands",
    "draw_records",
    "embed_windows",
    "live_activations",
    "load_embedder",
    "load_summary",
    "merge_summaries",
    "near_windows",
    "open_summary",
    "peak_tokens",
    "quantile_bands",
    "read_windows",
    "refuse_what_cannot_fit",
    "save_summary",
    "silent_only",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{home}"), name)
