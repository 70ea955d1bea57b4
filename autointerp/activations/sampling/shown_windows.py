"""Windows that are recorded for people who look at a unit: nothing is explained or scored on them.

All are of the explain split, so that nobody who writes an explanation by them sees held-out text.
"""

from __future__ import annotations

from autointerp.activations.sampling.strata import TOP, SampledWindow, WindowSample
from autointerp.activations.summary import HookSummary
from autointerp.core.shown import N_SHOWN_OTHER, N_SHOWN_RANDOM, N_SHOWN_TOP

RANDOM = "random"
"""Stratum of the first of the windows that were drawn for all units."""
OTHER = "other"
"""Stratum of the windows on which the other side is strongest."""


def shown_windows(
    explain: HookSummary, *, side: int, column: int, threshold: float
) -> WindowSample:
    """The top windows, the random ones, and the other side's strongest.

    Side 0 is positive, 1 negative; ``column`` is the unit's row in the summary's arrays, and the
    threshold that of the collection.
    """

    def strongest(of: int, n: int) -> list[int]:
        windows, peaks = explain.ranked(of, column)
        return list(windows[peaks > threshold][:n].tolist())

    random = explain.shared(side, column)[0][:N_SHOWN_RANDOM].tolist()
    each = explain.n_windows / max(1, len(random))
    return WindowSample(
        (
            *(SampledWindow(window, TOP, 1.0) for window in strongest(side, N_SHOWN_TOP)),
            *(SampledWindow(window, RANDOM, each) for window in random),
            *(SampledWindow(window, OTHER, 1.0) for window in strongest(1 - side, N_SHOWN_OTHER)),
        )
    )


def shown_beside(shown: WindowSample, explain: WindowSample) -> WindowSample:
    """The same without the top windows that the explain set has."""
    known = {one.window for one in explain.sampled if one.stratum == TOP}
    rest = (one for one in shown.sampled if one.stratum != TOP or one.window not in known)
    return WindowSample(tuple(rest))
