"""The service with nothing in common but Redis and an S3-compatible store, as on many machines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_endpoint import FakeEndpoint
from labelling import wait_until
from object_store import ObjectStore
from planted_llm import noise
from service import Service
from worker_in_process import tiny_spec

from autointerp.core.job_state import JobState
from autointerp.core.progress import SilentProgress
from autointerp.settings import Settings
from autointerp.wiring.runs import run_job


@pytest.fixture(scope="module")
def llm() -> Iterator[FakeEndpoint]:
    with FakeEndpoint(noise(0)) as running:
        yield running


@pytest.fixture(scope="module")
def object_store() -> Iterator[ObjectStore]:
    with ObjectStore() as running:
        yield running


@pytest.fixture(scope="module")
def service(
    model_folder: Path,
    texts: Path,
    llm: FakeEndpoint,
    object_store: ObjectStore,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    settings = {
        "models": f"tiny={model_folder}",
        "folders": texts.parent,
        "llm_base_url": llm.base_url,
        "llm_model": "fake",
        "artifacts": object_store.url("autointerp"),
        "store": None,
    }
    with Service(folder, settings) as running:
        # A folder of its own for a second pair, as another machine has.
        elsewhere = {"cache_dir": folder / "cache-2", "data_dir": folder / "data-2"}
        running.start("labels", name="labels-2", **elsewhere)
        yield running


def test_a_job_gives_the_labels_and_records_of_a_run_in_one_process(
    service: Service, llm: FakeEndpoint, model_folder: Path, texts: Path, tmp_path: Path
) -> None:
    spec = tiny_spec(texts, llm="default", units="0:0-23")
    job = service.ended(service.submit(spec).id)
    assert (job.state, job.counts.done) == (JobState.SUCCEEDED, 24), job.reason
    named = spec.model_copy(update={"subject": str(model_folder), "llm": llm.base_url})
    alone = run_job(
        named.model_copy(update={"llm_model": "fake"}),
        out=tmp_path / "run",
        resume=False,
        settings=Settings(cache_dir=tmp_path / "cache"),
        progress=SilentProgress(),
    )
    store = service.backends.stores.of("tiny")
    found = [store.get_label(label.unit, label.side) for label in alone.labels]
    assert found == list(alone.labels)
    assert all(store.get_sets(label.unit, label.side) is not None for label in alone.labels)
    assert service.backends.artifacts.names("sets")
    assert not (service.folder / "artifacts").exists()


def test_a_job_outlives_an_outage_of_the_store(
    service: Service, object_store: ObjectStore, texts: Path
) -> None:
    job = service.submit(tiny_spec(texts, llm="default", units="1:0-23", seed=3))
    wait_until(
        lambda: any(e.kind == "label" for e in service.backend.jobs.events(job.id)),
        said=service.said,
    )
    object_store.stop()
    try:
        wait_until(lambda: "Could not connect" in service.said(), said=service.said)
    finally:
        object_store.start()
    ended = service.ended(job.id)
    assert (ended.state, ended.counts.done) == (JobState.SUCCEEDED, 24), service.said()
