"""``--sides both``: two labels of a unit, and one score of both together."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

from labelling import Labelling

from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side, UnitId
from autointerp.jobs.label_pass import chunks_of
from autointerp.jobs.unit_inputs import Target
from autointerp.scorers.two_sided_score import BOTH_SIDES as BOTH
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


def test_a_run_that_ended_before_two_sides_were_scored_as_one_does_so_when_it_goes_on(
    labelling: Labelling,
) -> None:
    arguments = [*labelling.arguments("a", llm="none"), "--sides", "both"]
    assert labelling(arguments).code == 0
    store = FolderLabelStore(labelling.folder / "a")
    whole = list(store.labels())
    scored = [label for label in whole if label.score(label.preferred or "", BOTH).value]
    # As it is after a kill behind the second label, and after one between the two.
    for label in scored[:3]:
        results = (
            replace(r, scores=tuple(s for s in r.scores if s.name != BOTH)) for r in label.results
        )
        store.put_label(replace(label, results=tuple(results)))
    again = labelling([*arguments, "--resume", "--json"])
    assert again.code == 0, again.err
    assert list(store.labels()) == whole
    assert json.loads(again.out)["n_reused"] == len(whole) - 4
    third = labelling([*arguments, "--resume", "--json"])
    assert json.loads(third.out)["n_reused"] == len(whole)


def test_no_chunk_parts_the_two_sides_of_a_unit() -> None:
    units = [UnitId("tiny", "blocks.0.mlp.hook_post", index) for index in range(200)]
    one_sided = [Target(unit, Side.POSITIVE) for unit in units[:5]]
    targets = [*one_sided, *(Target(unit, side) for unit in units[5:] for side in Side)]
    chunks = list(chunks_of(targets))
    assert [target for chunk in chunks for target in chunk] == targets
    assert {len(chunk) for chunk in chunks[:-1]} <= {64, 65}
    ends = [(before[-1].unit, after[0].unit) for before, after in itertools.pairwise(chunks)]
    assert ends
    assert all(last != first for last, first in ends)


def test_the_stronger_side_alone_is_labelled_by_default(labelling: Labelling) -> None:
    assert labelling(labelling.arguments("a", llm="none")).code == 0
    assert FolderLabelStore(labelling.folder / "a").count() == 6
