"""What units read where they are active: places, weights and vectors against a pass by hand."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
import torch
from noted_progress import NotedProgress
from numpy.typing import NDArray

from autointerp.activations import (
    UnitReader,
    read_contexts,
    read_windows,
    read_windows_and_contexts,
)
from autointerp.activations.input_contexts import strongest_places
from autointerp.activations.sampling.strata import TOP
from autointerp.core.config import SelectConfig
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import InputContexts
from autointerp.core.text import Split

HOOK, ENTERING = "blocks.1.mlp.hook_post", "blocks.1.mlp.hook_in"
UNIT = UnitId("tiny", HOOK, 11)
RESIDUAL = UnitId("tiny", "blocks.0.hook_resid_post", 3)


@pytest.fixture(scope="module")
def reader(collected: Any) -> UnitReader:
    return UnitReader(collected.summary, SelectConfig())


def contexts(collected: Any, reader: UnitReader, side: Side, **more: Any) -> InputContexts:
    keys = {(UNIT, side): reader.contexts(UNIT, side)}
    peaks = {(UNIT, side): reader.peak(UNIT, side)}
    found = read_contexts(collected.subject, collected.corpus, keys, peaks=peaks, **more)
    return found[UNIT, side]


def inputs_of(collected: Any, window: int) -> NDArray[np.float64]:
    """What enters the MLP at each token of one window."""
    kept: list[NDArray[np.float64]] = []
    ids = torch.tensor([collected.corpus[window].token_ids])
    collected.subject.read(
        ids, [ENTERING], lambda _, values: kept.append(values[0].double().numpy())
    )
    return kept[0]


@pytest.mark.parametrize("side", list(Side))
def test_the_windows_are_the_top_ones_and_a_sample_that_stands_for_all_other_active_ones(
    collected: Any, reader: UnitReader, side: Side
) -> None:
    found = contexts(collected, reader, side)
    ids = collected.oracle.ids(Split.EXPLAIN)
    assert {record.window for record in found.records} <= set(ids)
    assert sum(r.weight for r in found.records) == pytest.approx(
        reader.n_active(UNIT, side, Split.EXPLAIN)
    )
    top = [record.weight for record in found.records if record.stratum == TOP]
    assert top
    assert set(top) == {1.0}


@pytest.mark.parametrize("side", list(Side))
def test_vectors_are_what_enters_the_mlp_less_the_mean_over_all_tokens_at_length_1(
    collected: Any, reader: UnitReader, side: Side
) -> None:
    found = contexts(collected, reader, side, batch_windows=3)
    assert found.hook == ENTERING
    rows = {record.window: inputs_of(collected, record.window) for record in found.records}
    mean = np.concatenate(list(rows.values())).mean(axis=0)
    vectors = np.frombuffer(base64.b64decode(found.vectors), dtype="<f2")
    vectors = vectors.reshape(len(found.places), -1)
    for (number, token), vector in zip(found.places, vectors, strict=True):
        record = found.records[number]
        assert record.side(side)[token] >= 0.1 * reader.peak(UNIT, side)
        expected = rows[record.window][token] - mean
        np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=2e-3)


def test_both_sides_and_other_hook_points_are_read_in_one_pass(collected: Any) -> None:
    reader = UnitReader(collected.summary, SelectConfig())
    keys = {(UNIT, side): reader.contexts(UNIT, side) for side in Side}
    keys[RESIDUAL, Side.POSITIVE] = keys[UNIT, Side.POSITIVE]
    peaks = dict.fromkeys(keys, 0.1)
    found = read_contexts(collected.subject, collected.corpus, keys, peaks=peaks)
    assert found[RESIDUAL, Side.POSITIVE].hook == RESIDUAL.hook
    assert {key: own.hook for key, own in found.items() if key[0] == UNIT} == {
        (UNIT, side): ENTERING for side in Side
    }
    for (_, side), own in found.items():
        assert all(own.records[n].side(side)[t] >= 0.01 for n, t in own.places)


def test_windows_that_records_and_contexts_ask_for_are_run_once(
    collected: Any, reader: UnitReader
) -> None:
    samples = {(UNIT, side): reader.contexts(UNIT, side) for side in Side}
    peaks = {key: reader.peak(*key) for key in samples}
    n = collected.corpus.n_windows
    asked = {(HOOK, 11): range(0, n, 2), (RESIDUAL.hook, 3): range(0, n, 3)}
    progress = NotedProgress()
    model, corpus = collected.subject, collected.corpus
    activations, contexts = read_windows_and_contexts(
        model, corpus, asked, samples, peaks=peaks, batch_windows=5, progress=progress
    )
    wanted = {w for sample in samples.values() for w in sample.windows}
    n_run = len(wanted.union(*asked.values()))
    assert progress.totals["records"] == (progress.done["records"], "windows") == (n_run, "windows")
    apart = read_windows(model, corpus, asked)
    assert activations.keys() == apart.keys()
    for key, line in apart.items():
        np.testing.assert_allclose(activations[key], line, rtol=1e-4, atol=1e-5)
    alone = read_contexts(model, corpus, samples, peaks=peaks)
    assert {key: own.places for key, own in contexts.items()} == {
        key: own.places for key, own in alone.items()
    }


def test_at_most_three_places_of_different_tokens_from_level_1_on() -> None:
    side = np.array([1.0, 5.0, 4.0, 3.0, 2.0, 0.9])
    assert strongest_places(side, [1, 2, 2, 3, 4, 5], peak=10.0) == (1, 3, 4)
    assert strongest_places(side, [1, 2, 2, 3, 4, 5], peak=40.0) == (1,)
    assert strongest_places(side, [1, 2, 3, 4, 5, 6], peak=60.0) == ()


def test_a_unit_without_a_place_from_level_1_on_has_no_vectors(
    collected: Any, reader: UnitReader
) -> None:
    keys = {(UNIT, Side.POSITIVE): reader.contexts(UNIT, Side.POSITIVE)}
    peaks = dict.fromkeys(keys, 1e9)
    [found] = read_contexts(collected.subject, collected.corpus, keys, peaks=peaks).values()
    assert found.records
    assert (found.places, found.vectors) == ((), "")
