"""No secret is in anything that a whole run of the service writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from embedded_service import Embedded
from fake_endpoint import FakeEndpoint, status
from labelling import wait_until
from planted_llm import noise
from worker_in_process import SIMULATED

import autointerp as ai
from autointerp.core.errors import InputError
from autointerp.core.job_state import JobState

LLM_KEY, SERVER_KEY, WRONG_KEY = "sk-of-the-llm-5d1f", "key-of-the-server-77a0", "wrong-key-3c9e"


def test_keys_are_in_no_log_no_file_and_no_answer(
    tmp_path: Path, model_folder: Path, texts: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with FakeEndpoint(noise(0)) as llm:
        service = Embedded(
            tmp_path / "data",
            {
                "models": f"tiny={model_folder}",
                "folders": texts.parent,
                "llm_base_url": llm.base_url,
                "llm_model": "fake",
                "llm_api_key": LLM_KEY,
                "api_keys": SERVER_KEY,
            },
        )
        running = service.spawn()
        try:
            wait_until(lambda: service.is_ready() or running.poll() is not None, said=service.logs)
            assert running.poll() is None, service.logs()
            said = use(f"http://127.0.0.1:{service.port}", texts, llm)
        finally:
            running.terminate()
            running.wait(timeout=300)
    assert any(LLM_KEY in header.get("authorization", "") for header in llm.headers)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"api.log", "labels.log", "activations.log"} <= {path.name for path in written}
    assert any(path.suffix == ".aof" for path in written)
    found = {path.name: path.read_bytes() for path in written} | {"said": said.encode()}
    out, err = capfd.readouterr()
    found |= {"printed": (out + err).encode()}
    for secret in (LLM_KEY, SERVER_KEY, WRONG_KEY):
        assert [name for name, data in found.items() if secret.encode() in data] == []


def use(server: str, texts: Path, llm: FakeEndpoint) -> str:
    """What the server said of a job that succeeds, one that the LLM refuses, and a wrong key."""
    corpus = {"corpus": str(texts), "n_tokens": 2500, "n_ctx": 16}
    job = {"subject": "tiny", "corpus": corpus, "llm": "default", **SIMULATED}
    with ai.Client(server, WRONG_KEY) as stranger, pytest.raises(InputError) as refused:
        stranger.jobs()
    with ai.Client(server, SERVER_KEY) as client:
        good = client.wait(client.submit("0:0-3", **job).id)
        # As endpoints do that show what they were sent; the key is refused for all that is asked.
        llm.disturbs_probes = True
        llm.disturb = lambda body, good: status(401, f"incorrect API key provided: {LLM_KEY}")
        bad = client.wait(client.submit("1:0-3", seed=1, **job).id)
        assert (good.state, bad.state) == (JobState.SUCCEEDED, JobState.FAILED)
        assert bad.reason is not None
        shown = [str(client.jobs()), str(list(client.labels("tiny")))]
    return "\n".join([str(refused.value), *shown])
