"""``explain`` and ``score`` make the same of every service that answers well; nothing is hidden."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, Ended
from endpoint_cases import ANSWERING, Answering
from factories import make_label
from fake_endpoint import FakeEndpoint, status
from faulty import fail_at_first
from graded_llm import GradedLLM
from neuron_records import write_record

from autointerp.jobs import RunReport
from autointerp.llm import ChatReply, ChatRequest

RIVER = "the word river"
JUDGE = GradedLLM({RIVER: lambda tokens: [10 * (t.strip() == "river") for t in tokens]})
COMMANDS = {
    "explain": [
        *("explain", "--explainer", "token_activation", "--explainer", "marked_tokens"),
        *("--explainer", "token_lookup", "--samples", "2"),
    ],
    "score": [
        *("score", "--explanation", RIVER, "--scorer", "simulation", "--scorer", "detection"),
        *("--scorer", "fuzzing", "--heldout", "4"),
    ],
}
PLAIN: dict[str, Any] = {}
# One of each kind; what the others come to is tested where bodies and replies are read.
KINDS = (
    *("usage_float_and_text", "done_behind_json", "stream_not_asked", "bom"),
    *("content_list_of_strings", "thinking_text_part", "reasoning_content", "logprobs_list"),
    *("stream_of_calls", "part_of_a_tool", "parsed"),
    *("dress_channels", "dress_brackets", "dress_unopened", "dress_think"),
)


def answers(request: ChatRequest) -> str | ChatReply:
    if "Neuron:" in str(request.messages):
        return JUDGE(request)
    return json.dumps({"explanation": RIVER})


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEndpoint]:
    monkeypatch.setenv("AUTOINTERP_CACHE_DIR", str(tmp_path / "cache"))
    with FakeEndpoint(answers) as made:
        yield made


def run(cli: Cli, endpoint: FakeEndpoint, command: str, *more: str) -> Ended:
    path = write_record(Path("river.json"))
    llm = ("--llm", endpoint.base_url, "--llm-model", "fake", "--json")
    return cli(*COMMANDS[command], str(path), *llm, *more)


def plain(cli: Cli, command: str) -> Any:
    if command not in PLAIN:
        with FakeEndpoint(answers) as endpoint:
            PLAIN[command] = json.loads(run(cli, endpoint, command, "--seed", "0").out)
    return PLAIN[command]


@pytest.mark.parametrize(
    "case", [c for c in ANSWERING if c.name in KINDS], ids=lambda case: case.name
)
@pytest.mark.parametrize("command", COMMANDS)
def test_the_same_is_made_of_every_service(
    cli: Cli, endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch, command: str, case: Answering
) -> None:
    expected = plain(cli, command)
    monkeypatch.setenv("AUTOINTERP_CACHE_DIR", f"cache-of-{case.name}")
    case.dress(endpoint)
    ended = run(cli, endpoint, command, "--seed", "0")
    assert ended.code == 0, ended.err
    made = json.loads(ended.out)
    assert made["units"] == expected["units"]
    assert made["usage"]["requests"] == expected["usage"]["requests"]


@pytest.mark.parametrize("form", ["<think>ANSWER</think>", "I cannot say"])
def test_explain_says_why_every_question_failed_though_rules_stand_in(
    cli: Cli, endpoint: FakeEndpoint, form: str
) -> None:
    endpoint.handler = lambda _: form.replace("ANSWER", json.dumps({"explanation": RIVER}))
    ended = run(cli, endpoint, "explain")
    assert ended.code == 1
    found = json.loads(ended.out)
    assert [c["explainer"] for c in found["units"][0]["candidates"]] == ["token_lookup"]
    said = " ".join(ended.err.split())
    assert "every question to the LLM failed; the first: token_activation answer 0: the" in said
    assert found["llm_failure"] in said


@pytest.mark.parametrize("command", COMMANDS)
def test_it_is_said_that_an_llm_is_waited_for(
    cli: Cli, endpoint: FakeEndpoint, command: str
) -> None:
    fail_at_first(endpoint, status(503, "voll"), times=2)
    ended = run(cli, endpoint, command, "--seed", "0")
    assert ended.code == 0, ended.err
    [said] = [line for line in ended.err.splitlines() if "is asked again" in line]
    where = f"the LLM at {endpoint.base_url} answered 503"
    assert said.startswith(f"{where}; it is asked again, for at most 900 s a question: try again")
    assert json.loads(ended.out)["units"] == plain(cli, command)["units"]


def test_a_scorer_all_of_whose_trials_failed_has_failed(cli: Cli, endpoint: FakeEndpoint) -> None:
    def unsure(request: ChatRequest) -> str | ChatReply:
        return "perhaps" if "yes or no" in str(request.messages) else answers(request)

    endpoint.handler = unsure
    ended = run(cli, endpoint, "score")
    assert ended.code == 1
    [unit] = json.loads(ended.out)["units"]
    assert unit["status"] == "failed"
    assert unit["score"] > 0.9
    results = {result["scorer"]: result["failure"] for result in unit["results"]}
    assert results["simulation"] is None
    assert results["detection"].startswith("all 4 trials failed, the first: neither yes nor no")
    assert "detection: all 4 trials failed, the first: neither yes nor no" in ended.err
    path, llm = "river.json", ("--llm", endpoint.base_url, "--llm-model", "fake")
    rows = cli(*COMMANDS["score"], path, *llm).out.splitlines()
    assert all("failed" in row for row in rows if row.startswith(("detection", "fuzzing")))


def test_label_says_why_every_question_failed(cli: Cli) -> None:
    class Failed(type(cli.runner)):  # type: ignore[misc]
        def __call__(self, *given: Any, **named: Any) -> RunReport:
            report = super().__call__(*given, **named)
            report.llm_failure = "token_activation answer 0: the reply held nothing"
            return report

    cli.runner = Failed((make_label(),))
    ended = cli("label", "--units", "5:131", "--json")
    assert ended.code == 1
    assert "every question to the LLM failed; the first: token_activation answer 0" in ended.err
    assert json.loads(ended.out)["llm_failure"].endswith("held nothing")
