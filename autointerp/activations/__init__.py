"""Collection, mergeable summaries, the choice of windows, and records of their activations.

Names are imported when they are first used: `open_summary` needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autointerp.activations.collection import CollectPlan, collect
    from autointerp.activations.live import TextActivations, live_activations
    from autointerp.activations.memory_need import (
        MemoryNeed,
        available_memory,
        collection_memory,
        refuse_what_cannot_fit,
    )
    from autointerp.activations.sampling.bands import Band, Cut, quantile_bands, sample_bands
    from autointerp.activations.sampling.near_windows import (
        EmbeddedWindows,
        embed_windows,
        near_windows,
    )
    from autointerp.activations.sampling.negatives import (
        RandomWindows,
        TokenIndex,
        peak_tokens,
        silent_only,
    )
    from autointerp.activations.sampling.unit_sets import (
        UnitPlan,
        UnitReader,
        build_sets,
        diverse_plan,
        sampled_records,
    )
    from autointerp.activations.sampling.window_sample import (
        SampledWindow,
        SamplingMethod,
        StratumSampling,
        WindowSample,
    )
    from autointerp.activations.sentence_encoder import Embedder, load_embedder
    from autointerp.activations.summary import HookSummary, Summary, merge_summaries
    from autointerp.activations.summary_file import (
        LazySummary,
        SideSummary,
        UnitSummary,
        open_summary,
    )
    from autointerp.activations.summary_storage import load_summary, save_summary
    from autointerp.activations.window_activations import Activations, read_windows

_HOMES = {
    "collection": ("CollectPlan", "collect"),
    "live": ("TextActivations", "live_activations"),
    "memory_need": (
        "MemoryNeed",
        "available_memory",
        "collection_memory",
        "refuse_what_cannot_fit",
    ),
    "sampling.bands": ("Band", "Cut", "quantile_bands", "sample_bands"),
    "sampling.near_windows": ("EmbeddedWindows", "embed_windows", "near_windows"),
    "sampling.negatives": ("RandomWindows", "TokenIndex", "peak_tokens", "silent_only"),
    "sampling.unit_sets": (
        "UnitPlan",
        "UnitReader",
        "build_sets",
        "diverse_plan",
        "sampled_records",
    ),
    "sampling.window_sample": (
        "SampledWindow",
        "SamplingMethod",
        "StratumSampling",
        "WindowSample",
    ),
    "sentence_encoder": ("Embedder", "load_embedder"),
    "summary": ("HookSummary", "Summary", "merge_summaries"),
    "summary_file": ("LazySummary", "SideSummary", "UnitSummary", "open_summary"),
    "summary_storage": ("load_summary", "save_summary"),
    "window_activations": ("Activations", "read_windows"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Activations",
    "Band",
    "CollectPlan",
    "Cut",
    "EmbeddedWindows",
    "Embedder",
    "HookSummary",
    "LazySummary",
    "MemoryNeed",
    "RandomWindows",
    "SampledWindow",
    "SamplingMethod",
    "SideSummary",
    "StratumSampling",
    "Summary",
    "TextActivations",
    "TokenIndex",
    "UnitPlan",
    "UnitReader",
    "UnitSummary",
    "WindowSample",
    "available_memory",
    "build_sets",
    "collect",
    "collection_memory",
    "diverse_plan",
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
    "sample_bands",
    "sampled_records",
    "save_summary",
    "silent_only",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{home}"), name)
