"""Jobs that ask for causal evidence, on a real model and the records of its labels."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from worker_in_process import QUICK, WorkerInProcess, tiny_spec

from autointerp.core.causal_evidence import EvidenceKind
from autointerp.core.causal_request import CausalRequest
from autointerp.core.config import CorpusConfig, JobSpec
from autointerp.core.errors import InputError, UpstreamError
from autointerp.core.ids import UnitId
from autointerp.core.job_state import Job, JobState, Stage
from autointerp.core.kept_evidence import KeptEvidence, label_digest
from autointerp.dictionary import row_json
from autointerp.jobs.worker import Worker
from autointerp.store.labels.folder_stores import FolderLabelStores

_FEW = {"n_controls": 1, "n_windows": 2, "n_texts": 1}


def evidence_spec(units: str, kind: str = "ablation", **asked: Any) -> JobSpec:
    request = CausalRequest(EvidenceKind(kind), **{**_FEW, **asked})
    return JobSpec(subject="tiny", units=units, llm="none", evidence=request)


def unit(index: int, layer: int = 0) -> UnitId:
    return UnitId("tiny", f"blocks.{layer}.mlp.hook_post", index)


@pytest.fixture
def labelled(tmp_path: Path, model_folder: Path, texts: Path) -> WorkerInProcess:
    room = WorkerInProcess(
        tmp_path,
        model_folder,
        texts,
        stores=lambda _: FolderLabelStores(tmp_path / "labels", row_json),
    )
    room.finished(tiny_spec(texts))
    return room


def messages(room: WorkerInProcess, job: Job, status: str) -> list[Any]:
    events = room.backend.jobs.events(job.id)
    return [e.data for e in events if e.kind == "label" and e.data["status"] == status]


def test_units_are_answered_and_the_answers_kept_with_what_they_were_made_from(
    labelled: WorkerInProcess,
) -> None:
    job = labelled.finished(evidence_spec("0:1-2"))
    assert (job.state, job.counts.ok, job.counts.total) == (JobState.SUCCEEDED, 2, 2)
    assert set(job.stages) == {Stage.PLAN, Stage.EVIDENCE}
    [kept] = labelled.stores.of("tiny").evidence_of(unit(1))
    assert kept.request == job.spec.evidence
    assert [one.units for one in kept.evidence.ablations] == [(unit(1),)]
    assert (kept.source.job, kept.source.dtype) == (job.id, "float32")
    labels = labelled.stores.of("tiny").get_sides(unit(1))
    assert kept.source.corpus == labels[0].provenance.corpus
    assert kept.source.label in {label_digest(label) for label in labels}
    [first, _] = messages(labelled, job, "ok")
    assert "the loss is" in str(first["description"])


def test_a_unit_of_which_nothing_can_be_told_does_not_keep_others_from_their_answers(
    labelled: WorkerInProcess,
) -> None:
    job = labelled.finished(evidence_spec("0:1,0:5", "attribution"))
    assert (job.state, job.counts.ok, job.counts.failed) == (JobState.PARTIAL, 1, 1)
    why = "there is no label of 0:5, and ablation and attribution take text from what was kept"
    assert (job.reason or "").startswith(f"1 of 2 units failed: {why}")
    assert str(messages(labelled, job, "failed")[0]["reason"]).startswith(why)
    assert labelled.stores.of("tiny").evidence_of(unit(5)) == ()


def test_what_failed_is_asked_again_once_it_can_be_answered(
    labelled: WorkerInProcess, texts: Path
) -> None:
    job = labelled.finished(evidence_spec("0:1,0:5"))
    before = labelled.stores.of("tiny").evidence_of(unit(1))
    labelled.finished(tiny_spec(texts, units="0:5"))
    assert labelled.job_service.retry(job.id) == 1
    labelled.work()
    after = labelled.found(job.id)
    assert (after.state, after.counts.ok, after.reason) == (JobState.SUCCEEDED, 2, None)
    assert labelled.stores.of("tiny").evidence_of(unit(1)) == before
    assert labelled.stores.of("tiny").evidence_of(unit(5))
    assert labelled.job_service.retry(job.id) == 0


@pytest.mark.parametrize(
    ("kind", "asked", "part"),
    [
        ("steering", {"prompts": ("the river",), "n_tokens": 1}, "steerings"),
        (
            "patching",
            {
                **{"prompt": "the river", "counterfactual": "river the"},
                "answers": ("the", "river"),
            },
            "patchings",
        ),
    ],
)
def test_kinds_that_need_no_text_need_no_labels(
    labelled: WorkerInProcess, kind: str, asked: dict[str, Any], part: str
) -> None:
    job = labelled.finished(evidence_spec("1:7", kind, **asked))
    assert job.state is JobState.SUCCEEDED
    [kept] = labelled.stores.of("tiny").evidence_of(unit(7, 1))
    assert getattr(kept.evidence, part)
    assert (kept.source.corpus, kept.source.label) == (None, None)


def test_sites_are_compared_on_the_job_s_text(labelled: WorkerInProcess, texts: Path) -> None:
    corpus = CorpusConfig(corpus=str(texts), n_tokens=2500, n_ctx=16)
    spec = evidence_spec("0:3,1:4,blocks.0.hook_resid_post:0", "sites")
    job = labelled.finished(spec.model_copy(update={"corpus": corpus}))
    assert (job.state, job.counts.ok, job.counts.failed) == (JobState.PARTIAL, 2, 1)
    assert "is not a neuron of an MLP" in (job.reason or "")
    [kept] = labelled.stores.of("tiny").evidence_of(unit(4, 1))
    assert {one.unit.index for one in kept.evidence.sites[0].sites} == {4}
    assert (kept.source.corpus or "").startswith(str(texts))


def test_units_of_a_layer_are_ranked_and_those_without_a_label_fail(
    labelled: WorkerInProcess,
) -> None:
    job = labelled.finished(evidence_spec("0:1-2,1:7", "rank"))
    assert (job.state, job.counts.ok, job.counts.failed) == (JobState.PARTIAL, 2, 1)
    assert job.reason == "1 of 3 units failed: there is no label of 1:7"
    store = labelled.stores.of("tiny")
    [kept] = store.evidence_of(unit(1))
    labels = store.get_sides(unit(1))
    assert [one.side for one in kept.evidence.ranks] == [label.side for label in labels]
    assert kept.source.label == "+".join(map(label_digest, labels))
    assert not kept.is_of_another_label([label_digest(label) for label in labels])
    assert kept.is_of_another_label(["0123456789ab"])
    assert (kept.source.job, kept.source.corpus) == (job.id, labels[0].provenance.corpus)
    assert (
        "of 24 units of its layer for its own label"
        in messages(labelled, job, "ok")[0]["description"]
    )


def test_a_worker_that_stops_in_the_middle_leaves_what_is_done_to_the_next(
    labelled: WorkerInProcess,
) -> None:
    job = labelled.submit(evidence_spec("0:0-3"))
    [plan] = labelled.work(most=1)
    assert plan.stage is Stage.PLAN
    [item] = [item for item in labelled.sent if item.stage is Stage.EVIDENCE]
    store, asked = labelled.stores.of("tiny"), list[UnitId]()
    put = store.put_evidence

    def stop_at_the_third(kept: Any) -> None:
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(kept.unit)
        put(kept)

    store.put_evidence = stop_at_the_third  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        labelled.worker.do(item)
    store.put_evidence = put  # type: ignore[method-assign]
    assert labelled.found(job.id).counts.ok == 2
    labelled.backend.queue.reset([item])
    Worker(labelled.dependencies, name="two").do(item)
    done = labelled.found(job.id)
    assert (done.state, done.counts.ok) == (JobState.SUCCEEDED, 4)
    created = [store.evidence_of(unit(n))[0].source.job for n in range(4)]
    assert created == [job.id] * 4


def test_a_cancelled_job_keeps_what_is_done_and_a_retry_does_the_rest(
    labelled: WorkerInProcess,
) -> None:
    store, answered = labelled.stores.of("tiny"), list[UnitId]()
    put = store.put_evidence

    def put_and_cancel(kept: KeptEvidence) -> None:
        put(kept)
        answered.append(kept.unit)
        if len(answered) == 2:
            labelled.job_service.cancel(job.id)
            # For longer than a worker takes to look whether its work is still wanted.
            time.sleep(10 * QUICK.poll_s)

    store.put_evidence = put_and_cancel  # type: ignore[method-assign]
    job = labelled.submit(evidence_spec("0:0-3"))
    labelled.work()
    found = labelled.found(job.id)
    assert found.state is JobState.CANCELLED
    assert 2 <= len(answered) < 4
    assert labelled.job_service.retry(job.id) == 4 - found.counts.ok
    labelled.work()
    assert labelled.found(job.id).state is JobState.SUCCEEDED
    assert sorted(one.index for one in answered) == list(range(4))


def test_a_chunk_that_fails_again_and_again_is_given_up_with_its_reason(
    labelled: WorkerInProcess,
) -> None:
    def unreachable(_kept: Any) -> None:
        raise UpstreamError("redis://r:1 cannot be reached", retryable=True)

    labelled.stores.of("tiny").put_evidence = unreachable  # type: ignore[method-assign]
    job = labelled.submit(evidence_spec("0:1"))
    labelled.work(most=1)
    [item] = labelled.sent
    for _ in range(4):
        labelled.worker.do(item)
    found = labelled.found(job.id)
    assert (found.state, found.counts.failed) == (JobState.FAILED, 1)
    assert "redis://r:1 cannot be reached" in (found.reason or "")


def test_units_that_the_model_does_not_have_fail_the_job(labelled: WorkerInProcess) -> None:
    job = labelled.finished(evidence_spec("0:99999"))
    assert job.state is JobState.FAILED
    assert "0:99999" in (job.reason or "")


def test_a_job_of_labels_is_stored_as_earlier_versions_read_it() -> None:
    spec = JobSpec(units="0:1")
    assert "evidence" not in spec.model_dump(mode="json")
    asked = evidence_spec("0:1", "patching", prompt="a", counterfactual="b")
    assert JobSpec.model_validate_json(asked.model_dump_json()) == asked


def test_a_stored_job_with_a_request_that_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="patching needs --prompt and --counterfactual"):
        JobSpec.model_validate({"units": "0:1", "evidence": {"kind": "patching"}})
