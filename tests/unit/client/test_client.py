from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from api_service import Service, listening, make_service, put_labels, read_words, score_words
from factories import make_label, make_unit

import autointerp as ai
from autointerp.core.errors import InputError, UpstreamError
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.core.job_state import JobState


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return make_service(tmp_path)


@pytest.fixture
def url(service: Service) -> Iterator[str]:
    with listening(service.app) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[ai.Client]:
    with ai.Client(url, patience_s=5) as client:
        yield client


def work(service: Service, job: str, n: int) -> None:
    service.backend.jobs.transition(job, JobState.RUNNING, among={JobState.QUEUED})
    service.backend.jobs.set_total(job, n)
    for index in range(n):
        unit = make_unit(index)
        summary = json.dumps({"unit": str(unit), "status": "ok"})
        service.backend.jobs.commit(job, unit, Side.POSITIVE, LabelStatus.OK, summary=summary)
    service.backend.jobs.transition(job, JobState.SUCCEEDED, among={JobState.RUNNING})


def answering(*answers: httpx.Response | Exception) -> Callable[[httpx.Request], httpx.Response]:
    """A server that answers so, one after another, and then always as the last time."""
    left = list(answers)

    def answer(_request: httpx.Request) -> httpx.Response:
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    return answer


def client_of(*answers: httpx.Response | Exception, patience_s: float = 5) -> ai.Client:
    transport = httpx.MockTransport(answering(*answers))
    return ai.Client("http://server", patience_s=patience_s, transport=transport)


def test_a_job_is_submitted_watched_and_read(client: ai.Client, service: Service) -> None:
    job = client.submit("5:0-2", subject="tiny", llm="none")
    assert (job.state, job.is_final) == (JobState.QUEUED, False)
    later = threading.Timer(0.4, work, (service, job.id, 3))
    later.start()
    seen: list[int] = []
    ended = client.wait(job.id, on_change=lambda j: seen.append(j.counts["done"]))
    later.join()
    assert (ended.state, ended.total, ended.counts["ok"]) == (JobState.SUCCEEDED, 3, 3)
    assert seen[-1] == 3
    assert [j.id for j in client.jobs()] == [job.id]


def test_what_a_job_would_cost_is_asked_and_nothing_is_submitted(client: ai.Client) -> None:
    told = client.estimate("5:0-2", subject="tiny", llm="embedded", tokens=4_000)
    assert (told["n_labels"], told["n_tokens"], told["llm"]["usd"]) == (3, 4_000, 0.0)
    assert client.jobs() == []
    with pytest.raises(InputError, match="unknown model"):
        client.estimate("5:0-2", subject="gpt-9", llm="none")


def test_labels_are_those_of_the_store(client: ai.Client) -> None:
    assert client.label("tiny", 5, 131) == make_label()
    assert client.label("tiny", "blocks.5.mlp.hook_post", 131, side="positive").side == "positive"
    with pytest.raises(InputError, match="no label of its negative side"):
        client.label("tiny", 5, 131, side="negative")
    rows = list(client.labels("tiny", limit=1))
    assert [row["index"] for row in rows] == [131, 132, 7]
    assert client.models() == ["tiny"]


def test_a_layer_stands_for_the_hook_point_that_its_neurons_were_read_at(
    client: ai.Client, service: Service
) -> None:
    label = make_label(make_unit(3, hook="blocks.2.mlp.hook_mid"))
    put_labels(service.stores, [label])
    assert client.label("tiny", 2, 3) == label
    assert client.label("tiny", "2", 3) == label
    service.worker.reply = score_words
    assert client.score_explanation("tiny", 2, 3, "rivers", llm="none")["unit"] == str(label.unit)
    with pytest.raises(InputError, match=r"blocks\.2\.mlp\.hook_post/4"):
        client.unit("tiny", 2, 4)


def test_workers_are_asked(client: ai.Client, service: Service) -> None:
    service.worker.reply = read_words
    assert client.activations("tiny", "5:1", "a b")["tokens"] == ["a", "b"]
    service.worker.reply = score_words
    found = client.score_explanation("tiny", 5, 131, "rivers", llm="none")
    assert found["results"][0]["scorer"] == "simulation"
    found = client.score_explanation("tiny", 5, 131, program="3: position < 2", n_heldout=20)
    assert found["program"] == "3: position < 2"
    assert service.worker.asked[-1][1]["n_heldout"] == 20
    with pytest.raises(InputError, match="in words or a program; found neither"):
        client.score_explanation("tiny", 5, 131)


def test_a_cancelled_job_can_be_retried(client: ai.Client) -> None:
    job = client.submit("5:0", subject="tiny", llm="none")
    assert client.cancel(job.id).state is JobState.CANCELLED
    assert not client.retry(job.id).is_final


def test_what_the_server_refuses_is_an_input_error_with_its_words(client: ai.Client) -> None:
    with pytest.raises(InputError, match=r"unknown model 'gpt-5'.*\(input_refused\)"):
        client.submit("5:0", subject="gpt-5")
    with pytest.raises(InputError, match=r"no job of that id \(job_unknown\)"):
        client.status("job_none")
    with pytest.raises(InputError, match="is not the address of a server"):
        ai.Client("server:8000")


@pytest.mark.parametrize("key", ["hush1\xe9", "hush1\n", "hush1\u2019", "hush1\x00"])
def test_a_key_that_no_header_carries_is_told_and_not_shown(client: ai.Client, key: str) -> None:
    for use in (lambda: ai.Client(api_key=key), lambda: client.submit("5:0", idempotency_key=key)):
        with pytest.raises(InputError, match="characters that an HTTP header cannot") as told:
            use()
        assert "hush1" not in str(told.value)


def test_a_server_that_is_away_is_waited_for_and_then_named() -> None:
    job = httpx.Response(200, json={"items": []})
    assert client_of(httpx.ConnectError("refused"), job).jobs() == []
    assert client_of(httpx.Response(503, headers={"retry-after": "0"}), job).jobs() == []
    with pytest.raises(UpstreamError, match="http://server cannot be reached"):
        client_of(httpx.ConnectError("refused"), patience_s=0.1).jobs()
    with pytest.raises(UpstreamError, match="status 500"):
        client_of(httpx.Response(500, text="oops")).jobs()
    with pytest.raises(UpstreamError, match="did not answer with JSON"):
        client_of(httpx.Response(200, text="<html>")).jobs()


def test_a_retry_is_not_sent_twice() -> None:
    with pytest.raises(UpstreamError, match="cannot be reached"):
        client_of(httpx.ReadTimeout("slow"), httpx.Response(202, json={})).retry("job_1")


def stream(*events: tuple[str, str, dict[str, object]], cut: bool = False) -> httpx.Response:
    def body() -> Iterator[bytes]:
        yield b"retry: 1000\n\n"
        for event_id, kind, data in events:
            yield f"id: {event_id}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()
        if cut:
            yield b"id: 9-9\nevent: label\nda"
            raise httpx.ReadError("cut")

    return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body())


def test_events_go_on_after_a_cut_connection() -> None:
    asked: list[str | None] = []
    answers = [
        stream(("1-0", "label", {"n": 1}), ("2-0", "label", {"n": 2}), cut=True),
        httpx.ConnectError("away"),
        stream(("3-0", "label", {"n": 3}), ("4-0", "state", {"state": "succeeded"})),
    ]

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("last-event-id"))
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    with ai.Client("http://server", transport=httpx.MockTransport(answer)) as client:
        found = list(client.events("job_1", kinds=["label"]))
    assert [event.data["n"] for event in found] == [1, 2, 3]
    assert asked == [None, "2-0", "2-0"]


def test_a_download_is_the_file(client: ai.Client, url: str, tmp_path: Path) -> None:
    out = client.download("tiny", tmp_path / "new" / "labels.parquet")
    assert out.read_bytes() == httpx.get(f"{url}/v1/models/tiny/dictionary").content
    assert [path.name for path in out.parent.iterdir()] == ["labels.parquet"]


def test_a_download_that_was_cut_goes_on_in_another_process(
    client: ai.Client, url: str, tmp_path: Path
) -> None:
    whole = httpx.get(f"{url}/v1/models/tiny/dictionary")
    tag = whole.headers["etag"].strip('"')
    part = tmp_path / f".labels.parquet.{tag}.part"
    part.write_bytes(whole.content[:5000])
    assert client.download("tiny", tmp_path / "labels.parquet").read_bytes() == whole.content
    assert not part.exists()


def test_a_part_of_other_labels_is_not_gone_on_with(
    client: ai.Client, url: str, tmp_path: Path
) -> None:
    part = tmp_path / ".labels.parquet.0123456789abcdef.part"
    part.write_bytes(b"of other labels")
    whole = httpx.get(f"{url}/v1/models/tiny/dictionary").content
    assert client.download("tiny", tmp_path / "labels.parquet").read_bytes() == whole
    assert not part.exists()


@pytest.mark.parametrize("silence", [httpx.ReadTimeout("slow"), httpx.Response(504)])
def test_a_download_waits_for_a_server_that_is_up_and_still_writes(
    silence: httpx.Response | Exception, tmp_path: Path
) -> None:
    here = httpx.Response(200)
    answers = (silence, here, silence, here, httpx.Response(200, content=b"whole"))
    # Without patience, it waits only because the server answers.
    out = client_of(*answers, patience_s=0.5).download("tiny", tmp_path / "a.zip", format="archive")
    assert out.read_bytes() == b"whole"
    with pytest.raises(UpstreamError, match="cannot be reached"):
        client_of(silence, httpx.ConnectError("gone"), patience_s=0.1).download("tiny", out)


def test_a_download_goes_on_when_the_connection_is_cut(tmp_path: Path) -> None:
    ranges: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked = request.headers.get("range")
        ranges.append(asked)
        if asked is None:
            return httpx.Response(200, headers={"etag": '"abc"'}, content=cut())
        return httpx.Response(206, headers={"etag": '"abc"'}, content=b"56789")

    def cut() -> Iterator[bytes]:
        yield b"01234"
        raise httpx.ReadError("cut")

    with ai.Client("http://server", transport=httpx.MockTransport(answer)) as client:
        out = client.download("tiny", tmp_path / "file.jsonl", format="jsonl")
    assert (out.read_bytes(), ranges) == (b"0123456789", [None, "bytes=5-"])


def test_a_folder_is_no_place_for_a_file(client: ai.Client, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        client.download("tiny", tmp_path)
    with pytest.raises(InputError, match="model_unknown"):
        client.download("other", tmp_path / "file")
