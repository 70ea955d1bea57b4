"""A run from the command line: kept, resumed, made again, and refused with one sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_endpoint import FakeEndpoint, html, status
from planted_llm import noise
from tiny import tiny_llama, tiny_texts, tiny_tokenizer, write_texts

from autointerp.llm import ChatReply, ChatRequest

TABLES = ("labels.parquet", "labels.jsonl.gz")


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    tiny_llama().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("corpus"), tiny_texts(60, n_words=60))


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    with FakeEndpoint(noise(0)) as running:
        yield running


@dataclass(frozen=True)
class Shell:
    """The command line in processes of its own, with a cache of its own."""

    model: Path
    texts: Path
    folder: Path

    def argv(self, out: str, *more: str, llm: str) -> list[str]:
        command = [sys.executable, "-m", "autointerp.cli", "label", str(self.model)]
        options = {
            "--units": "0:0-3,1:0-1",
            "--corpus": str(self.texts),
            "--tokens": "2500",
            "--n-ctx": "16",
            "--llm": llm,
            "--llm-model": "fake",
            "--out": str(self.folder / out),
        }
        return [*command, *(part for pair in options.items() for part in pair), *more]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "AUTOINTERP_CACHE_DIR": str(self.folder / "cache")}

    def run(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )

    def labels(self, out: str) -> list[Path]:
        return sorted((self.folder / out / "labels").rglob("*.json"))


@pytest.fixture
def shell(model_folder: Path, texts: Path, tmp_path: Path) -> Shell:
    return Shell(model_folder, texts, tmp_path)


def tables(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in TABLES]


def test_a_run_leaves_a_dictionary_that_its_manifest_makes_again_without_paying(
    shell: Shell, endpoint: FakeEndpoint
) -> None:
    first = shell.run(shell.argv("a", llm=endpoint.base_url))
    assert first.returncode == 0, first.stderr
    manifest = json.loads((shell.folder / "a" / "manifest.json").read_text())
    assert manifest["counts"]["labels"] == 6
    assert {"labels.parquet", "labels.jsonl.gz"} <= {p.name for p in (shell.folder / "a").iterdir()}
    n_asked = len(endpoint.bodies)
    again = [sys.executable, "-m", "autointerp.cli", "label", "--from-manifest"]
    again += [str(shell.folder / "a" / "manifest.json"), "--out", str(shell.folder / "b")]
    second = shell.run(again)
    assert second.returncode == 0, second.stderr
    assert len(endpoint.bodies) == n_asked
    assert tables(shell.folder / "a") == tables(shell.folder / "b")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_goes_on_and_pays_for_nothing_twice(
    shell: Shell, endpoint: FakeEndpoint, sign: signal.Signals
) -> None:
    guess = noise(0)

    def slowly(request: ChatRequest) -> str | ChatReply | Exception:
        time.sleep(0.15)
        return guess(request)

    endpoint.handler = slowly
    alone = ("--explainer", "token_activation")
    argv = shell.argv("a", *alone, llm=endpoint.base_url)
    running = subprocess.Popen(argv, env=shell.environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 90
    while not shell.labels("a") and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(sign)
    _, printed = running.communicate(timeout=60)
    kept = {path: path.read_bytes() for path in shell.labels("a")}
    assert 0 < len(kept) < 6
    if sign is signal.SIGINT:
        assert running.returncode == 130
        assert "continue with --resume" in " ".join(printed.split())
    time.sleep(0.5)
    answered = len(endpoint.bodies)
    resumed = shell.run([*argv, "--resume"])
    assert resumed.returncode == 0, resumed.stderr
    assert {path: path.read_bytes() for path in kept} == kept
    # Requests that were open when the process died were never answered; no more than those
    # may be asked again.
    distinct = {json.dumps(body, sort_keys=True) for body in endpoint.bodies}
    assert len(endpoint.bodies) - len(distinct) <= 8
    assert len(endpoint.bodies) > answered
    whole = shell.run(shell.argv("whole", *alone, llm=endpoint.base_url))
    assert whole.returncode == 0, whole.stderr
    assert tables(shell.folder / "a") == tables(shell.folder / "whole")


def test_a_second_process_on_the_same_folder_is_turned_away(
    shell: Shell, endpoint: FakeEndpoint
) -> None:
    endpoint.handler = lambda _: time.sleep(0.3) or '{"explanation": "no single pattern"}'  # type: ignore[func-returns-value]
    argv = shell.argv("a", llm=endpoint.base_url)
    first = subprocess.Popen(argv, env=shell.environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (shell.folder / "a" / "job.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    second = shell.run([*argv, "--resume"])
    first.wait(timeout=120)
    assert second.returncode == 2
    assert f"is being written by process {first.pid}" in " ".join(second.stderr.split())


def test_a_folder_of_another_run_and_a_finished_one_are_refused(
    shell: Shell, endpoint: FakeEndpoint
) -> None:
    assert shell.run(shell.argv("a", llm="none")).returncode == 0
    finished = shell.run(shell.argv("a", llm="none"))
    assert finished.returncode == 2
    assert "holds 6 finished labels of this run; add --resume" in " ".join(finished.stderr.split())
    other = shell.run(shell.argv("a", llm=endpoint.base_url))
    assert other.returncode == 2
    assert "holds another run: llm is 'none' there" in " ".join(other.stderr.split())


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (status(401, "bad key"), "AUTOINTERP_LLM_API_KEY"),
        (status(404, "no such model"), "fake"),
    ],
)
def test_an_endpoint_that_will_never_answer_stops_the_job_with_one_sentence(
    shell: Shell, endpoint: FakeEndpoint, fault: object, message: str
) -> None:
    endpoint.faults.extend([fault] * 50)  # type: ignore[list-item]
    stopped = shell.run(shell.argv("a", llm=endpoint.base_url))
    assert stopped.returncode == 3
    assert message in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert shell.labels("a") == []


def test_passing_faults_cost_nothing_but_time(shell: Shell, endpoint: FakeEndpoint) -> None:
    endpoint.faults.extend([html(), status(500), status(429), html(503)])
    run = shell.run(shell.argv("a", llm=endpoint.base_url))
    assert run.returncode == 0, run.stderr


def test_units_that_failed_are_listed_and_the_exit_code_is_1(
    shell: Shell, endpoint: FakeEndpoint
) -> None:
    endpoint.handler = lambda _: "I'm sorry, I can't help with that."
    run = shell.run([*shell.argv("a", llm=endpoint.base_url), "--explainer", "token_activation"])
    assert run.returncode == 1
    assert "6 units failed; --resume tries again" in " ".join(run.stderr.split())
    assert "refusal" in run.stderr


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--units", "7:0", "has layers 0 to"),
        ("--units", "0:99999", "has the units 0 to"),
        ("--units", "blocks.0.mlp.hook_nope:0", "has no hook point"),
        ("--units", "five", "is not of the form"),
        ("--corpus", "wikki", "wiki"),
        ("--tokens", "99999999", "lower n_tokens or use a larger corpus"),
        ("--explainer", "magic", "unknown explainer 'magic'"),
        ("--llm", "nowhere", "neither embedded, none nor a URL"),
    ],
)
def test_input_that_cannot_be_is_told_with_exit_code_2(
    shell: Shell, option: str, value: str, message: str
) -> None:
    argv = shell.argv("a", llm="none")
    if option in argv:
        argv[argv.index(option) + 1] = value
    else:
        argv += [option, value]
    run = shell.run(argv)
    assert run.returncode == 2, run.stderr
    assert message in " ".join(run.stderr.split())
    assert "Traceback" not in run.stderr
