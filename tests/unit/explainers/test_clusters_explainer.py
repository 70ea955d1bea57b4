"""The clusters explainer: which places stand together, what is shown, what replies become."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
from explainer_cases import INPUTS, ask
from factories import make_contexts, make_record

from autointerp.core.ids import Side
from autointerp.core.records import InputContexts
from autointerp.core.sense_types import Sense, SenseKind
from autointerp.explainers.context_clusters import (
    ActivePlace,
    ContextCluster,
    context_clusters,
    most_clusters,
    render_clusters,
)
from autointerp.explainers.excerpts import Extent
from autointerp.llm import ScriptedModel

RIVER = {"cluster": "A", "description": "the word river", "level": 8, "kind": "token"}
RUNS = {"cluster": "B", "description": "runs, of water", "level": 3, "kind": "phrase"}


def replying(*items: object) -> ScriptedModel:
    return ScriptedModel(lambda _: json.dumps({"senses": items}))


def found(contexts: InputContexts, *, most: int = 12) -> list[tuple[list[int], float]]:
    """(windows of the places, share) of each cluster."""
    clusters = context_clusters(contexts, Side.POSITIVE, most=most)
    return [([p.record.window for p in c.places], round(c.share, 3)) for c in clusters]


def test_each_cluster_becomes_a_sense_of_one_explanation() -> None:
    model = replying(RIVER, RUNS)
    [one] = ask("clusters", model).explanations
    assert one.senses == (
        Sense("the word river", 8.0, SenseKind.TOKEN),
        Sense("runs, of water", 3.0, SenseKind.PHRASE),
    )
    assert one.prompt is not None
    assert (one.explainer, one.prompt.name) == ("clusters", "explain_clusters")
    assert len(model.requests) == 1


def test_clusters_of_one_name_are_one_sense() -> None:
    [one] = ask("clusters", replying(RIVER, RUNS | {"description": "The word river."})).explanations
    assert one.text == "the word river"


def test_a_cluster_that_is_left_out_is_no_sense_and_none_at_all_is_no_pattern() -> None:
    [one] = ask("clusters", replying(RUNS)).explanations
    assert one.text == "runs, of water"
    assert ask("clusters", replying()).found_no_pattern


def test_records_without_vectors_are_refused_in_one_sentence() -> None:
    inputs = replace(INPUTS, records=replace(INPUTS.records, contexts=None))
    said = ask("clusters", replying(), inputs=inputs)
    assert said.failures == (
        "clusters: the records hold no vectors of what the unit reads; "
        "read them anew from the subject model",
    )


def test_places_that_are_like_no_other_or_of_one_window_are_in_no_cluster() -> None:
    record = make_record(9, (1.0, 2.0, 3.0), "top")
    alone = make_contexts([record], {(0, 0): 0, (0, 1): 0, (0, 2): 1})
    said = ask(
        "clusters",
        replying(),
        inputs=replace(INPUTS, records=replace(INPUTS.records, contexts=alone)),
    )
    assert found(alone) == []
    assert said.failures == (
        "clusters: no two windows are alike in what the unit reads where it is active",
    )
    assert ask(
        "clusters",
        replying(),
        inputs=replace(INPUTS, records=replace(INPUTS.records, contexts=make_contexts([], {}))),
    ).failures


def test_a_vector_that_is_not_finite_is_a_failure_with_its_reason() -> None:
    vectors = np.full((2, 4), np.nan, dtype="<f2")
    places = make_contexts([make_record(n, (1.0,), "top") for n in (0, 1)], {(0, 0): 0, (1, 0): 0})
    broken = replace(places, vectors=base64.b64encode(vectors.tobytes()).decode())
    inputs = replace(INPUTS, records=replace(INPUTS.records, contexts=broken))
    assert "vector of finite numbers" in ask("clusters", replying(), inputs=inputs).failures[0]


def test_shares_are_of_the_activation_that_places_stand_for() -> None:
    records = [replace(make_record(n, (0.0, 2.0), "band0"), weight=10.0) for n in range(2)]
    records += [replace(make_record(n, (0.0, 5.0), "top"), weight=1.0) for n in (2, 3)]
    contexts = make_contexts(records, {(0, 1): 3, (1, 1): 3, (2, 1): 5, (3, 1): 5})
    assert found(contexts) == [([0, 1], 0.8), ([2, 3], 0.2)]
    assert len(found(contexts, most=1)) == 1


def test_the_other_side_is_clustered_by_its_own_activation() -> None:
    records = [make_record(n, (9.0, -1.0 - n), "top") for n in range(2)]
    contexts = make_contexts(records, {(0, 1): 0, (1, 1): 0})
    [cluster] = context_clusters(contexts, Side.NEGATIVE, most=3)
    assert [place.activation for place in cluster.places] == [2.0, 1.0]


def cluster(*activations: float, weight: float = 1.0) -> ContextCluster:
    records = [
        replace(make_record(n, (0.0, value), "top"), weight=weight)
        for n, value in enumerate(activations)
    ]
    return ContextCluster(tuple(ActivePlace(r, 1, r.activations[1]) for r in records), 1.0)


def test_excerpts_run_from_the_strongest_towards_the_weakest() -> None:
    many = cluster(9, 8, 7, 6, 5, 4, 3, 2, 1)
    assert [place.activation for place in many.shown(3)] == [9, 6, 3]
    assert [place.activation for place in many.shown(1)] == [9]
    assert len(cluster(2, 1).shown(6)) == 2


def test_excerpts_are_of_different_windows_while_there_are_any() -> None:
    both = replace(make_record(7, (0.0, 9.0, 8.0), "top"))
    places = (ActivePlace(both, 1, 9.0), ActivePlace(both, 2, 8.0), *cluster(5, 4).places)
    mixed = ContextCluster(places, 1.0)
    assert [place.activation for place in mixed.shown(3)] == [9, 5, 4]
    assert [place.activation for place in mixed.shown(4)] == [9, 8, 5, 4]


def test_other_tokens_are_named_from_level_2_on_and_no_more_than_four() -> None:
    record = make_record(0, (1.0, 2.0, 9.0, 3.0, 4.0, 5.0, 0.0, 6.0, 0.0), "top")
    one = ContextCluster((ActivePlace(record, 2, 9.0),), 1.0)
    text = render_clusters([one], Side.POSITIVE, 10.0, Extent(1, 6, 6))
    assert text.endswith('Also active: "\\n" 3, " dry" 4, "é" 5, " river" 6')


def test_no_more_clusters_are_shown_than_there_are_letters() -> None:
    assert [most_clusters(n) for n in (1, 6, 20)] == [2, 12, 26]


def test_the_usual_activation_is_the_median_by_the_windows_that_places_stand_for() -> None:
    assert cluster(9, 8, 3).usual == 8
    mixed = cluster(9, 8, 3)
    weak = replace(mixed.places[2], record=replace(mixed.places[2].record, weight=9.0))
    assert replace(mixed, places=(*mixed.places[:2], weak)).usual == 3


@pytest.mark.parametrize("token", [1, 3])
def test_an_excerpt_stands_around_its_own_place_and_names_its_token(token: int) -> None:
    record = replace(
        make_record(0, (0.0, 8.0, 0.0, 3.0, 0.0), "top"),
        tokens=(" a", " Br", "itish", " ship", "."),
    )
    one = ContextCluster((ActivePlace(record, token, record.activations[token]),), 0.25)
    text = render_clusters([one], Side.POSITIVE, 10.0, Extent(1, 2, 2))
    assert text.startswith("Cluster A: 25 % of its activity, usual level")
    expected = {
        1: '1: " a «Br:8»itish ship"\nAlso active: " ship" 3',
        3: '1: " Br|itish «ship:3»."\nAlso active: " Br" 8',
    }
    assert text.split("\n", 1)[1] == expected[token]
