"""Labels in Python: dictionaries by unit, and lists of labels that become dictionaries."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from factories import make_job, make_label, make_provenance, make_sets, make_unit
from memory_store import MemoryLabelStore

from autointerp.core.errors import InputError
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.dictionary import Dictionary, LabelledUnits, ManifestInfo, open_dictionary
from autointerp.dictionary.table_reading import polars_frame
from autointerp.dictionary.write import write_dictionary
from autointerp.store.labels import MemoryUnitStore
from autointerp.store.recorded_labels import with_records

DEAD = make_unit(7, hook="blocks.12.mlp.hook_post")


@pytest.fixture
def labels() -> LabelledUnits:
    store = MemoryUnitStore()
    made = make_label(), make_label(DEAD, status=LabelStatus.DEAD)
    for label in made:
        store.put_label(label)
    store.put_sets(make_sets())
    return LabelledUnits(made, store, make_job())


@pytest.fixture
def dictionary(labels: LabelledUnits, tmp_path: Path) -> Dictionary:
    return labels.save(tmp_path / "saved")


def test_a_dictionary_is_counted_iterated_and_asked_by_unit(dictionary: Dictionary) -> None:
    assert len(dictionary) == 2
    assert [label.unit.short for label in dictionary] == ["5:131", "12:7"]
    for name in ("5:131", "blocks.5.mlp.hook_post/131", "5:131 +", str(make_unit())):
        assert dictionary[name] == make_label()
    assert "5:131" in dictionary
    assert all(name not in dictionary for name in ("5:132", "5:131 -", "nothing", 5))


def test_a_label_has_its_exemplars_and_what_it_was_scored_on(dictionary: Dictionary) -> None:
    label = dictionary["5:131"]
    peaks = [record.peak(label.side) for record in label.exemplars]
    assert peaks == sorted(peaks, reverse=True)
    assert peaks[-1] > 0
    assert len(label.held_out) == len(make_sets().held_out.records)
    assert dictionary["12:7"].exemplars == dictionary["12:7"].held_out == ()


def test_a_label_with_records_is_equal_to_the_label(labels: LabelledUnits) -> None:
    assert labels[0] == make_label()
    assert make_label() == labels[0]
    assert labels[0] != labels[1]
    assert len({labels[0], make_label()}) == 1
    assert repr(labels[0]) == repr(make_label())


def test_a_saved_list_is_the_dictionary_of_its_labels(
    labels: LabelledUnits, dictionary: Dictionary
) -> None:
    assert list(dictionary) == labels
    assert dictionary.job == labels.job
    assert dictionary.verify() == ()
    assert dictionary["5:131"].exemplars == labels[0].exemplars
    assert labels.to_pandas().equals(dictionary.to_pandas())


def test_a_folder_that_holds_something_is_not_saved_to(
    labels: LabelledUnits, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something already; save to a new folder"):
        labels.save(tmp_path)
    with pytest.raises(InputError, match="there are no labels to save"):
        LabelledUnits((), MemoryUnitStore(), make_job()).save(tmp_path / "new")


def test_of_two_sides_one_is_named_by_its_sign(tmp_path: Path) -> None:
    store = MemoryLabelStore()
    for side in Side:
        store.put_label(make_label(side=side))
    write_dictionary(tmp_path, store, ManifestInfo(make_job(), make_provenance(), None))
    dictionary = open_dictionary(tmp_path)
    assert dictionary["5:131 -"].side is Side.NEGATIVE
    assert dictionary["5:131+"].side is Side.POSITIVE
    with pytest.raises(InputError, match=r"5:131 is not one label; there are .* name hook point"):
        dictionary["5:131"]


@pytest.mark.parametrize("name", [0, None, ("5:131",)])
def test_labels_are_named_by_texts(dictionary: Dictionary, name: Any) -> None:
    with pytest.raises(InputError, match="labels are named by their units, as '10:127'; found"):
        dictionary[name]


def test_a_label_whose_records_nobody_kept_has_none() -> None:
    assert with_records(make_label(), lambda: None).exemplars == ()


def test_a_library_that_is_not_installed_is_told_in_a_sentence(
    labels: LabelledUnits, dictionary: Dictionary, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, library, None)
        for value in (labels, dictionary):
            with pytest.raises(InputError, match=f"run `pip install {library}`"):
                getattr(value, f"to_{library}")()


def test_a_frame_of_polars_is_made_of_the_same_table(monkeypatch: pytest.MonkeyPatch) -> None:
    class Polars:
        @staticmethod
        def from_arrow(table: object) -> object:
            return ("frame", table)

    monkeypatch.setitem(sys.modules, "polars", Polars)  # type: ignore[arg-type]
    table: Any = object()
    assert polars_frame(table) == ("frame", table)
