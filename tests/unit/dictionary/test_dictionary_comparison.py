from __future__ import annotations

import gzip
import json
import math
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import make_info, make_label, make_provenance, make_store, make_unit
from hypothesis import given
from hypothesis import strategies as st
from memory_store import MemoryLabelStore

from autointerp.core.errors import InputError
from autointerp.core.explanations import Label, PromptRef
from autointerp.core.ids import Side
from autointerp.dictionary import ManifestInfo, open_dictionary, write_dictionary
from autointerp.dictionary.comparison import Comparison, compare_tables, spearman
from autointerp.dictionary.label_tables import RatedLabel, differing_inputs, read_label_table
from autointerp.dictionary.rows import OLD_NAMES
from autointerp.dictionary.score_differences import difference_of_scores


def rated(score: float | None, low: float | None = None, high: float | None = None) -> RatedLabel:
    unit = make_unit()
    return RatedLabel(unit, Side.POSITIVE, "x", "e", None, "", "ok", "simulation", score, low, high)


def written(folder: Path, *labels: Label, info: ManifestInfo | None = None) -> Path:
    store = MemoryLabelStore()
    for label in labels:
        store.put_label(label)
    write_dictionary(folder, store, info or make_info())
    return folder


def compared(a: Path, b: Path) -> Comparison:
    return compare_tables(read_label_table(a), read_label_table(b))


def prompted(label: Label, version: str) -> Label:
    assert label.explanation is not None
    prompt = PromptRef("explain_token_activation", version, "abcdef0123456789")
    return replace(label, explanation=replace(label.explanation, prompt=prompt))


def test_the_interval_of_a_difference_takes_the_halves_that_face_each_other() -> None:
    # Zou 2007: down = hypot(0.6 - 0.5, 0.6 - 0.3) and up = hypot(0.7 - 0.6, 0.3 - 0.1).
    found = difference_of_scores(rated(0.3, 0.1, 0.6), rated(0.6, 0.5, 0.7))
    assert found is not None
    assert found.value == pytest.approx(0.3)
    assert found.low == pytest.approx(0.3 - math.sqrt(0.01 + 0.09))
    assert found.high == pytest.approx(0.3 + math.sqrt(0.01 + 0.04))
    assert not found.moved


def test_scores_whose_intervals_overlap_may_still_have_moved() -> None:
    found = difference_of_scores(rated(0.30, 0.20, 0.40), rated(0.45, 0.35, 0.55))
    assert found is not None
    assert found.moved


def test_without_a_score_there_is_no_difference_and_without_intervals_no_move() -> None:
    assert difference_of_scores(rated(None), rated(0.5)) is None
    found = difference_of_scores(rated(0.0), rated(1.0))
    assert found is not None
    assert (found.value, found.low, found.moved) == (1.0, None, False)


@given(st.lists(st.floats(0.0, 0.4), min_size=4, max_size=4), st.floats(-0.5, 0.5))
def test_swapping_the_two_turns_the_interval_around(widths: list[float], score: float) -> None:
    a = rated(score, score - widths[0], score + widths[1])
    b = rated(0.1, 0.1 - widths[2], 0.1 + widths[3])
    there, back = difference_of_scores(a, b), difference_of_scores(b, a)
    assert there is not None
    assert back is not None
    assert there.low == pytest.approx(-(back.high or 0.0))
    assert (there.low or 0.0) <= there.value <= (there.high or 0.0)


def test_rank_correlation_shares_ranks_and_is_undefined_with_a_reason() -> None:
    # Ranks 0.5 0.5 2 3 against 0 1 2 3: covariance 4.5, variances 4.5 and 5.
    assert spearman([1, 1, 2, 9], [3, 4, 5, 6])[0] == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    assert spearman([1, 2, 3], [9, 8, 7]) == (-1.0, None)
    assert spearman([1, 2], [1, 2])[1] == "3 units with a score in both are needed, found 2"
    assert spearman([1, 1, 1], [1, 2, 3])[1] == "every score of one of them is the same"


def test_labels_are_matched_by_side_and_their_changes_named(tmp_path: Path) -> None:
    unit, lost, new = make_unit(1), make_unit(2), make_unit(3)
    a = written(tmp_path / "a", make_label(unit, text="old"), make_label(lost))
    both_sides = make_label(unit, side=Side.NEGATIVE), make_label(new)
    b = written(tmp_path / "b", prompted(make_label(unit, text="new"), "v3"), *both_sides)
    found = compared(a, b)
    assert [pair.changed for pair in found.pairs] == [("text", "prompt")]
    assert [r.unit.index for r in found.only_a] == [2]
    assert [(r.unit.index, r.side) for r in found.only_b] == [(1, Side.NEGATIVE), (3, "positive")]


def test_prompt_versions_meet_with_medians_and_win_rates(tmp_path: Path) -> None:
    units = [make_unit(i) for i in range(3)]
    scores = ((0.1, 0.6), (0.3, 0.3), (0.5, 0.4))
    a = written(
        tmp_path / "a", *(make_label(u, score=s) for u, (s, _) in zip(units, scores, strict=True))
    )
    b = written(
        tmp_path / "b",
        *(prompted(make_label(u, score=s), "v2") for u, (_, s) in zip(units, scores, strict=True)),
    )
    [matchup] = compared(a, b).matchups
    assert matchup.a == "token_activation v1 (smollm2-135m-instruct)"
    assert matchup.b == "token_activation v2 (smollm2-135m-instruct)"
    assert (matchup.median_a, matchup.median_b) == (0.3, 0.4)
    assert matchup.win_rate_b == pytest.approx(0.5)
    assert (matchup.n, matchup.n_up, matchup.n_down) == (3, 1, 0)


def test_label_files_give_what_their_dictionary_gives(tmp_path: Path) -> None:
    write_dictionary(tmp_path / "d", make_store(), make_info())
    folder, *files = (
        read_label_table(tmp_path / "d" / name)
        for name in ("", "labels.parquet", "labels.jsonl.gz")
    )
    assert all(file.ratings == folder.ratings for file in files)
    assert len(folder.ratings) == 5


def test_other_subjects_corpora_and_seeds_are_named(tmp_path: Path) -> None:
    made = make_provenance(corpus="python", corpus_hash="0000000000000001")
    a = written(tmp_path / "a", make_label())
    b = written(tmp_path / "b", make_label(), info=make_info(provenance=made))
    tables = read_label_table(a), read_label_table(b)
    assert differing_inputs(*tables) == (
        "corpus is wiki in A and python in B",
        "the corpus text is feedface00000000 in A and 0000000000000001 in B",
    )
    assert differing_inputs(tables[0], tables[0]) == ()


def as_schema_1(folder: Path) -> Path:
    """The dictionary as versions wrote it whose tables had other names, and text for numbers."""
    names = {now: old for old, now in OLD_NAMES.items()}
    table = pq.read_table(folder / "labels.parquet")
    table = table.drop_columns(["explanation", "corpus", "promoted_values", "suppressed_values"])
    for name in ("layer", "index"):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table[name].cast(pa.string()))
    table = table.rename_columns([names.get(name, name) for name in table.schema.names])
    pq.write_table(table, folder / "labels.parquet")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"schema_version": 1}))
    return folder


def test_a_dictionary_of_schema_1_is_compared_with_one_of_now(tmp_path: Path) -> None:
    label = make_label()
    assert label.explanation is not None
    other = replace(label, explanation=replace(label.explanation, text="names of lakes"))
    a = as_schema_1(written(tmp_path / "a", label))
    b = written(tmp_path / "b", other)
    [pair] = compared(a, b).pairs
    assert (pair.changed, pair.a.explainer) == (("text",), "token_activation")
    [pair] = compared(a / "labels.parquet", b).pairs
    assert (pair.changed, pair.b.model) == (("text",), pair.a.model)


def test_a_dictionary_of_schema_1_is_read_under_the_names_of_now(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", make_label(), make_label(make_unit(7)))
    new = open_dictionary(folder).to_pandas()
    old = open_dictionary(as_schema_1(folder))
    assert list(old.to_pandas().columns) == list(new.columns)
    assert old.to_pandas()["index"].tolist() == [7, 131]
    for found in (old.to_pandas().to_dict("records"), list(old.rows())):
        assert [(r["layer"], r["explanation"]) for r in found] == [(5, "names of rivers")] * 2
        assert [r["explainer"] for r in found] == ["token_activation"] * 2


def test_label_files_of_other_texts_are_told_apart(tmp_path: Path) -> None:
    label = make_label()
    other = replace(label, provenance=make_provenance(corpus="python"))
    files = [written(tmp_path / n, of) / "labels.parquet" for n, of in (("a", label), ("b", other))]
    tables = [read_label_table(file) for file in files]
    assert differing_inputs(*tables) == ("corpus is wiki in A and python in B",)
    assert differing_inputs(tables[0], tables[0]) == ()
    old = read_label_table(as_schema_1(tmp_path / "a") / "labels.parquet")
    assert differing_inputs(old, tables[1]) == ()


def row(**changes: object) -> bytes:
    plain = {
        "hook": "blocks.1.mlp.hook_post",
        "index": "1",
        "polarity": "positive",
        "status": "ok",
        "description": "x",
        "typeName": "e",
        "score": 0.5,
    }
    kept = {k: v for k, v in {**plain, **changes}.items() if v != "absent"}
    return json.dumps(kept).encode() + b"\n"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.jsonl", b"", "holds no label"),
        ("x.jsonl", b"{\n", "line 1 of .* is not JSON"),
        ("x.jsonl", b"[1]\n", "line 1 of .* is not a JSON object"),
        ("x.jsonl", row(score="absent"), "row 1 of .* has no score: that is not a table of labels"),
        ("x.jsonl", row(score="high"), "score must be a number, found 'high'"),
        ("x.jsonl", row(polarity="up"), "row 1 of .* does not name a unit"),
        ("x.jsonl", row() + row(), "row 2 of .* has a second label of"),
        ("x.jsonl.gz", gzip.compress(row(), mtime=0)[:20], "is damaged"),
        ("x.parquet", b"PAR1", "cannot be read as Parquet"),
        ("x.csv", b"a,b", "is neither a dictionary's folder nor a .parquet"),
    ],
)
def test_what_is_no_table_of_labels_is_refused_in_one_sentence(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_label_table(tmp_path / name)


def test_dictionaries_without_a_common_unit_are_refused(tmp_path: Path) -> None:
    a = written(tmp_path / "a", make_label(make_unit(1)))
    b = written(tmp_path / "b", make_label(make_unit(2)))
    with pytest.raises(InputError, match="have no unit in common"):
        compared(a, b)
