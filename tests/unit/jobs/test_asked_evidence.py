"""Causal evidence that a worker is asked for, on a real model and the records of its labels."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from worker_in_process import WorkerInProcess, tiny_spec

from autointerp.api.schemas.evidence_results import CausalEvidenceOut
from autointerp.api.schemas.evidence_schemas import EvidenceRequest
from autointerp.core.causal_evidence import TextKind
from autointerp.core.errors import UpstreamError
from autointerp.core.ids import UnitId
from autointerp.jobs.recorded_texts import Peaks, RecordedTexts
from autointerp.jobs.worker.asked_evidence import Waited
from autointerp.jobs.worker.requests import RequestHandler
from autointerp.jobs.worker.resources import LoadedModels
from autointerp.store.jobs import WorkerRequest
from autointerp.subjects import parse_units

UNIT = "tiny/blocks.0.mlp.hook_post/1"


def asked_of(
    room: WorkerInProcess, units: str, *, most_s: float = 600.0, left_s: float = 600.0, **asked: Any
) -> Any:
    """A worker's reply, with few controls and windows unless a test names others."""
    few = {"n_controls": 2, "n_windows": 3, "n_texts": 2, **asked}
    text = {"text": few.pop("text")} if "text" in few else {}
    given = EvidenceRequest(units=units, **few)
    body = given.model_dump(mode="json", exclude_none=True, exclude={"corpus", "tokens"}) | text
    payload = {**body, "model": "tiny", "labels": "tiny", "most_units": 6, "most_s": most_s}
    text = json.dumps(["evidence", json.dumps(payload)])
    RequestHandler(room.dependencies, LoadedModels(room.dependencies)).handle(
        WorkerRequest(text, text, left_s)
    )
    return json.loads(room.backend.mailbox.await_reply(text, wait_s=1) or "null")


@pytest.fixture(scope="module")
def labelled(
    tmp_path_factory: pytest.TempPathFactory, model_folder: Path, texts: Path
) -> WorkerInProcess:
    room = WorkerInProcess(tmp_path_factory.mktemp("room"), model_folder, texts)
    room.finished(tiny_spec(texts))
    return room


def test_what_is_lost_is_measured_on_the_texts_of_the_label(labelled: WorkerInProcess) -> None:
    found = CausalEvidenceOut.model_validate(asked_of(labelled, "0:1", holds=["zero", "mean"]))
    [ablation] = found.ablations
    assert ablation.units == [UNIT]
    assert [(c.hold, c.text) for c in ablation.changes] == [
        (hold, text) for hold in ("zero", "mean") for text in ("all", "exemplars", "predicted")
    ]
    every, exemplars, _ = ablation.changes[:3]
    assert (every.n_windows, exemplars.n_windows) == (3, 2)
    assert every.value is not None
    assert [(s.control, len(s.values)) for s in every.standings] == [
        ("random_units", 2),
        ("random_directions", 2),
    ]
    assert found.n_tokens_run > 0


def test_held_out_windows_carry_the_weights_with_which_they_were_drawn(
    labelled: WorkerInProcess,
) -> None:
    label = next(one for one in labelled.stores.of("tiny").labels() if one.results)
    sets = labelled.stores.of("tiny").get_sets(label.unit, label.side)
    assert sets is not None
    texts = RecordedTexts({label.unit: (label, sets)}, n_windows=10**6, n_texts=4, seed=0)
    [every, exemplars, predicted] = texts.of((label.unit,), list(TextKind)).values()
    assert not isinstance(every, str)
    assert sum(one.weight for one in every) == pytest.approx(sets.held_out.n_windows)
    first = {r.document: r.token_ids for r in reversed(sets.explain.activating)}
    assert [one.token_ids for one in exemplars] == [first[one.document] for one in exemplars]  # type: ignore[union-attr]
    rules = label.explanation.rules if label.explanation else ()
    known = {rule.tokens[-1] for rule in rules}
    assert rules
    assert all(known & set(one.token_ids) for one in predicted)  # type: ignore[union-attr]


def test_what_labels_predict_is_computed_once_for_requests_of_another_size(
    labelled: WorkerInProcess,
) -> None:
    label = next(one for one in labelled.stores.of("tiny").labels() if one.results)
    sets = labelled.stores.of("tiny").get_sets(label.unit, label.side)
    assert sets is not None
    known, peaks = {label.unit: (label, sets)}, Peaks()
    larger, smaller = (
        RecordedTexts(known, n_windows=1, n_texts=n, seed=0, peaks=peaks) for n in (4, 2)
    )
    assert len(larger.of((label.unit,), [TextKind.PREDICTED])[TextKind.PREDICTED]) <= 4
    assert list(peaks) == [label.unit]
    peaks[label.unit] = [0.0] * len(sets.held_out.records)
    said = smaller.of((label.unit,), [TextKind.PREDICTED])[TextKind.PREDICTED]
    assert said == "its label says of no held-out window that it is active there"


def test_units_drawn_at_random_are_those_of_the_seed(labelled: WorkerInProcess) -> None:
    subject = labelled.dependencies.load_subject("tiny", "float32")
    few: dict[str, Any] = {"prompts": ["the river"], "n_tokens": 1, "n_controls": 0}
    for seed in (1, 2):
        drawn = parse_units("random:2", subject, seed=seed)
        units = {str(UnitId("tiny", one.hook, i)) for one in drawn for i in one.indices}
        found = asked_of(labelled, "random:2", kind="steering", seed=seed, **few)
        assert {one["unit"] for one in found["steerings"]} == units


def test_units_whose_texts_differ_cost_no_more_together_than_one_by_one(
    labelled: WorkerInProcess,
) -> None:
    few = {"against": ["random_units"], "texts": ["all"]}
    alone = [asked_of(labelled, unit, **few)["n_tokens_run"] for unit in ("0:1", "0:2")]
    both = CausalEvidenceOut.model_validate(asked_of(labelled, "0:1,0:2", **few))
    assert [len(one.changes[0].standings) for one in both.ablations] == [1, 1]
    assert both.n_tokens_run <= sum(alone)


def test_units_that_have_no_label_are_told_where_text_is_needed(labelled: WorkerInProcess) -> None:
    reply = asked_of(labelled, "0:5", kind="attribution")
    assert reply["unlabelled"] == ["tiny/blocks.0.mlp.hook_post/5"]
    assert "there is no label of 0:5, and ablation and attribution take text" in reply["reason"]
    both = CausalEvidenceOut.model_validate(asked_of(labelled, "0:1,0:5"))
    assert [one.units for one in both.ablations] == [[UNIT]]
    assert "1 of 2 units are left out: there is no label of 0:5" in both.notes[-1]
    assert asked_of(labelled, "0:1,0:5", together=True)["unlabelled"]


def test_steering_and_patching_need_no_label(labelled: WorkerInProcess) -> None:
    unit = UNIT.replace("/1", "/5")
    steered = asked_of(labelled, "0:5", kind="steering", prompts=["the river"], n_tokens=2)
    raised, lowered = CausalEvidenceOut.model_validate(steered).steerings
    assert (raised.unit, lowered.prompts) == (unit, ["the river"])
    two = {"prompt": "the river", "counterfactual": "river the", "answers": ["the", "river"]}
    patched = CausalEvidenceOut.model_validate(asked_of(labelled, "0:5", kind="patching", **two))
    assert [one.units for one in patched.patchings] == [[unit]]


def test_sites_are_compared_on_the_text_that_is_named_and_other_units_are_named(
    labelled: WorkerInProcess, texts: Path
) -> None:
    text = {"corpus": str(texts), "n_tokens": 2500, "n_ctx": 16}
    reply = asked_of(labelled, "0:1,blocks.0.hook_resid_post:3", kind="sites", text=text)
    found = CausalEvidenceOut.model_validate(reply)
    assert [{s.unit.rpartition("/")[2] for s in one.sites} for one in found.sites] == [{"1"}]
    assert found.sites[0].n_tokens <= 2600
    assert "is not a neuron of an MLP" in found.notes[0]
    assert found.dtype == "float32"
    said = asked_of(labelled, "0:1", kind="sites", text=text, most_s=1e-9)
    assert "what fits is nothing" in said["error"]


def test_units_are_ranked_for_their_own_labels_on_the_texts_of_these(
    labelled: WorkerInProcess,
) -> None:
    reply = asked_of(labelled, "0:1-2,0:5", kind="rank", keep=True)
    found = CausalEvidenceOut.model_validate(reply)
    store, hook = labelled.stores.of("tiny"), "blocks.0.mlp.hook_post"
    assert {one.unit for one in found.ranks} == {UNIT, UNIT.replace("/1", "/2")}
    assert "1 of 3 units are left out: there is no label of 0:5" in found.notes
    for one in found.ranks:
        assert one.rank is not None
        assert 1 <= one.rank <= one.n_units
        label = store.get_label(UnitId.parse(one.unit), one.side)
        assert label is not None
        assert one.own == pytest.approx(label.headline.value, abs=1e-4)
    [kept] = [
        one for one in store.evidence_of(UnitId("tiny", hook, 1)) if one.request.kind == "rank"
    ]
    assert [one.side for one in kept.evidence.ranks] == [
        one.side for one in found.ranks if one.unit == UNIT
    ]
    assert kept.source.label is not None
    assert kept.source.corpus is not None
    without = asked_of(labelled, "0:5", kind="rank")
    assert without["unlabelled"] == [UNIT.replace("/1", "/5")]
    said = asked_of(labelled, "0:1", kind="rank", most_s=1e-9)
    assert "ask about fewer units, or in a job" in said["error"]
    assert "leave out --together" in asked_of(labelled, "0:1", kind="rank", together=True)["error"]


def test_answers_are_kept_where_that_is_asked_for(labelled: WorkerInProcess) -> None:
    store = labelled.stores.of("tiny")
    asked_of(labelled, "0:1-2", texts=["all"], seed=7, keep=True)
    for index in (1, 2):
        own = UnitId("tiny", "blocks.0.mlp.hook_post", index)
        [kept] = [one for one in store.evidence_of(own) if one.request.seed == 7]
        assert [one.units for one in kept.evidence.ablations] == [(own,)]
        assert (kept.source.job, kept.source.dtype) == (None, "float32")


def test_a_request_ends_when_nobody_waits_for_it_any_more() -> None:
    waited = Waited(left_s=0.05, most_s=96.0)
    waited.check()
    waited.refuse_late(0.0)
    time.sleep(0.06)
    for late in (waited.check, partial(waited.advance, "sites", 1)):
        with pytest.raises(UpstreamError, match="it took longer than its caller waits"):
            late()


def test_what_takes_longer_than_a_request_is_refused_with_what_fits(
    labelled: WorkerInProcess,
) -> None:
    reply = asked_of(labelled, "0:0-3", n_controls=19, most_s=1e-9)
    assert reply["code"] == "input"
    assert "s on this worker, and a request has 0 s; what fits is nothing" in reply["error"]


def test_what_does_not_fit_the_time_that_is_left_is_asked_again(labelled: WorkerInProcess) -> None:
    reply = asked_of(labelled, "0:1", left_s=0.0)
    assert reply["code"] == "busy"
    assert "0 s are left of this request, which waited; ask again" in reply["error"]


@pytest.mark.parametrize(
    ("units", "asked", "said"),
    [
        ("0:0-6", {}, "7 units were asked for, at most 6 are answered at a time"),
        ("0:9999", {"kind": "steering"}, "has the"),
        (
            "0:1",
            {"kind": "patching", "prompt": "the river", "counterfactual": "the"},
            "must have the same number of tokens",
        ),
    ],
)
def test_what_cannot_be_done_is_told(
    labelled: WorkerInProcess, units: str, asked: dict[str, Any], said: str
) -> None:
    reply = asked_of(labelled, units, **asked)
    assert reply["code"] == "input"
    assert said in reply["error"]
