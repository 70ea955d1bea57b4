from __future__ import annotations

import gzip
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories import make_info, make_label, make_record, make_sets, make_store, make_unit
from hypothesis import given
from hypothesis import strategies as st
from neuron_records import neuron_record, record, write_record

from autointerp.core.errors import InputError
from autointerp.core.files import gzip_bytes
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import ActivationRecord, UnitSets
from autointerp.core.text import Split
from autointerp.dictionary import LabelRecords, export_dictionary, open_dictionary, write_dictionary
from autointerp.dictionary.neuron_record_import.parsing import read_record_file, records_path
from autointerp.dictionary.neuron_record_import.record_file import (
    FileFacts,
    RecordFile,
    TextVocabulary,
    file_of_records,
)
from autointerp.dictionary.neuron_record_import.splitting import split_records
from autointerp.store.codec import LABELS, SETS
from autointerp.store.label_records import RECORDS, ScoredRecord, label_records
from autointerp.store.labels import FolderLabelStore

TOP = "most_positive_activation_records"


def read(folder: Path, found: object | None = None, *, seed: int = 0) -> RecordFile:
    return read_record_file(write_record(folder / "3.json", found), seed=seed)


def parts(sets: UnitSets) -> tuple[tuple[ActivationRecord, ...], ...]:
    return sets.explain.records, sets.validation.records, sets.held_out.records


def test_a_published_record_is_split_by_record_into_three_sets(tmp_path: Path) -> None:
    found = read(tmp_path)
    explain, validation, held_out = parts(found.sets)
    assert found.sets.explain.unit == UnitId("unknown", "blocks.7.mlp.hook_post", 3)
    assert [len(part) for part in (explain, validation, held_out)] == [10, 2, 8]
    documents = [{r.document for r in part} for part in (explain, validation, held_out)]
    assert sum(map(len, documents)) == len(set.union(*documents)) == 20
    assert [r.stratum for r in held_out[:4]] == ["top", "random", "top", "random"]
    assert {s.name: s.n_sampled for s in found.sets.held_out.strata} == {"top": 4, "random": 4}
    assert "4 top, 4 random; each of these parts counts the same" in found.notes[-1]


def test_what_the_file_does_not_say_is_not_made_up(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert found.no_population is not None
    assert found.explanation is None
    assert found.stats.variance == 0.25
    values = [a for r in neuron_record()["random_sample"] for a in r["activations"]]
    assert found.stats.mean == pytest.approx(sum(values) / len(values))


def test_token_ids_are_made_up_one_for_each_text(tmp_path: Path) -> None:
    found = read(tmp_path)
    for part in parts(found.sets):
        for one in part:
            assert found.vocabulary.pieces(one.token_ids) == one.tokens
    assert len(set(found.vocabulary.texts.values())) == len(found.vocabulary.texts)
    vocabulary = TextVocabulary.of((" a", " ab", "b"))
    assert vocabulary.encode(" ab?b a") == [1, 2, 0]


def test_the_lookup_table_knows_explain_records_alone(tmp_path: Path) -> None:
    found = read(tmp_path)
    explain = found.sets.explain.records
    assert sum(found.token_means.counts.values()) == sum(len(r.tokens) for r in explain)
    [river] = [i for i, text in found.vocabulary.texts.items() if text == " river"]
    values = [a for r in explain for t, a in zip(r.tokens, r.activations) if t == " river"]  # noqa: B905
    assert found.token_means.means[river] == pytest.approx(sum(values) / len(values))


def test_a_negative_side_is_taken_where_it_is_the_stronger(tmp_path: Path) -> None:
    plain = neuron_record()
    down = [{**r, "activations": [-2 * a for a in r["activations"]]} for r in plain[TOP]]
    found = read(tmp_path, {**plain, "most_negative_activation_records": down})
    assert found.sets.explain.side is Side.NEGATIVE
    assert found.sets.explain.peak > 10


def test_bands_explain_beside_a_random_sample_and_are_scored_without_one(tmp_path: Path) -> None:
    rng = random.Random(1)
    bands = [[record(rng, n_hits=1) for _ in range(5)] for _ in range(2)]
    beside = read(tmp_path, neuron_record(random_sample_by_quantile=bands))
    alone = read(tmp_path, neuron_record(random_sample_by_quantile=bands, n_random=0))
    assert {s.name for s in beside.sets.held_out.strata} == {"top", "random"}
    assert sum(r.stratum.startswith("band") for r in beside.sets.explain.records) == 10
    assert {s.name for s in alone.sets.held_out.strata} == {"top", "band0", "band1"}


_TEXTS = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["top", "random", "band0"])), max_size=40
)


@given(_TEXTS, st.integers(0, 5))
def test_copies_of_a_text_never_part_and_no_record_is_in_two_sets(
    texts: list[tuple[str, str]], seed: int
) -> None:
    records = [
        replace(make_record(i, (1.0,), stratum), document=text)
        for i, (text, stratum) in enumerate(texts)
    ]
    dealt = split_records(records, ("top", "random"), seed=seed)
    windows = [r.window for split in Split for r in dealt[split]]
    assert len(windows) == len(set(windows))
    for one in Split:
        for other in set(Split) - {one}:
            assert not {r.document for r in dealt[one]} & {r.document for r in dealt[other]}
    assert all(r.stratum != "band0" for s in (Split.HELD_OUT, Split.VALIDATION) for r in dealt[s])
    assert dealt == split_records(records, ("top", "random"), seed=seed)


def test_another_seed_is_another_split(tmp_path: Path) -> None:
    held_out = [
        {r.document for r in read(tmp_path, seed=seed).sets.held_out.records} for seed in (0, 0, 1)
    ]
    assert held_out[0] == held_out[1] != held_out[2]


def test_lone_surrogates_are_mended_with_a_word(tmp_path: Path) -> None:
    found = read(tmp_path, neuron_record(word="\ud83d"))
    assert "lone surrogate" in found.notes[0]
    assert "\ufffd" in found.vocabulary.texts.values()


def _changed(**changes: object) -> dict[str, Any]:
    plain = neuron_record()
    first = {**plain[TOP][0], **changes}
    return {**plain, TOP: [first, *plain[TOP][1:]]}


def _same_value(value: float) -> dict[str, Any]:
    lines = [{"tokens": [f"{i}"], "activations": [value]} for i in range(9)]
    return neuron_record(**{TOP: lines, "random_sample": []})


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ([1], "is neither a record file of autointerp nor an OpenAI NeuronRecord"),
        ({"tokens": []}, "is neither a record file of autointerp nor an OpenAI NeuronRecord"),
        (neuron_record(neuron_id=None), "does not name a neuron: neuron_id needs layer_index"),
        (neuron_record(**{TOP: {}}), "most_positive_activation_records is not a list of records"),
        (neuron_record(random_sample_by_quantile=3), "is not a list of lists of records"),
        (neuron_record(random_sample_by_quantile=[3]), "band 0 of .* is not a list of records"),
        (
            _changed(tokens=None),
            "record 1 of most_positive_activation_records .* needs a list of tokens",
        ),
        (_changed(tokens=["a", 1]), "needs a list of tokens, each a text"),
        (_changed(activations=["1"]), "needs a list of activations, each a number"),
        (_changed(activations=[None]), "needs a list of activations, each a number"),
        (_changed(tokens=["a", "b"]), "has 2 tokens and 12 activations; each token needs one"),
        (_changed(tokens=[], activations=[]), "has 0 tokens and 0 activations"),
        (_changed(tokens=["a"], activations=[float("nan")]), "has the activation nan at token 0"),
        (_changed(tokens=["a"], activations=[1e39]), r"has the activation 1e\+39 at token 0"),
        (neuron_record(n_top=0, n_random=0), "has no records"),
        (_same_value(0.0), "no record in .* activates the unit: there is nothing to explain"),
        (_same_value(-1.0), "no record in .* activates the unit"),
        (_same_value(2.5), "every activation in .* is 2.5: there is nothing to explain"),
        (neuron_record(n_top=1, n_random=0), "has only one window"),
        (
            neuron_record(n_top=3, n_random=0),
            "too few different texts .*: 2 to explain from and 1 to score on, where 2",
        ),
    ],
)
def test_records_of_which_nothing_can_be_said_are_one_sentence(
    tmp_path: Path, found: object, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        read(tmp_path, found)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (gzip.compress(b"{}", mtime=0)[:15], "is damaged"),
        (b'{"schema": 1, "kind": "label", "value": {}}', "is damaged"),
        (b'{"schema": 9, "kind": "records", "value": {}}', "written by a newer autointerp"),
    ],
)
def test_damaged_files_are_one_sentence(tmp_path: Path, data: bytes, sentence: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(data)
    with pytest.raises(InputError, match=sentence):
        read_record_file(path, seed=0)


def test_a_missing_file_and_a_folder_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"could not read .*none.json: No such file"):
        read_record_file(tmp_path / "none.json", seed=0)
    with pytest.raises(InputError, match="is a folder; name the record files in it"):
        read_record_file(tmp_path, seed=0)


def our_records(n_explain: int = 12) -> LabelRecords:
    """A dictionary's record, with more to explain than the factories' sets have."""
    made = label_records(make_label(), make_sets())
    explain = tuple(
        replace(make_record(100 + i, (0.0, 1.0 + i), "top" if i > 5 else "band0"), weight=w)
        for i, w in zip(range(n_explain), [3.0] * 6 + [1.0] * 6, strict=False)
    )
    return replace(made, explain=explain)


def test_our_record_keeps_its_held_out_set_and_its_sizes() -> None:
    made = our_records()
    found = file_of_records(FileFacts(Path("x"), "d"), made, seed=0)
    assert found.no_population is None
    assert found.sets.held_out.records == made.held_out
    assert found.sets.held_out.strata == made.strata
    sizes = {s.name: (s.n_windows, s.n_sampled) for s in found.sets.validation.strata}
    assert sizes == {"band0": (18, 1), "top": (6, 1)}
    explain, validation, _ = parts(found.sets)
    assert len(explain) == 10
    assert not {r.document for r in explain} & {r.document for r in validation}
    assert isinstance(found.sets.held_out.records[0], ScoredRecord)


def test_our_files_are_read_with_the_explanation_beside_them(tmp_path: Path) -> None:
    write_dictionary(tmp_path, make_store(), make_info())
    store = FolderLabelStore(tmp_path)
    sets = make_sets()
    explain = replace(sets.explain, records=our_records().explain)
    store.put_sets(replace(sets, explain=explain))
    path = records_path(tmp_path, make_unit(), Side.POSITIVE)
    found = read_record_file(path, seed=0)
    assert found.label == store.get_label(make_unit(), Side.POSITIVE)
    assert found.explanation is not None
    assert found.explanation.text == "the positive side"
    elsewhere = tmp_path / "alone.json"
    elsewhere.write_bytes(RECORDS.encode(our_records()))
    assert read_record_file(elsewhere, seed=0).explanation is None


def test_a_unit_that_a_dictionary_does_not_have_is_told(tmp_path: Path) -> None:
    write_dictionary(tmp_path, make_store(), make_info())
    with pytest.raises(InputError, match=r"has no records of blocks\..*/9 \(positive\)"):
        read_record_file(records_path(tmp_path, make_unit(9), Side.POSITIVE), seed=0)
    with pytest.raises(InputError, match="names no records; write INDEX.SIDE: 131.positive"):
        read_record_file(records_path(tmp_path, make_unit(), Side.POSITIVE).with_name("x"), seed=0)


def test_a_record_file_of_an_earlier_version_has_its_label_beside_it(tmp_path: Path) -> None:
    name = "blocks.5.mlp.hook_post/0000131.positive.json"
    for folder, data in (
        (f"records/{name}.gz", gzip_bytes(RECORDS.encode(our_records()))),
        (f"scores/{name}", LABELS.encode(make_label())),
    ):
        (tmp_path / folder).parent.mkdir(parents=True)
        (tmp_path / folder).write_bytes(data)
    found = read_record_file(tmp_path / f"records/{name}.gz", seed=0)
    assert found.label == make_label()


def test_a_run_s_own_sets_are_taken_as_they_are(tmp_path: Path) -> None:
    sets = read(tmp_path).sets
    path = tmp_path / "sets.json"
    path.write_bytes(SETS.encode(sets))
    found = read_record_file(path, seed=5)
    assert found.sets == sets
    assert found.vocabulary.pieces(sets.explain.records[0].token_ids) == (
        sets.explain.records[0].tokens
    )


def test_what_we_export_as_neuron_record_is_read_back(tmp_path: Path) -> None:
    write_dictionary(tmp_path / "d", make_store(), make_info())
    tree = export_dictionary(open_dictionary(tmp_path / "d"), "neuron-record", tmp_path / "nr")
    path = tree / "10" / "0.json"
    # The factories' unit has too few windows; its layout is what is read here.
    with pytest.raises(InputError, match="has only one window"):
        read_record_file(path, seed=0)
    kept = json.loads(path.read_text())
    more = neuron_record(n_top=8, n_random=0)[TOP]
    path.write_text(json.dumps({**kept, TOP: kept[TOP] + more}))
    assert read_record_file(path, seed=0).sets.explain.unit.index == 0
