"""Which windows of another text are run again for labels that are scored on it."""

from __future__ import annotations

from pathlib import Path

from tiny import tiny_corpus, tiny_subject

from autointerp.activations import CollectPlan, UnitReader, collect
from autointerp.core.ids import Side, UnitId
from autointerp.core.text import Split
from autointerp.jobs.rescoring import HeldOutReader
from autointerp.subjects import parse_units


def test_of_another_text_held_out_windows_alone_are_read_and_those_that_labels_would_draw(
    tmp_path: Path,
) -> None:
    subject = tiny_subject()
    corpus = tiny_corpus(tmp_path, subject)
    units = parse_units("0:3", subject)
    summary = collect(subject, corpus, units=units, plan=CollectPlan(token_means=True))
    unit = UnitId(subject.name, units[0].hook, 3)
    alone, usual = (
        kind(summary, n_heldout=8, seed=1, corpus=corpus).plan(unit, Side.POSITIVE)
        for kind in (HeldOutReader, UnitReader)
    )
    assert alone.samples[Split.HELD_OUT] == usual.samples[Split.HELD_OUT]
    assert {corpus.split_of(window) for window in alone.windows} == {Split.HELD_OUT}
    assert len(alone.windows) < len(usual.windows)
    assert alone.peak == usual.peak
