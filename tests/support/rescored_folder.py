"""A folder of labels on another text: one to distrust, and one of every other outcome."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factories import SUBJECT, make_label, make_sets, make_unit

from autointerp.core.ids import Side
from autointerp.core.records import HeldOutSet
from autointerp.core.scores import Score, Trial
from autointerp.dictionary.rescored_files import RescoreFolder
from autointerp.dictionary.rescored_labels import Outcome, RescoredLabel, RescoreReport, tested
from autointerp.dictionary.rescored_windows import RescoredWindows, shown_windows
from autointerp.statistics.text_differences import TextDifference, TextScore

OTHER = "python"
DISTRUSTED = make_unit(131)


def rescored_folder(folder: Path, *, hostile: tuple[str, ...] = ()) -> Path:
    """The folder, which is made; tokens of the first window are the hostile ones, if any."""
    folder.mkdir()
    labels = [
        _label(131, "names of rivers", 0.6, -0.5, 0.0001),
        _label(132, "names of months", 0.5, -0.02, 0.8),
        _label(133, "<b>bold</b> claims", 0.1, 0.4, 0.001),
        _ending(134, Outcome.SILENT, f"it is active nowhere in 4,096 tokens of {OTHER}"),
        _ending(135, Outcome.ABSENT, "every predicted value is the same"),
        _ending(136, Outcome.UNTESTED, "its text is scored by an LLM, and none was named"),
        _label(7, "names of rivers", 0.6, -0.3, 0.0002, hook="blocks.12.mlp.hook_post"),
    ]
    kept = RescoreFolder(folder)
    kept.begin({"corpus": OTHER}, resume=False)
    kept.add(labels, [_windows(hostile)])
    kept.finish(RescoreReport(SUBJECT, "wiki", OTHER, 4_096, 9, tested(labels)))
    return folder


def _label(
    index: int,
    text: str,
    own: float,
    change: float,
    p: float,
    *,
    hook: str = "blocks.5.mlp.hook_post",
) -> RescoredLabel:
    other = own + change
    return replace(
        _ending(index, None, None),
        unit=make_unit(index, hook=hook),
        text=text,
        scorer="rules",
        own=TextScore(own, own - 0.1, own + 0.1, 20, 17, None),
        other=TextScore(other, other - 0.1, other + 0.1, 21, 18, None),
        difference=TextDifference(change, change - 0.14, change + 0.14, p, None),
        over_table=Score("over_table", -0.3, -0.4, -0.2, 21, None),
        own_over_table=Score("over_lookup", 0.1, 0.0, 0.2, 20, None),
        density=0.05,
        other_density=0.2,
        other_peak=0.5,
    )


def _ending(index: int, known: Outcome | None, reason: str | None) -> RescoredLabel:
    return RescoredLabel(
        make_unit(index), Side.POSITIVE, f"text of {index}", None, known, reason, density=0.05
    )


def _windows(hostile: tuple[str, ...]) -> RescoredWindows:
    """Of the one to distrust."""
    label, held_out = make_label(), make_sets().held_out
    result = label.result(label.preferred or "")
    assert result is not None
    own = shown_windows(held_out, result.trials)
    if hostile:
        values = (0.5, 4.0, *[0.1] * (len(hostile) - 2))
        ids = tuple(range(len(hostile)))
        changed = {"tokens": hostile, "token_ids": ids, "activations": values, "predicted": values}
        own = (replace(own[0], document="<i>doc</i>", **changed), *own[1:])
    return RescoredWindows(
        DISTRUSTED, Side.POSITIVE, 4.0, own, shown_windows(_there(held_out), _trials_there())
    )


def _there(held_out: HeldOutSet) -> HeldOutSet:
    return replace(held_out, records=held_out.records[:2])


def _trials_there() -> tuple[Trial, ...]:
    nothing = (0.0, 0.0, 0.0, 0.0)
    return tuple(Trial(window, "top", 2.5, nothing) for window in (20, 21))
