from __future__ import annotations

import re
from dataclasses import replace

import pyarrow as pa
import pytest
from factories import make_label, make_stats, make_unit
from sense_labels import SENSES, make_llm_explanation, make_rules, make_sense_label

from autointerp.core.explanations import LabelStatus, ScoredExplanation
from autointerp.core.ids import Side
from autointerp.core.scores import Score, ScorerResult
from autointerp.core.sense_types import senses_text
from autointerp.core.unit_evidence import (
    Absent,
    Measure,
    NearUnit,
    NearUnits,
    Quantity,
    Relation,
    UnitEvidence,
)
from autointerp.dictionary import COLUMNS, label_row
from autointerp.dictionary.rows import OLD_NAMES, ROW_SCHEMA, current_row
from autointerp.store.packed_labels import pack_label, unpack_label

CONTRACT = (
    "model_id",
    "layer",
    "index",
    "hook",
    "description",
    "explanation",
    "explainer",
    "explanation_model_name",
    "status",
    "status_reason",
    "polarity",
    "score",
    "score_low",
    "score_high",
    "score_null",
    "score_lookup",
    "score_top_random",
    "score_top",
    "score_random",
    "detection",
    "fuzzing",
    "n_heldout",
    "max_activation",
    "density",
    "top_tokens",
    "promoted_tokens",
    "promoted_values",
    "suppressed_tokens",
    "suppressed_values",
    "llm_description",
    "llm_score",
    "llm_score_low",
    "llm_score_high",
    "llm_added",
    "llm_added_low",
    "llm_added_high",
    "rules_description",
    "rules_score",
    "n_senses",
    "mass_explained",
    "survived",
    "n_receipts",
)


BOTH = CONTRACT[CONTRACT.index("llm_description") :]
MARGINS = ["over_broader", "over_narrower"]
EVIDENCE = [*Quantity, *Relation, "kinds"]
OWN = ["p_value", "q_value", "auprc", "f1", "iou", "llm_null", *MARGINS, *EVIDENCE]


def test_the_columns_are_the_contract_s_in_its_order_and_some_more() -> None:
    assert list(COLUMNS) == [*CONTRACT, "corpus", "unit", "scorer", "n_failed", *OWN]


def test_evidence_has_its_columns() -> None:
    near = NearUnits(Relation.UPSTREAM, (NearUnit(4, 7, 0.3), NearUnit(3, 1, -0.2)), 0.1)
    lacking = Measure(Quantity.NORM_TIMES_BIAS, None, absent=Absent.NO_BIAS)
    evidence = UnitEvidence((Measure(Quantity.OUTPUT_NORM, 2.5), lacking), (near,))
    row = label_row(replace(make_label(), evidence=evidence))
    assert tuple(row) == COLUMNS
    assert (row["output_norm"], row["norm_times_bias"], row["input_norm"]) == (2.5, None, None)
    assert (row["upstream"], row["downstream"]) == (["4:7", "3:1"], None)
    like = UnitEvidence((), (NearUnits(Relation.LIKE_INPUT, (NearUnit(5, 7, 0.3),), 0.1), near))
    for hook, name in (
        ("blocks.5.mlp.hook_post", "5:7"),
        # 5:7 is a neuron, and what is like a latent is a latent.
        ("blocks.5.hook_resid_post.sae_x", "blocks.5.hook_resid_post.sae_x/7"),
        ("blocks.5.mlp.experts.3.hook_post", "blocks.5.mlp.experts.3.hook_post/7"),
    ):
        row = label_row(replace(make_label(), unit=make_unit(hook=hook), evidence=like))
        assert (row["like_input"], row["upstream"]) == ([name], ["4:7", "3:1"])
    told = UnitEvidence((Measure(Quantity.TOKEN_SHARE, 0.62, None, 0.5, 0.7),))
    assert label_row(replace(make_label(), evidence=told))["kinds"] == ["current_token"]


@pytest.mark.parametrize("status", LabelStatus)
@pytest.mark.parametrize("side", Side)
def test_every_row_has_every_column_and_fits_the_schema(status: LabelStatus, side: Side) -> None:
    row = label_row(make_label(side=side, status=status))
    assert tuple(row) == COLUMNS
    assert pa.Table.from_pylist([row], schema=ROW_SCHEMA).to_pylist() == [row]


def test_an_ok_label_s_row_says_everything() -> None:
    assert label_row(make_label()) == {
        "model_id": "tiny",
        "layer": 5,
        "index": 131,
        "hook": "blocks.5.mlp.hook_post",
        "description": "names of rivers",
        "explanation": "names of rivers",
        "explainer": "token_activation",
        "explanation_model_name": "smollm2-135m-instruct",
        "status": "ok",
        "status_reason": None,
        "polarity": "positive",
        "score": 0.42,
        "score_low": pytest.approx(0.32),
        "score_high": pytest.approx(0.52),
        "score_null": 0.01,
        "score_lookup": 0.3,
        "score_top_random": 0.5,
        "score_top": 0.6,
        "score_random": None,
        "detection": 0.75,
        "fuzzing": None,
        "n_heldout": 2,
        "max_activation": 4.0,
        "density": 0.05,
        "top_tokens": [" river", "7", "é"],
        "promoted_tokens": None,
        "promoted_values": None,
        "suppressed_tokens": None,
        "suppressed_values": None,
        **dict.fromkeys(BOTH),
        "corpus": "wiki",
        "unit": "tiny/blocks.5.mlp.hook_post/131",
        "scorer": "simulation",
        "n_failed": 1,
        "p_value": None,
        "q_value": None,
        "auprc": None,
        "f1": None,
        "iou": None,
        "llm_null": None,
        **dict.fromkeys(MARGINS),
        **dict.fromkeys(EVIDENCE),
    }


def test_every_name_is_in_one_style() -> None:
    assert [name for name in COLUMNS if not re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", name)] == []


def test_promoted_and_suppressed_tokens_have_their_values() -> None:
    label = replace(
        make_label(),
        promoted=(" sea", " lake"),
        promoted_values=(2.5, 1.0),
        suppressed=(" tax",),
        suppressed_values=(-0.5,),
    )
    row = label_row(label)
    assert (row["promoted_tokens"], row["promoted_values"]) == ([" sea", " lake"], [2.5, 1.0])
    assert (row["suppressed_tokens"], row["suppressed_values"]) == ([" tax"], [-0.5])
    assert unpack_label(pack_label(label), where="it") == label


def test_a_row_of_schema_1_has_the_names_and_types_of_now() -> None:
    row = label_row(make_label())
    later = ("explanation", "corpus", "promoted_values", "suppressed_values")
    back = {now: old for old, now in OLD_NAMES.items()}
    old = {back.get(n, n): v for n, v in row.items() if n not in later}
    old |= {"layer": "5", "index": "131"}
    assert current_row(old) == row | {"corpus": None}


def test_the_llm_s_explanation_and_the_rules_have_columns_of_their_own() -> None:
    label = make_sense_label()
    row = label_row(label)
    assert {name: row[name] for name in (*BOTH, "llm_null", *MARGINS)} == {
        "llm_description": senses_text(SENSES),
        "llm_score": 0.42,
        "llm_score_low": pytest.approx(0.32),
        "llm_score_high": pytest.approx(0.52),
        "llm_added": 0.06,
        "llm_added_low": 0.02,
        "llm_added_high": 0.1,
        "rules_description": 'the token "-"; the token " and"',
        "rules_score": 0.38,
        "n_senses": 3,
        "mass_explained": 0.72,
        "survived": 0.85,
        "n_receipts": 20,
        "llm_null": 0.01,
        "over_broader": 0.09,
        "over_narrower": -0.02,
    }
    assert pa.Table.from_pylist([row], schema=ROW_SCHEMA).to_pylist() == [row]


def test_the_llm_s_columns_are_there_where_rules_describe_the_unit() -> None:
    label = make_sense_label(explanation=make_rules(), preferred="rules")
    row = label_row(label)
    assert (row["description"], row["score"]) == (row["rules_description"], row["rules_score"])
    assert (row["llm_score"], row["llm_added"], row["n_senses"]) == (0.42, 0.06, 3)


def test_an_explanation_of_one_piece_is_one_sense_and_no_receipts_are_null() -> None:
    whole = ScoredExplanation(make_llm_explanation(()), "simulation")
    row = label_row(make_sense_label(llm=whole, sense_scores=(), receipts=()))
    assert (row["n_senses"], row["n_receipts"]) == (1, None)


def test_a_dead_unit_s_row_is_null_but_for_its_counts_and_reason() -> None:
    row = label_row(make_label(status=LabelStatus.DEAD))
    assert row["status"] == "dead"
    assert row["status_reason"] == "the unit is dead"
    scores = [name for name in COLUMNS if name.startswith("score") or name == "n_failed"]
    assert {row[name] for name in (*scores, "description", "detection")} == {None}
    assert (row["n_heldout"], row["max_activation"], row["top_tokens"]) == (0, 4.0, [])


def test_a_negative_side_s_greatest_activation_is_its_depth() -> None:
    assert label_row(make_label(side=Side.NEGATIVE))["max_activation"] == 2.0


def test_a_negative_side_that_never_activates_reads_zero_without_a_sign() -> None:
    label = make_label(side=Side.NEGATIVE, stats=replace(make_stats(), minimum=0.0))
    assert str(label_row(label)["max_activation"]) == "0.0"


def test_scores_are_those_of_the_preferred_scorer() -> None:
    rules = ScorerResult("rules", "r", (Score("population", 0.9, 0.8, 0.95, 7, None),), ())
    null = ScorerResult("rules_null", "r", (Score("population", 0.2, None, None, 7, None),), ())
    label = make_label(make_unit(1))
    label = replace(label, preferred="rules", results=(*label.results, rules, null))
    row = label_row(label)
    assert (row["score"], row["score_null"], row["n_heldout"]) == (0.9, 0.2, 7)
    assert (row["score_top_random"], row["n_failed"], row["scorer"]) == (None, 0, "rules")


def test_an_undefined_score_is_null_and_not_zero() -> None:
    undefined = ScorerResult("simulation", "r", (Score.undefined("population", "constant"),), ())
    row = label_row(make_label(results=(undefined,)))
    assert (row["score"], row["score_low"], row["score_high"]) == (None, None, None)
