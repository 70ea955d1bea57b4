from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from typing import Any

import pytest
from factories import make_label, make_sets, make_stats
from hypothesis import given, settings
from sense_labels import SENSES, make_llm_explanation, make_sense_label
from stored_values import finite, labels, unit_sets

from autointerp.core.errors import AutointerpError, DamagedError, InputError, StorageError
from autointerp.core.explanations import Candidate, Label, ScoredExplanation
from autointerp.core.records import (
    UnitSets,
)
from autointerp.store.codec import LABELS, SETS, Codec, plain_json


@settings(max_examples=60, deadline=None)
@given(labels())
def test_any_label_comes_back_equal_and_encodes_to_the_same_bytes(label: Label) -> None:
    data = LABELS.encode(label)
    back = LABELS.decode(data, where="here")
    assert back == label
    assert LABELS.encode(back) == data


def test_a_label_with_senses_and_receipts_comes_back_equal() -> None:
    label = make_sense_label()
    data = LABELS.encode(label)
    assert LABELS.decode(data, where="here") == label


def test_what_later_versions_added_is_not_stored_where_there_is_none_of_it() -> None:
    text = LABELS.encode(make_label()).decode()
    assert not {"senses", "llm", "sense_scores", "receipts"} & set(re.findall(r'"(\w+)":', text))


@settings(max_examples=60, deadline=None)
@given(unit_sets())
def test_any_sets_come_back_equal(sets: UnitSets) -> None:
    assert SETS.decode(SETS.encode(sets), where="here") == sets


@given(finite)
def test_every_finite_number_comes_back_to_the_bit(number: float) -> None:
    label = make_label(stats=replace(make_stats(), mean=number))
    back = LABELS.decode(LABELS.encode(label), where="here").stats.mean
    assert (back, math.copysign(1, back)) == (number, math.copysign(1, number))


def test_the_bytes_are_one_line_of_readable_json_with_its_schema_first() -> None:
    data = LABELS.encode(make_label(text="rivière «日本»"))
    assert data.startswith(b'{"schema":1,"kind":"label","value":{"unit":')
    assert data.endswith(b"}\n")
    assert data.count(b"\n") == 1
    assert "rivière «日本»" in data.decode()


def test_a_lone_surrogate_is_written_as_the_replacement_character() -> None:
    label = make_label(top_tokens=("a\ud800b", "\udfff", "😀"))
    back = LABELS.decode(LABELS.encode(label), where="here")
    assert back.top_tokens == ("a\ufffdb", "\ufffd", "😀")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused_on_writing(number: float) -> None:
    label = make_label(stats=replace(make_stats(), variance=number))
    with pytest.raises(AutointerpError, match="this label cannot be stored: .*not JSON compliant"):
        LABELS.encode(label)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_refused_on_reading(number: str) -> None:
    data = LABELS.encode(make_label()).replace(b'"variance":0.5', f'"variance":{number}'.encode())
    with pytest.raises(StorageError, match=r"x\.json is damaged: value\.stats\.variance: .*finite"):
        LABELS.decode(data, where="x.json")


def test_a_field_of_another_type_is_refused_on_writing() -> None:
    label = make_label(top_tokens=(b"bytes",))
    with pytest.raises(AutointerpError, match="this label cannot be stored"):
        LABELS.encode(label)


def test_a_number_written_as_text_is_damage_and_not_guessed_at() -> None:
    data = LABELS.encode(make_label()).replace(b'"n_tokens":4096,"n_w', b'"n_tokens":"4096","n_w')
    with pytest.raises(StorageError, match=r"value\.stats\.n_tokens: Input should be a valid int"):
        LABELS.decode(data, where="x.json")


def test_a_newer_schema_is_refused_with_advice() -> None:
    data = json.dumps({"schema": 2, "kind": "label", "value": {"anything": 1}}).encode()
    with pytest.raises(InputError) as caught:
        LABELS.decode(data, where="x.json")
    assert str(caught.value) == (
        "x.json was written by a newer autointerp (schema 2, this one reads 1); "
        "upgrade autointerp to read it"
    )


@pytest.mark.parametrize("place", ["value", "value.stats", "value.results.0.trials.0"])
def test_an_unknown_key_is_refused_at_any_depth(place: str) -> None:
    found = json.loads(LABELS.encode(make_label()))
    at = found
    for part in place.split("."):
        at = at[int(part)] if part.isdigit() else at[part]
    at["surprise"] = 1
    with pytest.raises(StorageError, match=rf"{place}\.surprise: Unexpected keyword"):
        LABELS.decode(plain_json(found), where="x.json")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"schema":1}'])
def test_damaged_bytes_are_refused_with_the_place_and_what_to_do(data: bytes) -> None:
    with pytest.raises(StorageError, match=r"^x\.json is damaged: .*; delete it and run again"):
        LABELS.decode(data, where="x.json")


def test_sets_are_not_read_as_a_label_even_where_the_value_would_fit() -> None:
    data = LABELS.encode(make_label()).replace(b'"kind":"label"', b'"kind":"other"')
    with pytest.raises(StorageError, match="it holds a other, not a label"):
        LABELS.decode(data, where="x.json")
    with pytest.raises(StorageError, match="damaged"):
        LABELS.decode(SETS.encode(make_sets()), where="x.json")


def test_a_value_that_breaks_its_own_rule_is_damage() -> None:
    data = LABELS.encode(make_label()).replace(b'"status":"ok"', b'"status":"dead"')
    with pytest.raises(StorageError, match=r"x\.json is damaged: label .* needs a reason"):
        LABELS.decode(data, where="x.json")


@dataclass(frozen=True)
class _Pair:
    left: int
    right: int


def _pair_of_schema_0(value: dict[str, Any]) -> dict[str, Any]:
    return {"left": value["both"][0], "right": value["both"][1]}


def test_a_value_of_an_older_schema_is_brought_forward() -> None:
    pairs = Codec("pair", _Pair, {0: _pair_of_schema_0})
    old = b'{"schema":0,"kind":"pair","value":{"both":[1,2]}}\n'
    assert pairs.decode(old, where="a key") == _Pair(1, 2)
    assert pairs.encode(_Pair(1, 2)) == b'{"schema":1,"kind":"pair","value":{"left":1,"right":2}}\n'


@pytest.mark.parametrize(
    "data",
    [
        b'{"schema":0,"kind":"pair","value":{"both":["x",2]}}',
        b'{"schema":0,"kind":"other","value":{"both":[1,2]}}',
        b'{"schema":-1,"kind":"pair","value":{"both":[1,2]}}',
        b'{"schema":0,"kind":"pair","value":[1,2]}',
        b'{"schema":"0","kind":"pair","value":{"both":[1,2]}}',
    ],
)
def test_an_older_value_that_is_damaged_is_told(data: bytes) -> None:
    pairs = Codec("pair", _Pair, {0: _pair_of_schema_0})
    with pytest.raises(StorageError, match="a key is damaged"):
        pairs.decode(data, where="a key")


def test_an_older_schema_that_nobody_can_read_is_told() -> None:
    with pytest.raises(StorageError, match="a key is damaged: schema"):
        Codec("pair", _Pair).decode(b'{"schema":0,"kind":"pair","value":{}}', where="a key")


LATER = r"a.json was written by a newer autointerp \(the program of {} is in a language that this "


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("of: 3", "line 1: a rule begins"),
        ("3: token ~ /(/", r"line 1: /\(/ is"),
        ("3: within ~ /a/", "line 1: exp"),
    ],
)
def test_a_label_with_a_program_that_cannot_be_read_is_of_a_newer_version(
    program: str, why: str
) -> None:
    for changed in with_sense(program):
        with pytest.raises(InputError, match=f"^{LATER.format('sense 2')}one cannot read, {why}"):
            LABELS.decode(LABELS.encode(changed), where="a.json", advice="make it again")


def test_a_sense_whose_program_predicts_nothing_is_damage() -> None:
    for changed in with_sense("0: token ~ /a/"):
        with pytest.raises(DamagedError) as raised:
            LABELS.decode(LABELS.encode(changed), where="a.json", advice="make it again")
        assert str(raised.value) == (
            "a.json is damaged: the program of sense 2 predicts level 0 everywhere; make it again"
        )


def with_sense(program: str) -> tuple[Label, Label]:
    """Labels whose explanation, or candidate, has a sense with a program."""
    good = replace(SENSES[0], program="8: token ~ / and/")
    label = make_sense_label()
    explanation = make_llm_explanation((good, replace(SENSES[1], program=program)))
    scored = replace(label, llm=ScoredExplanation(explanation, "simulation"), explanation=None)
    candidates = (Candidate(explanation, None, "not tried", chosen=False),)
    return scored, replace(label, candidates=candidates, llm=None)


def test_a_label_with_a_program_that_cannot_be_read_is_refused_and_one_with_rules_is_read() -> None:
    label = make_sense_label()
    assert label.explanation is not None
    changed = replace(label, explanation=replace(label.explanation, program="1: tokens = 2"))
    with pytest.raises(InputError, match=LATER.format("its explanation")):
        LABELS.decode(LABELS.encode(changed), where="a.json")
    ruled = replace(label.explanation, senses=(replace(SENSES[0], program="8: token ~ / and/"),))
    kept = replace(label, explanation=ruled)
    assert LABELS.decode(LABELS.encode(kept), where="a.json") == kept
