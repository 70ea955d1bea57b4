"""What a job would cost is told before it is submitted, as `autointerp plan` tells it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from api_service import HEADERS, make_service
from starlette.testclient import TestClient

from autointerp.api.schemas.job_schemas import JobRequest
from autointerp.cli.rendering.plan_table import plan_json
from autointerp.core.llm_providers import Provider
from autointerp.core.model_shape import KNOWN_SHAPES
from autointerp.settings import Settings
from autointerp.wiring.backends import known_shapes
from autointerp.wiring.job_plans import plan_job

SHAPE = KNOWN_SHAPES["smollm2-135m"]
SHORT = {"units": "5:0-19", "llm": "none", "corpus": "wiki", "tokens": 4_000}
SECRET = "https://gateway.example/secret/v1"


def estimate(tmp_path: Path, body: dict[str, Any], **config: Any) -> Any:
    settings = {"shapes": {"smollm2-135m": SHAPE}, **config}
    service = make_service(tmp_path, **settings)
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        answer = client.post("/v1/estimates", json=body)
        assert service.sent == []
        assert client.get("/v1/jobs").json()["items"] == []
    return answer


@pytest.mark.parametrize(
    "body",
    [
        SHORT,
        {"units": "layer:3", "llm": "embedded", "corpus": {"n_tokens": 20_000}},
        {"units": "random:50", "llm": "embedded", "sides": "both", "tokens": 9_000},
    ],
)
def test_it_says_what_the_command_line_says(tmp_path: Path, body: dict[str, Any]) -> None:
    answer = estimate(tmp_path, body)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    told = json.loads(json.dumps(plan_json(plan_job(JobRequest(**body).spec, Settings()))))
    for name in ("n_units", "n_labels", "n_tokens", "seconds", "cpu_s", "stages", "machine", "llm"):
        assert shown[name] == told[name], name
    for name in ("reader_memory", "worker_memory", "artifacts", "store"):
        assert sum(shown[name].values()) == told[name]["total"], name


def test_a_job_without_an_llm_costs_nothing_and_nothing_is_unknown(tmp_path: Path) -> None:
    shown = estimate(tmp_path, SHORT).json()
    assert shown["llm"] is None
    assert shown["unknown"] == []
    assert shown["text"].startswith("20 labels from 4,000 tokens of text; about ")
    assert shown["text"].endswith("no LLM is asked, so that it costs nothing")


def test_what_only_a_worker_knows_is_said_and_the_rest_is_told(tmp_path: Path) -> None:
    shown = estimate(tmp_path, {**SHORT, "llm": "embedded"}, shapes={}).json()
    assert shown["n_labels"] == 20
    assert shown["llm"]["requests"] > 0
    assert shown["seconds"] is shown["worker_memory"] is shown["stages"] is None
    assert "before a worker has loaded it once" in shown["unknown"][0]
    assert sum(shown["n_windows"].values()) > 0


def test_units_that_nobody_can_count_here_leave_the_llm_untold(tmp_path: Path) -> None:
    shown = estimate(tmp_path, {**SHORT, "units": "layer:5", "llm": "embedded"}, shapes={}).json()
    assert shown["n_units"] is shown["llm"] is None
    assert any("layer:5" in text for text in shown["unknown"])


def test_what_a_worker_noted_of_a_model_is_used(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    hook = {"hook": "blocks.5.mlp.hook_post", "width": SHAPE.d_mlp}
    note = {"n_layers": SHAPE.n_layers, "hooks": [hook], "shape": asdict(SHAPE)}
    service.backend.jobs.put_note("models", "tiny", json.dumps(note))
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        shown = client.post("/v1/estimates", json={**SHORT, "subject": "tiny"}).json()
    assert shown["seconds"] > 0


def test_the_price_of_an_alias_is_told_and_not_its_address(tmp_path: Path) -> None:
    providers = {"gateway": Provider(base_url=SECRET, models=("own",))}
    service = make_service(tmp_path, providers=providers, shapes={"smollm2-135m": SHAPE})
    jobs = service.app.state.app_state.job_service
    jobs.policy = replace(jobs.policy, llms=("none", "gateway"))
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        shown = client.post("/v1/estimates", json={**SHORT, "llm": "gateway"})
    assert shown.json()["llm"]["usd"] is None
    assert any("price of own is unknown" in text for text in shown.json()["unknown"])
    assert "secret" not in shown.text


def test_how_far_a_budget_goes_is_told(tmp_path: Path) -> None:
    body = {**SHORT, "llm": "embedded", "budget_tokens": 30_000}
    assert "of 20 units" in estimate(tmp_path, body).json()["budget_reach"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"units": "40:0-9"}, "there is no layer 40"),
        ({"subject": "gpt-9"}, "unknown model"),
        ({"units": "5:0-19", "explainer": "none_such"}, "none_such"),
        ({"n_ctx": 100_000}, "4096"),
        ({"units": ""}, "units"),
    ],
)
def test_what_could_not_be_submitted_gets_no_estimate(
    tmp_path: Path, body: dict[str, Any], said: str
) -> None:
    answer = estimate(tmp_path, {**SHORT, **body})
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_shapes_are_known_of_known_models_and_folders_here(tmp_path: Path) -> None:
    config = {"model_type": "llama", "hidden_size": 16, "intermediate_size": 24}
    config |= {"num_hidden_layers": 3, "num_attention_heads": 2, "vocab_size": 99}
    config |= {"max_position_embeddings": 128}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "wrong").mkdir()
    (tmp_path / "wrong" / "config.json").write_text("[")
    names = ("gpt2", f"mine={tmp_path}", f"bad={tmp_path}/wrong", "some/other", "x=/tmp/y.gguf")
    found = known_shapes(Settings(models=names))
    assert set(found) == {"gpt2", "mine"}
    assert found["mine"].n_neurons == 72
