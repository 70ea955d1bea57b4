from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from api_service import Service, listening, make_service
from command_line import Cli
from factories import make_info, make_job, make_unit

from autointerp.api import KeyRing
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.core.job_state import JobState
from autointerp.dictionary import write_dictionary
from autointerp.store.labels import FolderLabelStore

KEY = "a-key-of-this-server"


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return make_service(tmp_path, keys=KeyRing.of([KEY]))


@pytest.fixture(autouse=True)
def server(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with listening(service.app) as url:
        monkeypatch.setenv("AUTOINTERP_SERVER", url)
        monkeypatch.setenv("AUTOINTERP_API_KEY", KEY)
        yield url


def submitted(cli: Cli, *options: str) -> str:
    ended = cli("submit", "tiny", "--units", "5:0-1", "--llm", "none", "--json", *options)
    assert ended.code == 0, ended.err
    found: str = json.loads(ended.out)["id"]
    return found


def work(service: Service, job: str, status: LabelStatus, end: JobState) -> None:
    backend = service.backend
    backend.jobs.transition(job, JobState.RUNNING, among={JobState.QUEUED})
    backend.jobs.set_total(job, 1)
    summary = json.dumps({"unit": "5:1", "status": str(status), "reason": "the LLM was away"})
    backend.jobs.commit(job, make_unit(1), Side.POSITIVE, status, summary=summary)
    backend.jobs.transition(
        job, end, among={JobState.RUNNING}, reason=None if end == "succeeded" else "1 failed"
    )


def test_a_job_is_submitted_with_the_options_of_label(cli: Cli, service: Service) -> None:
    job = submitted(
        cli, "--llm", "embedded", "--scorer", "detection", "--tokens", "4096", "--budget-usd", "2"
    )
    kept = service.backend.jobs.get(job)
    assert kept is not None
    assert (kept.spec.score.scorers, kept.spec.corpus.n_tokens) == (("detection",), 4096)
    assert (kept.budget.usd, kept.spec.llm) == (2.0, "embedded")


def test_the_same_key_submits_once(cli: Cli) -> None:
    assert submitted(cli, "--key", "k") == submitted(cli, "--key", "k")


def test_status_shows_a_job_or_the_newest_ones(cli: Cli, service: Service) -> None:
    job = submitted(cli)
    work(service, job, LabelStatus.OK, JobState.SUCCEEDED)
    shown = cli("status", job)
    assert (shown.code, f"{job}  succeeded" in shown.out) == (0, True)
    assert "1 of 1 label (1 ok)" in shown.out
    assert [said["id"] for said in json.loads(cli("status", "--json").out)] == [job]


def test_jobs_are_listed_in_a_line_each(cli: Cli, service: Service) -> None:
    first, second = submitted(cli), submitted(cli, "--corpus", "python")
    work(service, first, LabelStatus.FAILED, JobState.PARTIAL)
    head, *lines = cli("jobs").out.splitlines()
    assert head.split() == ["job", "state", "labels", "failed", "of"]
    assert [line.split()[:4] for line in lines] == [
        [second, "queued", "0/0", "0"],
        [first, "partial", "1/1", "1"],
    ]
    assert lines[0].endswith("tiny, 5:0-1, python, none")
    [only] = json.loads(cli("jobs", "--state", "partial", "--json").out)
    assert (only["id"], only["corpus"], only["done"], only["failed"]) == (first, "wiki", 1, 1)
    assert "stages" not in only


def test_a_server_without_jobs_says_so(cli: Cli) -> None:
    assert cli("jobs").out == "no jobs\n"


def test_wait_follows_a_job_to_its_end(cli: Cli, service: Service) -> None:
    job = submitted(cli)
    later = threading.Timer(0.3, work, (service, job, LabelStatus.OK, JobState.SUCCEEDED))
    later.start()
    ended = cli("wait", job)
    later.join()
    assert (ended.code, "succeeded" in ended.out) == (0, True)
    assert "label: 1 label" in ended.err


def test_units_that_failed_are_listed_with_exit_code_1(cli: Cli, service: Service) -> None:
    job = submitted(cli)
    work(service, job, LabelStatus.FAILED, JobState.PARTIAL)
    ended = cli("wait", job)
    assert ended.code == 1
    assert "5:1: the LLM was away" in ended.err
    assert f"autointerp retry {job}" in ended.err


def test_cancel_and_retry_say_what_became_of_the_job(cli: Cli) -> None:
    job = submitted(cli)
    assert "cancelled" in cli("cancel", job).out
    assert cli("wait", job).code == 1
    assert "running" in cli("retry", job).out
    assert cli("retry", job).code == 2


def test_download_writes_the_dictionary(cli: Cli, tmp_path: Path) -> None:
    ended = cli("download", "tiny", "--out", str(tmp_path / "labels.parquet"), "--json")
    assert ended.code == 0, ended.err
    table = pd.read_parquet(json.loads(ended.out)["path"])
    assert table["index"].tolist() == [131, 132, 7]
    assert cli("download", "tiny", "--format", "jsonl").code == 0
    assert len(Path("tiny.jsonl").read_text().splitlines()) == 3


def test_a_downloaded_archive_is_shown_and_compared_like_a_run(cli: Cli, a_run: Path) -> None:
    ended = cli("download", "tiny", "--format", "archive")
    assert ended.code == 0, ended.err
    shutil.unpack_archive("tiny.zip", "unpacked")
    shown = cli("show", "5:131", "--dir", "unpacked/tiny")
    assert (shown.code, shown.out) == (0, cli("show", "5:131", "--dir", str(a_run)).out)
    write_dictionary(a_run, FolderLabelStore(a_run), make_info(job=make_job()))
    compared = cli("diff", "unpacked/tiny", str(a_run))
    assert compared.code == 0, compared.err
    assert "seed" not in compared.out + compared.err
    again = cli("label", "--from-manifest", "unpacked/tiny")
    assert (again.code, "names no job" in again.err) == (2, True)


def test_show_prints_a_unit_of_a_server_as_one_of_a_folder(
    cli: Cli, server: str, a_run: Path
) -> None:
    here = cli("show", "5:131", "--dir", str(a_run))
    there = cli("show", "5:131", "--server", server)
    assert there.code == 0, there.err
    assert there.out == here.out
    as_json = json.loads(cli("show", "5:131", "--server", server, "--json").out)
    assert as_json[0]["unit"] == "tiny/blocks.5.mlp.hook_post/131"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("status", "job_none"), 2, "no job of that id"),
        (("submit", "gpt-5", "--units", "5:1"), 2, "unknown model"),
        (("submit", "tiny"), 2, "which units"),
        (("show", "nothing", "--server", "http://127.0.0.1:9"), 2, "is not a unit"),
        (("status", "--server", "here"), 2, "is not the address of a server"),
        (("download", "other"), 2, "model_unknown"),
    ],
)
def test_wrong_input_is_exit_code_2(
    cli: Cli, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ended = cli(*arguments)
    assert (ended.code, said in ended.err) == (code, True), ended.err


def test_a_wrong_key_is_exit_code_2_and_not_shown(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOINTERP_API_KEY", "another-key-of-mine")
    ended = cli("status")
    assert (ended.code, "key_unknown" in ended.err) == (2, True)
    assert "another-key" not in ended.err
