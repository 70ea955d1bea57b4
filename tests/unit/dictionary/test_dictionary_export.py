from __future__ import annotations

import gzip
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from damaged_rows import stored_label
from factories import (
    make_info,
    make_label,
    make_record,
    make_sets,
    make_stats,
    make_store,
    make_unit,
)
from memory_store import MemoryLabelStore
from sense_labels import make_rules, make_sense_label

from autointerp.core.errors import InputError, StorageError
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.dictionary import FORMATS, Dictionary, export_dictionary, open_dictionary
from autointerp.dictionary import write_dictionary as write
from autointerp.dictionary.neuronpedia import neuronpedia_files, unit_lines


@pytest.fixture
def dictionary(tmp_path: Path) -> Dictionary:
    write(tmp_path / "dict", make_store(), make_info())
    return open_dictionary(tmp_path / "dict")


def lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def batch(folder: Path, kind: str, number: int = 0) -> list[dict[str, Any]]:
    return lines(folder / kind / f"batch-{number}.jsonl.gz")


def test_parquet_is_the_dictionary_s_own_table(dictionary: Dictionary, tmp_path: Path) -> None:
    out = export_dictionary(dictionary, "parquet", tmp_path / "new" / "labels.parquet")
    assert out.read_bytes() == (dictionary.folder / "labels.parquet").read_bytes()


def test_jsonl_is_compressed_where_its_name_says_so(dictionary: Dictionary, tmp_path: Path) -> None:
    plain = export_dictionary(dictionary, "jsonl", tmp_path / "labels.jsonl")
    packed = export_dictionary(dictionary, "jsonl", tmp_path / "labels.jsonl.gz")
    assert [json.loads(line) for line in plain.read_text().splitlines()] == lines(packed)
    assert [line["index"] for line in lines(packed)] == [7, 8, 131, 131, 0]


def test_an_unknown_format_is_told_with_those_there_are(
    dictionary: Dictionary, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        export_dictionary(dictionary, "csv", tmp_path / "x.csv")
    assert str(caught.value) == (
        "unknown export format 'csv'; the formats are parquet, jsonl, neuronpedia, neuron-record"
    )


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_target_that_holds_something_is_refused_and_left_alone(
    dictionary: Dictionary, tmp_path: Path, fmt: str
) -> None:
    folder, file = tmp_path / "folder", tmp_path / "file.gz"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    file.write_text("mine")
    for target in (folder, file):
        with pytest.raises(InputError, match="choose another --out|add its name to --out"):
            export_dictionary(dictionary, fmt, target)
    assert [p.name for p in folder.iterdir()] == ["mine"]
    assert file.read_text() == "mine"


@pytest.mark.parametrize("fmt", ["neuronpedia", "neuron-record"])
def test_a_damaged_dictionary_leaves_no_half_export(
    dictionary: Dictionary, tmp_path: Path, fmt: str
) -> None:
    stored_label(dictionary.folder, 0, "blocks.10.mlp.hook_post").put(b"{half")
    (tmp_path / "out").mkdir()
    with pytest.raises(StorageError, match=r"/0 \(positive\) in .* is damaged"):
        export_dictionary(dictionary, fmt, tmp_path / "out" / "tree")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", ["labels.jsonl", "labels.jsonl.gz"])
def test_a_missing_table_is_named_and_nothing_is_made(
    dictionary: Dictionary, tmp_path: Path, name: str
) -> None:
    (dictionary.folder / "labels.jsonl.gz").unlink()
    with pytest.raises(StorageError, match=r"dict lacks labels\.jsonl\.gz; write or"):
        export_dictionary(dictionary, "jsonl", tmp_path / "out" / name)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_cut_off_table_is_damage(dictionary: Dictionary, tmp_path: Path) -> None:
    path = dictionary.folder / "labels.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StorageError, match=r"labels\.jsonl\.gz is damaged: "):
        export_dictionary(dictionary, "jsonl", tmp_path / "labels.jsonl")
    assert not (tmp_path / "labels.jsonl").exists()


@pytest.mark.parametrize("fmt", ["neuronpedia", "neuron-record"])
def test_an_empty_folder_is_taken_and_two_exports_are_equal(
    dictionary: Dictionary, tmp_path: Path, fmt: str
) -> None:
    (tmp_path / "a").mkdir()
    trees = [export_dictionary(dictionary, fmt, tmp_path / name) for name in ("a", "b")]
    first, second = (
        {p.relative_to(tree): p.read_bytes() for p in tree.rglob("*") if p.is_file()}
        for tree in trees
    )
    assert first == second
    assert first


def test_neuronpedia_lines_of_a_kind_have_the_same_keys(
    dictionary: Dictionary, tmp_path: Path
) -> None:
    tree = export_dictionary(dictionary, "neuronpedia", tmp_path / "np")
    for kind in ("features", "activations", "explanations"):
        rows = batch(tree, kind)
        assert len({tuple(row) for row in rows}) == 1
        assert {type(row[name]) for row in rows for name in ("modelId", "layer", "index")} == {str}


def test_neuronpedia_has_a_feature_for_every_unit_and_only_real_explanations(
    dictionary: Dictionary, tmp_path: Path
) -> None:
    tree = export_dictionary(dictionary, "neuronpedia", tmp_path / "np")
    keys = [(row["layer"], row["index"]) for row in batch(tree, "features")]
    assert keys == [("5", "7"), ("5", "8"), ("5", "131"), ("10", "0")]
    told = [(r["index"], r["polarity"], r["description"]) for r in batch(tree, "explanations")]
    assert told == [
        ("131", "positive", "the positive side"),
        ("131", "negative", "the negative side"),
        ("0", "positive", "7"),
    ]


def test_neuronpedia_has_both_explanations_with_their_scores(tmp_path: Path) -> None:
    store = MemoryLabelStore()
    store.put_label(make_sense_label())
    by_rules = make_sense_label(unit=make_unit(7), explanation=make_rules(), preferred="rules")
    store.put_label(by_rules)
    write(tmp_path / "dict", store, make_info())
    tree = export_dictionary(open_dictionary(tmp_path / "dict"), "neuronpedia", tmp_path / "np")
    rows = batch(tree, "explanations")
    names = ("index", "typeName", "explanationModelName", "chosen", "score", "added")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("7", "token_lookup", None, True, 0.38, None),
        ("7", "senses", "reader-1", False, 0.42, 0.06),
        ("131", "senses", "reader-1", True, 0.42, 0.06),
        ("131", "token_lookup", None, False, 0.38, None),
    ]
    assert len({row["id"] for row in rows}) == 4
    assert (rows[1]["score_low"], rows[1]["added_high"]) == (pytest.approx(0.32), 0.1)


def test_neuronpedia_has_what_was_scored_where_nothing_describes_the_unit() -> None:
    label = make_sense_label(
        explanation=None, preferred=None, status=LabelStatus.FAILED, reason="r"
    )
    lines = unit_lines((label.summary,), lambda *_: None).explanations
    assert [(line["typeName"], line["chosen"]) for line in lines] == [
        ("senses", False),
        ("token_lookup", False),
    ]


@pytest.mark.parametrize(
    ("side", "up", "down"),
    [
        (Side.POSITIVE, ([" sea"], [2.5]), ([" tax"], [-0.5])),
        (Side.NEGATIVE, ([" tax"], [0.5]), ([" sea"], [-2.5])),
    ],
)
def test_neuronpedia_features_have_the_tokens_of_activation_above_zero(
    side: Side, up: tuple[list[str], list[float]], down: tuple[list[str], list[float]]
) -> None:
    label = replace(
        make_label(side=side),
        promoted=(" sea",),
        promoted_values=(2.5,),
        suppressed=(" tax",),
        suppressed_values=(-0.5,),
    )
    [line] = unit_lines((label.summary,), lambda *_: None).features
    assert (line["pos_str"], line["pos_values"]) == up
    assert (line["neg_str"], line["neg_values"]) == down


def test_neuronpedia_features_of_labels_without_values_have_no_tokens() -> None:
    label = replace(make_label(), promoted=(" sea",), suppressed=(" tax",))
    [line] = unit_lines((label.summary,), lambda *_: None).features
    assert [line[f"{way}_{of}"] for way in ("pos", "neg") for of in ("str", "values")] == [[]] * 4


def test_neuronpedia_features_carry_the_histogram_at_the_bins_middles(
    dictionary: Dictionary, tmp_path: Path
) -> None:
    row = batch(export_dictionary(dictionary, "neuronpedia", tmp_path / "np"), "features")[2]
    assert row["freq_hist_data_bar_heights"] == [10, 4000, 86]
    assert row["freq_hist_data_bar_values"] == [-1.25, 0.0, 2.25]
    assert (row["maxActApprox"], row["frac_nonzero"]) == (4.0, 0.05)
    assert row["hookName"] == "blocks.5.mlp.hook_post"


def test_neuronpedia_activations_are_raw_with_their_peak_and_stratum(
    dictionary: Dictionary, tmp_path: Path
) -> None:
    rows = batch(export_dictionary(dictionary, "neuronpedia", tmp_path / "np"), "activations")
    mine = [row for row in rows if row["index"] == "0"]
    assert [row["maxValue"] for row in mine] == [4.0, 3.5, 1.25, 0.0, 0.0]
    top = mine[1]
    assert top["values"] == [0.0, 3.5, 0.21875, 0.0]
    assert top["tokens"] == [" the", " river", " runs", "\n"]
    assert (top["maxValueTokenIndex"], top["minValue"]) == (1, 0.0)
    assert (top["split"], top["binMin"], top["binMax"], top["binContains"]) == (
        "held_out",
        1.5,
        3.5,
        0.05,
    )


def test_neuronpedia_shows_a_window_once_a_unit_with_ids_of_its_own(
    dictionary: Dictionary, tmp_path: Path
) -> None:
    rows = batch(export_dictionary(dictionary, "neuronpedia", tmp_path / "np"), "activations")
    assert len([row for row in rows if row["index"] == "131"]) == 5
    assert len({row["id"] for row in rows}) == len(rows) == 10


def test_neuronpedia_batches_hold_1024_lines(tmp_path: Path) -> None:
    store = MemoryLabelStore()
    for index in range(1025):
        store.put_label(make_label(make_unit(index), results=(), preferred=None))
    write(tmp_path / "dict", store, make_info())
    tree = export_dictionary(open_dictionary(tmp_path / "dict"), "neuronpedia", tmp_path / "np")
    assert [len(batch(tree, "features", number)) for number in (0, 1)] == [1024, 1]
    assert batch(tree, "explanations", 1)[0]["index"] == "1024"
    assert list((tree / "activations").iterdir()) == []


def test_neuronpedia_lines_are_json_whatever_a_text_holds() -> None:
    texts = ["a\ud800b", "NaN of Infinity", 'é "日本" \x00\u2028', "-Infinity,NaN"]
    labels = [make_label(make_unit(n), text=text).summary for n, text in enumerate(texts)]
    units = [unit_lines((label,), lambda *_: None) for label in labels]
    files = {name: gzip.decompress(data) for name, data in neuronpedia_files(units)}
    rows = [json.loads(line) for line in files["explanations/batch-0.jsonl.gz"].split(b"\n")[:-1]]
    assert [row["description"] for row in rows] == ["a\ufffdb", *texts[1:]]
    assert len(files["features/batch-0.jsonl.gz"].splitlines()) == 4


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_never_gets_into_the_tree(number: float) -> None:
    label = make_label(stats=replace(make_stats(), density=number)).summary
    with pytest.raises(ValueError, match="not JSON compliant"):
        list(neuronpedia_files([unit_lines((label,), lambda *_: None)]))


def two_hooks_of_a_layer(tmp_path: Path) -> Dictionary:
    store = MemoryLabelStore()
    for name in ("hook_pre", "hook_post"):
        store.put_label(make_label(make_unit(3, hook=f"blocks.5.mlp.{name}")))
    write(tmp_path / "dict", store, make_info())
    return open_dictionary(tmp_path / "dict")


def test_neuronpedia_tells_two_hook_points_of_a_layer_apart(tmp_path: Path) -> None:
    tree = export_dictionary(two_hooks_of_a_layer(tmp_path), "neuronpedia", tmp_path / "np")
    assert [row["layer"] for row in batch(tree, "features")] == ["5", "5-mlp.hook_pre"]


def test_neuron_record_refuses_two_hook_points_of_a_layer(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"layer 5 has blocks\.5\.mlp\.hook_post and .*hook_pre"):
        export_dictionary(two_hooks_of_a_layer(tmp_path), "neuron-record", tmp_path / "nr")
    assert not (tmp_path / "nr").exists()


def test_a_neuron_record_is_openai_s_layout_to_the_key(
    dictionary: Dictionary, tmp_path: Path
) -> None:
    tree = export_dictionary(dictionary, "neuron-record", tmp_path / "nr")
    found = json.loads((tree / "10" / "0.json").read_text())
    top = [
        make_record(1, (0.0, 4.0, 0.0, 0.5), "top"),
        make_record(20, (0.0, 3.5, 0.21875, 0.0), ""),
    ]
    weak = make_record(21, (1.25, 0.0, 0.0, 0.0), "band0")

    def record(of: Any) -> dict[str, object]:
        return {
            "dataclass_name": "ActivationRecord",
            "tokens": list(of.tokens),
            "activations": list(of.activations),
        }

    assert found == {
        "dataclass_name": "NeuronRecord",
        "neuron_id": {"dataclass_name": "NeuronId", "layer_index": 10, "neuron_index": 0},
        "random_sample": [],
        "random_sample_by_quantile": [[record(weak)]],
        "quantile_boundaries": [0.0, 1.5],
        "mean": 0.01,
        "variance": 0.5,
        "skewness": None,
        "kurtosis": None,
        "most_positive_activation_records": [record(one) for one in top],
    }


def test_a_neuron_labelled_on_its_negative_side_has_its_most_negative_records(
    dictionary: Dictionary, tmp_path: Path
) -> None:
    tree = export_dictionary(dictionary, "neuron-record", tmp_path / "nr")
    found = json.loads((tree / "5" / "131.json").read_text())
    deepest = [min(r["activations"]) for r in found["most_negative_activation_records"]]
    assert deepest == [-4.0, -3.5]
    assert len(found["most_positive_activation_records"]) == 2


def test_a_dead_neuron_s_record_is_empty_but_there(dictionary: Dictionary, tmp_path: Path) -> None:
    tree = export_dictionary(dictionary, "neuron-record", tmp_path / "nr")
    found = json.loads((tree / "5" / "7.json").read_text())
    assert found["most_positive_activation_records"] == []
    assert (found["random_sample_by_quantile"], found["mean"]) == (None, 0.01)


def test_a_negative_side_alone_shows_its_deepest_windows_first(tmp_path: Path) -> None:
    store = MemoryLabelStore()
    store.put_label(make_label(side=Side.NEGATIVE))
    store.put_sets(make_sets(side=Side.NEGATIVE))
    write(tmp_path / "dict", store, make_info())
    tree = export_dictionary(open_dictionary(tmp_path / "dict"), "neuronpedia", tmp_path / "np")
    assert [row["minValue"] for row in batch(tree, "activations")][:3] == [-4.0, -3.5, -1.25]
