"""Collection, mergeable summaries, the choice of windows, and records of their activations.

Names are imported when they are first used: `open_summary` needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autointerp.core import lazy_names

if TYPE_CHECKING:
    from autointerp.activations.activation_reading import (
        Activations,
        TextActivations,
        UnitKey,
        live_activations,
        read_windows,
    )
    from autointerp.activations.collection import CollectPlan, collect
    from autointerp.activations.collection_sizes import MemoryNeed
    from autointerp.activations.input_contexts import read_contexts, read_windows_and_contexts
    from autointerp.activations.line_index import RecordedWindows
    from autointerp.activations.most_active_units import strongest_units
    from autointerp.activations.recorded_windows import (
        opened_recording,
        record_windows,
        recording_name,
        remove_recording,
    )
    from autointerp.activations.recording_parts import (
        Lines,
        joined_lines,
        read_part,
        requests_of_part,
        write_part,
    )
    from autointerp.activations.sampling.negatives import (
        EmbeddedWindows,
        TokenIndex,
        embed_windows,
        near_windows,
        peak_tokens,
        silent_only,
    )
    from autointerp.activations.sampling.strata import WindowSample
    from autointerp.activations.sampling.unit_sets import (
        UnitPlan,
        UnitReader,
        build_sets,
    )
    from autointerp.activations.sampling.window_records import WindowTexts, sampled_records
    from autointerp.activations.summary import HookSummary, Summary, merge_summaries
    from autointerp.activations.summary_file import LazySummary, open_summary
    from autointerp.activations.summary_manifest import DamagedSummaryError
    from autointerp.activations.summary_storage import load_summary, save_summary, summary_by_hook

__getattr__ = lazy_names(
    __name__,
    {
        "activation_reading": "Activations TextActivations UnitKey live_activations read_windows",
        "collection": "CollectPlan collect",
        "input_contexts": "read_contexts read_windows_and_contexts",
        "collection_sizes": "MemoryNeed",
        "most_active_units": "strongest_units",
        "recorded_windows": "opened_recording record_windows recording_name remove_recording",
        "recording_parts": "Lines joined_lines read_part requests_of_part write_part",
        "sampling.negatives": (
            "EmbeddedWindows TokenIndex embed_windows near_windows peak_tokens silent_only"
        ),
        "sampling.strata": "WindowSample",
        "sampling.unit_sets": "UnitPlan UnitReader build_sets",
        "sampling.window_records": "WindowTexts sampled_records",
        "summary": "HookSummary Summary merge_summaries",
        "summary_file": "LazySummary open_summary",
        "summary_manifest": "DamagedSummaryError",
        "summary_storage": "load_summary save_summary summary_by_hook",
        "line_index": "RecordedWindows",
    },
)

__all__ = [
    "Activations",
    "CollectPlan",
    "DamagedSummaryError",
    "EmbeddedWindows",
    "HookSummary",
    "LazySummary",
    "Lines",
    "MemoryNeed",
    "RecordedWindows",
    "Summary",
    "TextActivations",
    "TokenIndex",
    "UnitKey",
    "UnitPlan",
    "UnitReader",
    "WindowSample",
    "WindowTexts",
    "build_sets",
    "collect",
    "embed_windows",
    "joined_lines",
    "live_activations",
    "load_summary",
    "merge_summaries",
    "near_windows",
    "open_summary",
    "opened_recording",
    "peak_tokens",
    "read_contexts",
    "read_part",
    "read_windows",
    "read_windows_and_contexts",
    "record_windows",
    "recording_name",
    "remove_recording",
    "requests_of_part",
    "sampled_records",
    "save_summary",
    "silent_only",
    "strongest_units",
    "summary_by_hook",
    "write_part",
]
