"""Jobs that ask for causal evidence, through real Celery workers and a real Valkey."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from labelling import wait_until
from service import Service
from worker_in_process import tiny_spec

from autointerp.api.schemas.evidence_results import CausalEvidenceOut
from autointerp.api.schemas.evidence_schemas import EvidenceRequest
from autointerp.core.causal_evidence import EvidenceKind
from autointerp.core.causal_request import CausalRequest
from autointerp.core.config import JobSpec
from autointerp.core.job_state import JobState, Stage

_UNITS = "0:0-23"


@pytest.fixture(scope="module")
def service(
    model_folder: Path, texts: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    settings = {"models": f"tiny={model_folder}", "folders": texts.parent}
    with Service(tmp_path_factory.mktemp("service"), settings) as running:
        labels = running.ended(running.submit(tiny_spec(texts, units=_UNITS)).id)
        assert labels.state is JobState.SUCCEEDED, labels.reason
        yield running


def asked(**options: object) -> JobSpec:
    request = CausalRequest(EvidenceKind.ABLATION, **options)  # type: ignore[arg-type]
    return JobSpec(subject="tiny", units=_UNITS, llm="none", evidence=request)


def test_a_worker_that_is_killed_in_the_middle_loses_no_answer(service: Service) -> None:
    spec = asked(n_windows=16, n_texts=8)
    job = service.submit(spec)
    wait_until(lambda: len(service.backend.jobs.committed(job.id)) >= 3, said=service.said)
    service.kill("activations")
    store = service.backends.stores.of("tiny")
    units = [unit for unit, _ in service.backend.jobs.committed(job.id)]
    before = {unit: store.evidence_of(unit) for unit in units}
    assert len(units) < 24
    service.start("activations")
    ended = service.ended(job.id)
    assert (ended.state, ended.counts.ok, ended.counts.total) == (JobState.SUCCEEDED, 24, 24)
    assert {unit: store.evidence_of(unit) for unit in units} == before
    told = [e.data["unit"] for e in service.backend.jobs.events(job.id) if e.kind == "label"]
    assert len(told) == len(set(told)) == 24
    kept = list(store.all_evidence())
    assert [one.unit.index for one in kept] == list(range(24))
    assert {(one.request, one.source.job) for one in kept} == {(spec.evidence, job.id)}
    assert max(state.attempts for state in service.backend.queue.items(job.id, Stage.EVIDENCE)) == 2


def test_a_worker_compares_sites_on_a_text_that_a_request_names(
    service: Service, texts: Path
) -> None:
    text = {"corpus": str(texts), "n_tokens": 2500, "n_ctx": 16}
    request = EvidenceRequest(units="0:1", kind=EvidenceKind.SITES)
    payload = request.model_dump(mode="json", exclude_none=True, exclude={"corpus", "tokens"})
    names = {"model": "tiny", "labels": "tiny", "most_units": 16, "most_s": 120.0, "text": text}
    reply = service.job_service.call_worker("evidence", {**payload, **names}, wait_s=120)
    assert reply is not None
    found = CausalEvidenceOut.model_validate(reply)
    assert len(found.sites[0].sites) >= 2
    assert found.sites[0].pairs
