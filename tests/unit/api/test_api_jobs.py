from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from api_service import HEADERS, JOB, Service, make_service
from factories import make_unit
from starlette.testclient import TestClient

from autointerp.api import ApiLimits
from autointerp.api.schemas.job_schemas import JobOut
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.core.job_state import JobCounts, JobState
from autointerp.orchestration.schedule import ASKED_WITHOUT, LLM_AWAITED


def submit(client: TestClient, **changes: object) -> str:
    answer = client.post("/v1/jobs", json={**JOB, **changes})
    assert answer.status_code == 202, answer.text
    found: str = answer.json()["id"]
    return found


def code(answer: object) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]  # type: ignore[attr-defined]


def test_a_submitted_job_is_queued_and_its_plan_is_sent(
    client: TestClient, service: Service
) -> None:
    answer = client.post("/v1/jobs", json=JOB)
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["state"], job["owner"], job["spec"]["units"]) == ("queued", "local", "5:0-9")
    assert [str(item) for item in service.sent] == [f"{job['id']}/plan/0"]
    assert client.get(answer.headers["location"]).json() == job


def test_text_is_looked_at_when_a_job_is_submitted_or_said_when_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "x", "number": 3}')
    service = make_service(tmp_path, folders=(tmp_path,))
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        refused = client.post("/v1/jobs", json={**JOB, "corpus": f"{tmp_path}/a.jsonl:number"})
        seen = client.post("/v1/jobs", json={**JOB, "corpus": f"{tmp_path}/a.jsonl:body"}).json()
        later = submit(client, corpus=f"{tmp_path}/later.jsonl:body")
        told = client.get(f"/v1/jobs/{later}").json()["unseen_text"]
    assert code(refused) == (422, "input_refused")
    assert "found int instead of a string in the field number" in refused.json()["detail"]
    assert seen["unseen_text"] is None
    assert "later.jsonl:body' cannot be read where the job was submitted" in told


def test_a_job_tells_what_the_workers_noted_of_the_llm(
    client: TestClient, service: Service
) -> None:
    job_id = submit(client)
    assert client.get(f"/v1/jobs/{job_id}").json()["asked_without"] == []
    service.backend.jobs.put_note(job_id, ASKED_WITHOUT, '["seed", "system role"]')
    service.backend.jobs.put_note(job_id, LLM_AWAITED, "the LLM cut the connection")
    told = client.get(f"/v1/jobs/{job_id}").json()
    assert told["asked_without"] == ["seed", "system role"]
    assert told["llm_awaited"] == "the LLM cut the connection"


def test_the_same_idempotency_key_gives_the_same_job(client: TestClient) -> None:
    again = [client.post("/v1/jobs", json=JOB, headers={"Idempotency-Key": "k1"}) for _ in range(2)]
    assert again[0].json()["id"] == again[1].json()["id"]
    other = client.post("/v1/jobs", json={**JOB, "units": "5:7"}, headers={"Idempotency-Key": "k1"})
    assert code(other) == (409, "idempotency_conflict")
    assert len(client.get("/v1/jobs").json()["items"]) == 1


def test_jobs_are_listed_newest_first_page_by_page(client: TestClient) -> None:
    ids = [submit(client, seed=n) for n in range(5)]
    found, cursor = [], None
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = client.get("/v1/jobs", params=params).json()
        found += [job["id"] for job in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert sorted(found, reverse=True) == found
    assert set(found) == set(ids)


def test_jobs_are_listed_by_state(client: TestClient) -> None:
    ids = [submit(client, seed=n) for n in range(2)]
    client.post(f"/v1/jobs/{ids[0]}/cancel")
    found = client.get("/v1/jobs", params={"state": ["queued", "running"]}).json()["items"]
    assert [job["id"] for job in found] == [ids[1]]


def test_cancelling_twice_is_cancelling_once(client: TestClient) -> None:
    job = submit(client)
    states = [client.post(f"/v1/jobs/{job}/cancel").json()["state"] for _ in range(2)]
    assert states == ["cancelled", "cancelled"]


def test_a_job_that_ended_cannot_be_cancelled(client: TestClient, service: Service) -> None:
    job = submit(client)
    service.backend.jobs.transition(job, JobState.SUCCEEDED, among={JobState.QUEUED})
    assert code(client.post(f"/v1/jobs/{job}/cancel")) == (409, "job_has_ended")
    assert code(client.post(f"/v1/jobs/{job}/retry")) == (409, "nothing_to_retry")


def test_a_running_job_cannot_be_retried(client: TestClient) -> None:
    assert code(client.post(f"/v1/jobs/{submit(client)}/retry")) == (409, "job_is_running")


def test_a_job_that_ended_can_be_removed_and_a_running_one_cannot(client: TestClient) -> None:
    job = submit(client)
    assert code(client.delete(f"/v1/jobs/{job}")) == (409, "job_is_running")
    client.post(f"/v1/jobs/{job}/cancel")
    answer = client.delete(f"/v1/jobs/{job}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert code(client.get(f"/v1/jobs/{job}")) == (404, "job_unknown")
    assert code(client.delete(f"/v1/jobs/{job}")) == (404, "job_unknown")


def test_counts_money_and_time_left_are_shown(client: TestClient, service: Service) -> None:
    job = submit(client, budget={"usd": 2.5})
    service.backend.jobs.transition(job, JobState.RUNNING, among={JobState.QUEUED})
    service.backend.jobs.set_total(job, 4)
    service.backend.jobs.commit(job, make_unit(1), Side.POSITIVE, LabelStatus.OK, summary="{}")
    service.backend.jobs.spend(job, requests=3, tokens=700, usd=0.25)
    shown = client.get(f"/v1/jobs/{job}").json()
    assert (shown["counts"]["done"], shown["counts"]["ok"], shown["counts"]["total"]) == (1, 1, 4)
    assert shown["spent"] == {"requests": 3, "tokens": 700, "usd": 0.25}
    assert shown["budget"]["usd"] == 2.5
    assert shown["left_s"] == pytest.approx(3 / shown["rate_per_s"])


def test_a_clock_that_was_put_back_leaves_no_rate(client: TestClient, service: Service) -> None:
    job = service.backend.jobs.get(submit(client))
    assert job is not None
    later = replace(job, started=job.created + 3600, counts=JobCounts(total=4, ok=1))
    shown = JobOut.of(later)
    assert (shown.rate_per_s, shown.left_s) == (None, None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"subject": "gpt-5"}, "unknown model 'gpt-5'"),
        ({"llm": "http://169.254.169.254/"}, "unknown llm"),
        ({"llm_model": "other"}, "takes no llm_model"),
        ({"corpus": {"corpus": "/etc/passwd"}}, "this server may not read the"),
        ({"corpus": {"corpus": "hf:secret"}}, "unknown corpus"),
        ({"corpus": {"n_tokens": 10**12}}, "n_tokens may be"),
        ({"units": "sae:/etc:all"}, "this server may not read the"),
        ({"units": "5:0-999999"}, "1,000,000 units were asked for"),
        ({"units": "random:99999999999999999999"}, "too many units"),
        ({"units": "5:9-3"}, "a range ascends"),
        ({"units": "neurons, please"}, "is not of the form"),
        ({"extra": 1}, "Extra inputs"),
        ({"explain": {"extra": 1}}, "Extra inputs"),
    ],
)
def test_a_job_that_cannot_be_is_refused_with_a_sentence(
    client: TestClient, changes: dict[str, object], said: str
) -> None:
    answer = client.post("/v1/jobs", json={**JOB, **changes})
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert client.get("/v1/jobs").json()["items"] == []


def test_units_are_checked_against_what_a_worker_said(client: TestClient, service: Service) -> None:
    hooks = [{"hook": "blocks.0.mlp.hook_post", "width": 8, "two_sided": True}]
    note = json.dumps({"n_layers": 1, "hooks": hooks})
    service.backend.jobs.put_note("models", "tiny", note)
    for units, said in (("0:8", "has the units 0 to 7"), ("3:0", "has the layers 0 to 0")):
        answer = client.post("/v1/jobs", json={**JOB, "units": units})
        assert code(answer) == (422, "unit_unknown")
        assert said in answer.json()["detail"]
    assert client.post("/v1/jobs", json={**JOB, "units": "0:0-7"}).status_code == 202


@pytest.mark.parametrize("cursor", ["x", "e30=", "am9iXw==", "💥", "a" * 300])
def test_a_cursor_that_nobody_gave_is_refused(client: TestClient, cursor: str) -> None:
    assert client.get("/v1/jobs", params={"cursor": cursor}).status_code == 422


@pytest.mark.parametrize("job_id", ["job_", "job_nothing", "x", "job_..", "%00"])
def test_a_job_that_is_not_there_is_404(client: TestClient, job_id: str) -> None:
    assert code(client.get(f"/v1/jobs/{job_id}"))[0] == 404
    assert code(client.get(f"/v1/jobs/{job_id}/events"))[0] == 404


def test_too_many_jobs_have_to_wait(tmp_path: object) -> None:
    service = make_service(tmp_path, limits=ApiLimits(jobs_of_key=2))  # type: ignore[arg-type]
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        ids = [submit(client, seed=n) for n in range(2)]
        refused = client.post("/v1/jobs", json=JOB)
        assert code(refused) == (429, "too_many_jobs")
        assert int(refused.headers["retry-after"]) > 0
        client.post(f"/v1/jobs/{ids[0]}/cancel")
        submit(client)


def test_jobs_of_all_keys_together_have_to_wait_as_well(tmp_path: object) -> None:
    service = make_service(tmp_path, limits=ApiLimits(jobs_waiting=1))  # type: ignore[arg-type]
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        job = submit(client)
        refused = client.post("/v1/jobs", json=JOB)
        assert code(refused) == (429, "too_many_jobs")
        assert "on this server" in refused.json()["detail"]
        client.post(f"/v1/jobs/{job}/cancel")
        submit(client)


def test_a_job_sent_again_needs_no_place_among_those_that_wait(tmp_path: object) -> None:
    service = make_service(tmp_path, limits=ApiLimits(jobs_of_key=1))  # type: ignore[arg-type]
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        sent = [client.post("/v1/jobs", json=JOB, headers={"Idempotency-Key": "a"}) for _ in "12"]
        assert [answer.status_code for answer in sent] == [202, 202]
        assert sent[0].json()["id"] == sent[1].json()["id"]
        other = client.post("/v1/jobs", json=JOB, headers={"Idempotency-Key": "b"})
        assert code(other) == (429, "too_many_jobs")
        changed = {**JOB, "units": "5:7"}
        clash = client.post("/v1/jobs", json=changed, headers={"Idempotency-Key": "a"})
        assert code(clash) == (409, "idempotency_conflict")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score": {"scorers": ["detection"]}}, "scorer detection asks an LLM"),
        ({"score": {"scorers": ["simulation"]}}, "scorer simulation asks an LLM"),
        (
            {"explain": {"explainers": ["token_activation", "token_lookup"]}},
            "explainer token_activation asks an LLM",
        ),
        ({"explain": {"explainers": ["contrastive"]}}, "explainer contrastive asks an LLM"),
        ({"score": {"scorers": ["tarot"]}}, "unknown scorer 'tarot'"),
        ({"llm": "embedded", "score": {"scorers": ["simulation_echo"]}}, "and echo"),
        ({"llm": "embedded", "score": {"prompt": "v1", "windows_per_call": 2}}, "take v3 or"),
        ({"select": {"n_top": 21}}, "(--top) is 21, and only 20 top windows of a unit are"),
        ({"select": {"score_quantiles": [0.5, 0.5]}}, "score_quantiles must ascend, each once"),
        ({"explain": {"prompt": "v1"}}, "explain.prompt v1 is for token_activation and revision"),
    ],
)
def test_a_job_of_which_a_part_cannot_run_is_refused(
    client: TestClient, service: Service, changes: dict[str, object], message: str
) -> None:
    answer = client.post("/v1/jobs", json={**JOB, **changes})
    assert answer.status_code == 422
    assert message in answer.json()["detail"]
    assert not service.sent


def test_default_explainers_and_scorers_that_nobody_named_need_no_llm(client: TestClient) -> None:
    job_id = submit(client, llm="none", score={"n_heldout": 20}, explain={"n_samples": 1})
    assert client.get(f"/v1/jobs/{job_id}").json()["state"] == "queued"


def test_a_scorer_without_an_llm_is_taken(client: TestClient) -> None:
    job_id = submit(client, score={"scorers": ["embedding"]})
    assert client.get(f"/v1/jobs/{job_id}").json()["state"] == "queued"
