"""What the versions of the prompt for senses ask for, and how they show their inputs."""

from __future__ import annotations

from collections.abc import Sequence

from autointerp.core.records import ActivationRecord
from autointerp.explainers.excerpts import Extent
from autointerp.explainers.explainer import ExplainInputs
from autointerp.explainers.sense_inputs import (
    render_barred,
    render_listed,
    render_marked,
    render_silent_places,
)
from autointerp.explainers.sense_tables import (
    render_grouped_table,
    render_table,
    render_wide_table,
)

USUAL, SHORT = "v8", "v1"
"""Versions asked unless a job names one; the short one where the LLM's context is smaller."""
MOST_RULES, MOST_OTHER = 8, 12
"""Rules of one sense, and of all tokens that belong to none."""
_MARKED = ("v2", "v3")
"""Versions that mark active tokens in place."""


def asks_for_rules(version: str) -> bool:
    """Whether senses may have rules."""
    return _number(version) >= 4


def asks_for_other_rules(version: str) -> bool:
    """Whether tokens that belong to no sense may have rules too."""
    return _number(version) >= 6


def shown_inputs(
    version: str,
    inputs: ExplainInputs,
    shown: Sequence[ActivationRecord],
    extent: Extent,
    *,
    share: float,
) -> dict[str, str]:
    """The slots of a version for exemplars, tokens, silent places and numbers of rules.

    Of the tokens a share is shown.
    """
    records, number = inputs.records, _number(version)
    if number < 4:
        slot, render = "exemplars", render_barred
        if version in _MARKED:
            slot, render = "marked", render_marked
        return {
            slot: render(shown, records.side, records.peak, extent),
            "tokens": render_table(inputs, shown, share),
        }
    is_dense = number >= 8
    render, table = (
        (render_listed, render_grouped_table) if is_dense else (render_barred, render_wide_table)
    )
    slots = {
        "exemplars": render(shown, records.side, records.peak, extent),
        "tokens": table(inputs, shown, share),
        "max_rules": str(MOST_RULES),
    }
    if asks_for_other_rules(version):
        slots["max_other"] = str(MOST_OTHER)
    if number >= 7:
        slots["silent"] = render_silent_places(inputs, shown, beginnings=is_dense)
    return slots


def _number(version: str) -> int:
    return int(version[1:])
