"""Two dictionaries compared, as that travels."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from autointerp.api.schemas import Wire
from autointerp.core.ids import Side
from autointerp.dictionary.moves import MoveSort, WhichMoved

MOST_PAIRS = 100
"""Units that one answer lists: of each the labels and records are read."""
_SELECTION = (
    "A dictionary of this server: NAME of its labels, or `NAME?corpus=C&explainer=E` for those "
    "from one text or by one explainer; `site=mlp.hook_pre` takes those of one kind of hook point, "
    "and units are matched by layer and index."
)


class DiffQuery(Wire):
    """Which two are compared, and what is listed of them."""

    a: str = Field(max_length=2000, description=_SELECTION, examples=["smollm2-135m?corpus=wiki"])
    b: str = Field(max_length=2000, description=_SELECTION, examples=["smollm2-135m?corpus=python"])
    only: WhichMoved = Field(default="moved", description="Which units are listed.")
    sort: MoveSort = Field(
        default="size", description="`size`: greatest change first; `-change`: B's gain first."
    )
    limit: int = Field(default=50, ge=1, le=MOST_PAIRS)
    cursor: str | None = Field(default=None, max_length=2000)


class DifferenceOut(Wire):
    """Score in B minus score in A."""

    value: float
    low: float | None = Field(description="Ends of its interval; null where nothing tells them.")
    high: float | None
    method: str = Field(description="`paired`, on windows judged in both, or `intervals`.")
    n_windows: int | None = Field(description="Windows judged in both.")


class PairOut(Wire):
    """One side of one unit in both."""

    hook: str = Field(description="In A.")
    index: int
    side: Side
    changed: list[str] = Field(description="Of text, rules, explainer, prompt, status.")
    moved: bool = Field(description="Whether the interval of the difference leaves out 0.")
    difference: DifferenceOut | None
    llm_moved: bool
    llm_difference: DifferenceOut | None
    a: dict[str, Any] = Field(description="Text, explainer, status, score of the label in A.")
    b: dict[str, Any]


class DiffOut(Wire):
    """What two dictionaries have in common, and units of them: fields as of `diff --json`."""

    a: str
    b: str
    differing_inputs: list[str]
    n_common: int
    n_changed: int
    n_opposite: int = Field(description="Units in both, but not on the same side of zero.")
    n_scored: int
    n_testable: int
    n_moved: int = Field(description="By the intervals of the two scores, which are wide.")
    n_moved_by_chance: float
    spearman: float | None
    spearman_reason: str | None
    llm: dict[str, Any] | None
    matchups: list[dict[str, Any]]
    n_only_a: int
    n_only_b: int
    n_listed: int
    units: list[PairOut]
    next: str | None = Field(description="Cursor of the next page.")
    unreadable: list[str]
