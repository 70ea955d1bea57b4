"""Everything that can be wrong about a run ends with an exit code and one sentence."""

from __future__ import annotations

import json
import resource
import shutil
import socket
import threading
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fake_endpoint import FakeEndpoint, Fault, hang_up, html, json_body, slow, status
from labelling import IMPATIENT, Ended, Labelling, wait_until
from planted_llm import noise

from autointerp.llm import ChatRequest

ALONE = ("--explainer", "token_activation")


def refused_by(fault: Callable[[], Fault], endpoint: FakeEndpoint, labelling: Labelling) -> Ended:
    endpoint.dress = lambda _: fault()
    ended = labelling(labelling.arguments("a", "--units", "0:0", llm=endpoint.base_url))
    assert "Traceback" not in ended.err
    assert labelling.labels("a") == []
    return ended


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda: status(401, "no"), "does not accept the API key; set AUTOINTERP_LLM_API_KEY"),
        (lambda: status(404, "no"), "answered 404 for model 'fake'"),
        (lambda: status(429, headers={"Retry-After": "0"}), "answered 429"),
        (lambda: status(500), "answered 500, 3 times: try again later"),
        (html, "is not JSON (beginning '<html><body>Bad gateway"),
        (lambda: html(502), "answered 502, 3 times"),
        (hang_up, "cut the connection, 3 times"),
        (lambda: json_body({"ok": True}), "JSON that is not a chat completion"),
    ],
)
def test_an_endpoint_that_never_answers_well_stops_the_run(
    labelling: Labelling, endpoint: FakeEndpoint, fault: Callable[[], Fault], message: str
) -> None:
    ended = refused_by(fault, endpoint, labelling)
    assert ended.code == 3
    assert message in ended.err


def test_an_endpoint_that_is_too_slow_stops_the_run(
    labelling: Labelling, endpoint: FakeEndpoint
) -> None:
    endpoint.faults.extend(slow() for _ in range(400))
    options = replace(IMPATIENT, timeout_s=0.3, attempts=2)
    arguments = labelling.arguments("a", "--units", "0:0", llm=endpoint.base_url)
    ended = labelling(arguments, options=options)
    assert ended.code == 3
    assert "gave no answer within 0.3 s, 2 times: use a faster model" in ended.err


def test_a_server_that_is_not_there_stops_the_run(labelling: Labelling) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        ended = labelling(labelling.arguments("a", llm=url))
    assert ended.code == 3
    assert f"could not reach {url}: is the server running?" in ended.err


def test_passing_faults_cost_nothing_but_time(labelling: Labelling, endpoint: FakeEndpoint) -> None:
    endpoint.faults.extend([html(), status(500), status(429), html(503), hang_up()])
    ended = labelling(labelling.arguments("a", llm=endpoint.base_url))
    assert ended.code == 0, ended.err


def test_labels_that_were_finished_outlive_an_endpoint_that_dies(
    labelling: Labelling, endpoint: FakeEndpoint
) -> None:
    guess, asked, lock, dying = noise(0), [], threading.Lock(), [0]

    def handler(request: ChatRequest) -> object:
        question = request.messages[-1].content
        if "Neuron:" not in question:
            return json.dumps({"explanation": f"thing {zlib.crc32(question.encode())}"})
        asked.append(request)
        # Sixteen questions a unit, four units at once: one is done by then, and one never will.
        if len(asked) <= 80:
            return guess(request)
        # Nobody is answered any more by then: a good answer among failures speaks for the endpoint.
        with lock:
            dying[0] += 1
        wait_until(lambda: endpoint.in_flight <= dying[0])
        with lock:
            dying[0] -= 1
        return RuntimeError("dying")

    endpoint.handler = handler  # type: ignore[assignment]
    arguments = labelling.arguments("a", *ALONE, llm=endpoint.base_url)
    ended = labelling(arguments)
    assert ended.code == 3
    n_kept = len(labelling.labels("a"))
    assert 0 < n_kept < 6
    del asked[:]
    assert labelling([*arguments, "--resume"]).code == 0


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ("", "the reply held nothing"),
        ("I'm sorry, I can't help with that.", "the reply is a refusal"),
        ('{"answer": "cats"}', 'not JSON with a text under "explanation"'),
        ("certainly!", 'not JSON with a text under "explanation"'),
        ("<think>I wonder", "only reasoning and no answer"),
    ],
)
def test_replies_that_cannot_be_read_fail_the_units_and_the_exit_code_is_1(
    labelling: Labelling, endpoint: FakeEndpoint, reply: str, message: str
) -> None:
    endpoint.handler = lambda _: reply
    ended = labelling(labelling.arguments("a", *ALONE, llm=endpoint.base_url))
    assert ended.code == 1
    assert "6 units failed; --resume tries again" in ended.err
    assert message in ended.err
    assert len(labelling.labels("a")) == 6


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--units", "7:0", "has layers 0 to"),
        ("--units", "0:99999", "has the units 0 to"),
        ("--units", "blocks.0.mlp.hook_nope:0", "has no hook point"),
        ("--units", "five", "is not of the form"),
        ("--corpus", "wikki", "wiki"),
        ("--tokens", "99999999", "lower n_tokens or use a larger corpus"),
        ("--tokens", "0", "--tokens 0 cannot be used"),
        ("--explainer", "magic", "unknown explainer 'magic'"),
        ("--scorer", "magic", "unknown scorer 'magic'"),
        ("--llm", "nowhere", "neither embedded, none nor a URL"),
    ],
)
def test_input_that_cannot_be_is_told_with_exit_code_2(
    labelling: Labelling, option: str, value: str, message: str
) -> None:
    ended = labelling(labelling.arguments("a", option, value, llm="none"))
    assert ended.code == 2, ended.err
    assert message in ended.err
    assert "Traceback" not in ended.err


def test_an_unknown_subject_is_told_with_exit_code_2(labelling: Labelling) -> None:
    arguments = labelling.arguments("a", llm="none")
    arguments[1] = "smollm3-135m"
    ended = labelling(arguments)
    assert ended.code == 2
    assert "smollm3-135m" in ended.err


def test_a_url_without_a_model_is_told_before_anything_is_sent(
    labelling: Labelling, endpoint: FakeEndpoint
) -> None:
    arguments = labelling.arguments("a", llm=endpoint.base_url)
    place = arguments.index("--llm-model")
    ended = labelling([*arguments[:place], *arguments[place + 2 :]])
    assert ended.code == 2
    assert "Add --llm-model or set AUTOINTERP_LLM_MODEL" in ended.err
    assert endpoint.bodies == []


def under_a_limit(labelling: Labelling, arguments: list[str], n_bytes: int) -> Ended:
    """The run where no file may be larger: the disk refuses as a full one does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        return labelling(arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("limit", "file"), [(200, "job.json"), (3_000, "summary.safetensors")])
def test_a_disk_that_refuses_the_first_files_ends_the_run(
    labelling: Labelling, limit: int, file: str
) -> None:
    ended = under_a_limit(labelling, labelling.arguments("a", llm="none"), limit)
    assert ended.code == 3, ended.err
    assert "File too large" in ended.err
    assert file in ended.err


def test_a_disk_that_refuses_what_was_learnt_of_the_llm_loses_nothing(
    labelling: Labelling, endpoint: FakeEndpoint, tmp_path: Path
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "capabilities").touch()
    endpoint.dress = lambda body: status(400, "no") if "seed" in body else None
    ended = labelling(labelling.arguments("a", "--json", llm=endpoint.base_url))
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["asked_without"] == ["seed"]
    assert len(endpoint.probes) <= 10


def test_a_disk_that_refuses_labels_loses_none_that_were_kept(labelling: Labelling) -> None:
    many = ("--units", "0:0-1", "--heldout", "60")
    assert labelling(labelling.arguments("whole", *many, llm="none")).code == 0
    whole, folder = labelling.folder / "whole", labelling.folder / "a"
    shutil.copytree(whole / "summary", folder / "summary")
    shutil.copy(whole / "job.json", folder)
    sizes = [path.stat().st_size for path in whole.glob("*/*.sqlite")]
    arguments = labelling.arguments("a", *many, "--resume", llm="none")
    ended = under_a_limit(labelling, arguments, max(sizes) - 1)
    assert ended.code == 3, ended.err
    assert "could not write" in ended.err
    assert "run again, with --resume" in ended.err
    kept = labelling.contents("a")
    assert len(kept) < 2
    assert list(folder.rglob("*.tmp")) == []
    assert labelling(arguments).code == 0
    assert kept.items() <= labelling.contents("a").items()
    assert len(labelling.contents("a")) == 2
    assert labelling.tables("a") == labelling.tables("whole")


def test_a_disk_that_refuses_replies_ends_the_run(
    labelling: Labelling, endpoint: FakeEndpoint
) -> None:
    (labelling.folder / "cache").mkdir()
    (labelling.folder / "cache" / "replies").write_text("in the way")
    ended = labelling(labelling.arguments("a", llm=endpoint.base_url))
    assert ended.code == 3
    assert "reply" in ended.err
    assert "Traceback" not in ended.err
