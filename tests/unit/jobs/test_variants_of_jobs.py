"""The service runs the explainers and scorers that the command line runs, and refuses the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_endpoint import FakeEndpoint
from planted_llm import noise
from stopped_store import StoppedStore
from typing_extensions import override
from worker_in_process import WorkerInProcess, tiny_spec

from autointerp.core.errors import InputError
from autointerp.core.explanations import Label, LabelOrigin, LabelStatus
from autointerp.core.files import MINILM
from autointerp.core.ids import Side, UnitId
from autointerp.core.job_state import JobState, Stage
from autointerp.core.records import UnitSets
from autointerp.core.variants import Need
from autointerp.dictionary import row_json
from autointerp.explainers import EXPLAINERS
from autointerp.jobs.worker.requests import RequestHandler
from autointerp.jobs.worker.resources import LoadedModels
from autointerp.pipeline import JobVariants
from autointerp.scorers import SCORERS
from autointerp.store.jobs import WorkerRequest
from autointerp.store.labels.folder_store import FolderLabelStore
from autointerp.store.labels.folder_stores import FolderLabelStores


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score": {"scorers": ("detection",)}}, "scorer detection asks an LLM, and the job's llm"),
        ({"explain": {"explainers": ("contrastive",)}}, "explainer contrastive asks an LLM"),
        ({"score": {"scorers": ("simulation",)}}, "scorer simulation asks an LLM, and the job's"),
        (
            {"explain": {"explainers": ("token_activation", "token_lookup")}},
            "explainer token_activation asks an LLM, and the job's llm is none",
        ),
        ({"score": {"scorers": ("tarot",)}}, "unknown scorer 'tarot'; there are contrast"),
        (
            {"llm": "embedded", "score": {"scorers": ("simulation_echo",)}},
            "needs an LLM with /v1/completions and echo, and the embedded LLM has neither",
        ),
    ],
)
def test_what_cannot_run_is_refused_when_it_is_submitted(
    room: WorkerInProcess, texts: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        room.submit(tiny_spec(texts, **changes))
    assert not room.sent


def test_a_job_with_too_few_units_for_its_scorer_fails_before_text_is_read(
    room: WorkerInProcess, texts: Path
) -> None:
    score = {"scorers": ("contrast",)}
    job = room.finished(tiny_spec(texts, units="0:0", llm="embedded", score=score))
    assert job.state is JobState.FAILED
    assert "contrast compares a unit with others and needs 2 units" in (job.reason or "")
    assert room.backend.queue.items(job.id, Stage.RECORDS) == []


def test_a_scorer_that_needs_no_llm_runs_without_one(room: WorkerInProcess, texts: Path) -> None:
    job = room.finished(tiny_spec(texts, score={"scorers": ("embedding",)}))
    if MINILM.find() is None:
        assert job.state is JobState.FAILED
        assert MINILM.install_command in (job.reason or "")
        return
    assert job.state is JobState.SUCCEEDED
    labels = list(room.stores.of("tiny").labels())
    assert {r.scorer for label in labels for r in label.results} >= {"rules", "embedding"}


def test_workers_load_the_subject_model_for_all_that_run_texts_through_it(texts: Path) -> None:
    for scorer in SCORERS:
        spec = tiny_spec(texts, llm="embedded", score={"scorers": (scorer.name,)})
        needed = Need.SUBJECT in scorer.needs
        assert JobVariants.of(spec).need(Need.SUBJECT) == needed, scorer.name
    for explainer in EXPLAINERS:
        spec = tiny_spec(texts, llm="embedded", explain={"explainers": (explainer.name,)})
        assert JobVariants.of(spec).need(Need.SUBJECT) == (Need.SUBJECT in explainer.needs), (
            explainer.name
        )


def scored(room: WorkerInProcess, scorer: str, llm: str) -> Any:
    """A worker's reply to a request to score an explanation of somebody's own."""
    label = next(label for label in room.stores.of("tiny").labels() if label.results)
    unit = {"unit": str(label.unit), "side": label.side.value, "text": "rivers"}
    payload = json.dumps({**unit, "scorers": [scorer], "llm": llm})
    request = WorkerRequest(scorer, json.dumps(["explanation", payload]), 60.0)
    models = LoadedModels(room.dependencies)
    RequestHandler(room.dependencies, models).handle(request)
    return json.loads(room.backend.mailbox.await_reply(scorer, wait_s=1) or "null")


PROGRAM = r"8: token ~ /\s?[a-k].*/i"


def asked_of(room: WorkerInProcess, **asked: object) -> tuple[Label, Any]:
    """The first scored label, and a worker's reply about an explanation of its unit."""
    label = next(label for label in room.stores.of("tiny").labels() if label.results)
    payload = json.dumps({"unit": str(label.unit), "side": label.side.value, **asked})
    request = WorkerRequest(payload, json.dumps(["explanation", payload]), 60.0)
    RequestHandler(room.dependencies, LoadedModels(room.dependencies)).handle(request)
    return label, json.loads(room.backend.mailbox.await_reply(payload, wait_s=1) or "null")


def test_a_persons_program_is_run_on_all_windows_and_compared_with_the_label(
    room: WorkerInProcess, texts: Path
) -> None:
    room.finished(tiny_spec(texts))
    label, reply = asked_of(room, program=PROGRAM, llm="embedded")
    [result] = reply["results"]
    scores = {score["name"]: score for score in result["scores"]}
    assert (result["scorer"], reply["text"]) == ("program", PROGRAM)
    assert len(result["trials"]) == label.headline.n_windows > 12
    difference = scores["population"]["value"] - (label.headline.value or 0.0)
    assert scores["over_label"]["value"] == pytest.approx(difference, abs=1e-9)
    assert scores["over_label"]["low"] <= difference <= scores["over_label"]["high"]
    _, reply = asked_of(room, program=PROGRAM, llm="none", n_heldout=5)
    assert len(reply["results"][0]["trials"]) == 5


def test_a_persons_program_is_kept_beside_the_label_which_stays_the_newest(
    tmp_path: Path, model_folder: Path, texts: Path
) -> None:
    stores = FolderLabelStores(tmp_path / "labels", row_json)
    room = WorkerInProcess(tmp_path, model_folder, texts, stores=lambda _: stores)
    room.finished(tiny_spec(texts))
    store = stores.of("tiny")
    label, reply = asked_of(room, program=PROGRAM, llm="none", keep_as="person:ada")
    assert reply["kept_as"] == "person:ada"
    assert store.get_label(label.unit, label.side) == label
    [kept] = store.kept_of(label.unit)
    assert (kept.origin.explainer, kept.status) == ("person:ada", LabelStatus.OK)
    assert kept.explanation is not None
    assert kept.explanation.program == PROGRAM
    scores = {score["name"]: score["value"] for score in reply["results"][0]["scores"]}
    assert kept.headline.value == scores["population"]
    assert kept.score("lookup") == label.score("lookup")
    assert (kept.provenance.scorer_model, kept.receipts, kept.llm) == (None, (), None)
    sets = store.get_sets(label.unit, label.side, label.origin)
    assert sets is not None
    assert store.get_sets(label.unit, label.side, kept.origin) == sets

    asked_of(room, program="5: position < 2", llm="none", keep_as="person:ada")
    [kept] = store.kept_of(label.unit)
    assert kept.explanation is not None
    assert kept.explanation.program == "5: position < 2"


def test_a_worker_that_ends_at_any_write_leaves_the_job_s_label_in_front(
    tmp_path: Path, model_folder: Path, texts: Path
) -> None:
    stores = FolderLabelStores(tmp_path / "labels", row_json)
    stores._stores["tiny"] = store = StoppedStore(tmp_path / "labels" / "tiny", row_json)
    room = WorkerInProcess(tmp_path, model_folder, texts, stores=lambda _: stores)
    room.finished(tiny_spec(texts))
    replies = []
    for n in range(4):
        store.n_left = n
        label, reply = asked_of(room, program=PROGRAM, llm="none", keep_as=f"person:{n}")
        replies.append(reply.get("kept_as"))
        assert store.get_label(label.unit, label.side) == label
        assert store.get_sets(label.unit, label.side) is not None
        for kept in store.kept_of(label.unit):
            assert store.get_sets(label.unit, label.side, kept.origin) is not None
    assert replies == [None, None, "person:2", "person:3"]
    assert {one.origin.explainer for one in store.kept_of(label.unit)} == {*replies} - {None}


def test_what_has_no_score_is_not_kept(room: WorkerInProcess, texts: Path) -> None:
    room.finished(tiny_spec(texts))
    label, reply = asked_of(room, program="0: position < 2", llm="none", keep_as="person:ada")
    assert reply["kept_as"] is None
    assert room.stores.of("tiny").kept_of(label.unit) == ()


class StoreOfABusyUnit(FolderLabelStore):
    """Whoever reads records comes just before another job puts a label of the unit."""

    newer: Label | None = None

    @override
    def get_sets(
        self, unit: UnitId, side: Side, origin: LabelOrigin | None = None
    ) -> UnitSets | None:
        sets = super().get_sets(unit, side, origin)
        if sets is not None and self.newer is not None:
            newer, self.newer = self.newer, None
            self.put_sets(replace(sets, explain=replace(sets.explain, peak=99.0)), newer.origin)
            self.put_label(newer)
        return sets


@pytest.mark.parametrize("corpus", [None, "of another text"])
def test_a_label_that_a_job_makes_while_a_person_s_is_scored_stays_the_newest(
    tmp_path: Path, model_folder: Path, texts: Path, corpus: str | None
) -> None:
    stores = FolderLabelStores(tmp_path / "labels", row_json)
    stores._stores["tiny"] = store = StoreOfABusyUnit(tmp_path / "labels" / "tiny", row_json)
    room = WorkerInProcess(tmp_path, model_folder, texts, stores=lambda _: stores)
    room.finished(tiny_spec(texts))
    first = next(label for label in store.labels() if label.results)
    made = replace(first.provenance, corpus=corpus or first.provenance.corpus, seed=77)
    store.newer = newer = replace(first, provenance=made)
    _, reply = asked_of(room, program=PROGRAM, llm="none", keep_as="person:ada")
    assert reply["kept_as"] == "person:ada"
    assert store.get_label(first.unit, first.side) == newer
    sets = store.get_sets(first.unit, first.side)
    assert sets is not None
    assert sets.explain.peak == 99.0
    kept = {label.origin for label in store.kept_of(first.unit)}
    person = LabelOrigin(first.provenance.corpus, "person:ada")
    assert kept == {person, first.origin} - {newer.origin}


def test_a_person_s_explanation_takes_not_the_place_of_a_label_that_failed(
    room: WorkerInProcess, texts: Path, tmp_path: Path
) -> None:
    room.finished(tiny_spec(texts))
    label = next(label for label in room.stores.of("tiny").labels() if label.results)
    sets = room.stores.of("tiny").get_sets(label.unit, label.side)
    assert sets is not None
    failed = replace(label, status=LabelStatus.FAILED, reason="no answer")
    room.stores = FolderLabelStores(tmp_path / "others", row_json)
    room.dependencies = replace(room.dependencies, stores=room.stores)
    room.stores.of("tiny").put_sets(sets, failed.origin)
    room.stores.of("tiny").put_label(failed)
    _, reply = asked_of(room, program=PROGRAM, llm="none", keep_as="person:ada")
    assert reply["kept_as"] is None
    assert room.stores.of("tiny").get_label(label.unit, label.side) == failed


def test_a_persons_words_are_asked_about_on_all_windows_several_in_a_call(
    tmp_path: Path, model_folder: Path, texts: Path
) -> None:
    with FakeEndpoint(noise(0)) as endpoint:
        named = {"llm_base_url": endpoint.base_url, "llm_model": "fake"}
        room = WorkerInProcess(tmp_path, model_folder, texts, **named)
        room.finished(tiny_spec(texts))
        n_asked = []
        for per_call in (2, 8):
            n_before = len(endpoint.bodies)
            label, reply = asked_of(room, text="rivers", llm="default", windows_per_call=per_call)
            n_asked.append(len(endpoint.bodies) - n_before)
            [result] = reply["results"]
            assert len(result["trials"]) == label.headline.n_windows
            [over] = [score for score in result["scores"] if score["name"] == "over_label"]
            assert (over["value"] is None) == (over["reason"] is not None)
    assert n_asked[1] < n_asked[0]
    assert 2 * n_asked[0] >= label.headline.n_windows


def test_an_embedding_of_words_needs_no_llm_in_a_request(
    room: WorkerInProcess, texts: Path
) -> None:
    room.finished(tiny_spec(texts))
    _, reply = asked_of(room, text="rivers", llm="embedded", scorers=["embedding"])
    if MINILM.find() is None:
        assert MINILM.install_command in reply["error"]
        return
    [result] = reply["results"]
    assert result["scorer"] == "embedding"


def test_a_scorer_of_texts_has_the_subject_model_in_a_request_too(
    tmp_path: Path, model_folder: Path, texts: Path
) -> None:
    with FakeEndpoint(noise(0)) as endpoint:
        named = {"llm_base_url": endpoint.base_url, "llm_model": "fake"}
        room = WorkerInProcess(tmp_path, model_folder, texts, **named)
        room.finished(tiny_spec(texts))
        [result] = scored(room, "input_based", "default")["results"]
    assert result["scorer"] == "input_test"
    assert result["trials"], "it was asked for texts"


@pytest.mark.parametrize(
    ("scorer", "llm", "message"),
    [
        ("contrast", "embedded", "contrast compares a unit with others; submit a job"),
        ("output_test", "embedded", "output_test compares a unit with others; submit a job"),
        ("detection", "none", "scorer detection asks an LLM, and the job's llm is none"),
        ("simulation", "none", "scoring an explanation in words needs an LLM"),
    ],
)
def test_a_request_for_what_cannot_run_is_refused(
    room: WorkerInProcess, texts: Path, scorer: str, llm: str, message: str
) -> None:
    room.finished(tiny_spec(texts))
    reply = scored(room, scorer, llm)
    assert reply["code"] == "input"
    assert message in reply["error"]
