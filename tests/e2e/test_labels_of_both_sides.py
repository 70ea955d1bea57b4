"""``--sides both``: two labels of a unit, and one score of both together."""

from __future__ import annotations

from labelling import Labelling

from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.store.labels import FolderLabelStore


def test_both_sides_are_labelled_and_scored_as_one(labelling: Labelling) -> None:
    ended = labelling([*labelling.arguments("a", llm="none"), "--sides", "both"])
    assert ended.code == 0, ended.err
    by_unit: dict[str, dict[Side, object]] = {}
    for label in FolderLabelStore(labelling.folder / "a").labels():
        by_unit.setdefault(str(label.unit), {})[label.side] = label
    assert len(by_unit) == 6
    n_scored = 0
    for sides in by_unit.values():
        assert set(sides) == set(Side)
        labels = list(sides.values())
        if any(label.status is not LabelStatus.OK for label in labels):
            continue
        scores = [label.score(label.preferred, "both_sides") for label in labels]
        assert scores[0] == scores[1]
        assert scores[0].value is not None
        assert -1 <= scores[0].value <= 1
        n_scored += 1
    assert n_scored >= 3


def test_the_stronger_side_alone_is_labelled_by_default(labelling: Labelling) -> None:
    assert labelling(labelling.arguments("a", llm="none")).code == 0
    assert FolderLabelStore(labelling.folder / "a").count() == 6
