"""What a labelling job may spend, counted by the endpoint that charges for it."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_endpoint import FakeEndpoint
from faulty import answering
from held_requests import HeldRequests
from labelling import Labelling, wait_until

JOB = ("--explainer", "token_activation", "--heldout", "8", "--units", "0:0-3")
WIDER = (
    *("--explainer", "contrastive"),
    *("--scorer", "simulation", "--scorer", "detection", "--scorer", "fuzzing"),
)


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    with FakeEndpoint(answering(0)) as running:
        yield running


def tokens(endpoint: FakeEndpoint) -> int:
    return sum(prompt + completion for prompt, completion in endpoint.charged)


def dollars(endpoint: FakeEndpoint) -> float:
    return sum(100 * prompt + 400 * written for prompt, written in endpoint.charged) / 1e6


def n_paid_twice(endpoint: FakeEndpoint) -> int:
    return len(endpoint.bodies) - len({json.dumps(b, sort_keys=True) for b in endpoint.bodies})


@pytest.fixture
def prices(tmp_path: Path) -> str:
    row = {"prompt": 100, "completion": 400, "as_of": "2026-01-01"}
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"source": "a test", "models": {"fake": row}}))
    return str(path)


def bytes_of(text: str) -> int:
    return len(text.encode())


@pytest.mark.parametrize("count", [None, bytes_of])
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_budget_of_tokens_is_kept_and_a_larger_one_goes_on(
    labelling: Labelling, endpoint: FakeEndpoint, count: object, share: float
) -> None:
    if count is not None:
        endpoint.count_tokens = bytes_of
    whole = labelling(labelling.arguments("whole", *JOB, llm=endpoint.base_url))
    assert whole.code == 0, whole.err
    budget = int(share * tokens(endpoint))
    with FakeEndpoint(answering(0)) as fresh:
        fresh.count_tokens = endpoint.count_tokens
        arguments = labelling.arguments("a", *JOB, llm=fresh.base_url)
        ended = labelling([*arguments, "--budget-tokens", str(budget)])
        assert ended.code == 1, ended.err
        assert 0 < tokens(fresh) <= budget
        left = re.search(r"(\d) units? (is|are) left without a label", ended.err)
        assert left is not None
        assert int(left[1]) == 4 - len(labelling.labels("a"))
        assert f"of {budget:,} tokens to spend, {tokens(fresh):,} tokens are spent" in ended.err
        assert "raise --budget-tokens and run again with --resume" in ended.err

        larger = ["--resume", "--json", "--budget-tokens", str(10**9)]
        again = labelling([*arguments, *larger])
        assert again.code == 0, again.err
        assert n_paid_twice(fresh) == 0
        spent = json.loads(again.out)["spent"]
        assert spent["prompt_tokens"] + spent["completion_tokens"] == tokens(fresh)
        # To find out what is taken counts as one call.
        assert (spent["requests"], spent["assumed"]) == (len(fresh.answered) + 1, 0)
    assert labelling.tables("a") == labelling.tables("whole")


def test_a_budget_in_dollars_is_kept_by_a_table_of_prices(
    labelling: Labelling, endpoint: FakeEndpoint, prices: str
) -> None:
    arguments = labelling.arguments("a", *JOB, "--prices", prices, llm=endpoint.base_url)
    ended = labelling([*arguments, "--budget-usd", "1.5"])
    assert ended.code == 1, ended.err
    assert 1 < dollars(endpoint) <= 1.5
    assert "fake costs $100 a million prompt tokens" in ended.err
    assert "raise --budget-usd and run again with --resume" in ended.err
    again = labelling([*arguments, "--resume", "--budget-usd", "1000"])
    assert again.code == 0, again.err
    assert n_paid_twice(endpoint) == 0
    said = " ".join(again.out.split())
    assert f"{tokens(endpoint):,} tokens (choose " in said
    assert f", ${dollars(endpoint):.4f}" in said


def test_what_was_on_its_way_at_a_kill_counts_against_the_budget(
    labelling: Labelling, endpoint: FakeEndpoint
) -> None:
    arguments = labelling.arguments("a", *JOB, llm=endpoint.base_url)
    held = HeldRequests(endpoint, hold_when=lambda: len(endpoint.answered) >= 38)
    running = labelling.spawn(arguments)
    wait_until(lambda: len(endpoint.answered) >= 30 or running.poll() is not None)
    running.send_signal(signal.SIGKILL)
    _, printed = running.communicate(timeout=300)
    assert running.returncode == -signal.SIGKILL, printed
    held.release()
    endpoint.until_quiet()
    budget = tokens(endpoint) + 20_000
    ended = labelling([*arguments, "--resume", "--budget-tokens", str(budget)])
    assert ended.code in (0, 1), ended.err
    assert tokens(endpoint) <= budget
    again = labelling([*arguments, "--resume", "--json"])
    assert again.code == 0, again.err
    spent = json.loads(again.out)["spent"]
    counted = spent["prompt_tokens"] + spent["completion_tokens"]
    assert counted >= tokens(endpoint)
    assert 0 <= spent["assumed"] <= 8


def test_a_budget_in_dollars_needs_a_price(labelling: Labelling) -> None:
    arguments = labelling.arguments("a", *JOB, llm="https://llm.invalid/v1")
    ended = labelling([*arguments, "--budget-usd", "1"])
    assert ended.code == 2
    assert "--budget-usd 1 cannot be kept: the price of fake at llm.invalid is unknown" in ended.err
    assert "Traceback" not in ended.err
    assert not (labelling.folder / "a" / "summary").exists()


def test_the_estimate_before_the_start_is_near_what_is_spent(
    labelling: Labelling, endpoint: FakeEndpoint
) -> None:
    endpoint.count_tokens = lambda text: len(re.findall(r"\w{1,6}|[^\w\s]", text))
    # So much text that there are as many validation windows as are asked about.
    longer = (*JOB, *WIDER, "--tokens", "3900")
    ended = labelling(labelling.arguments("a", *longer, "--json", llm=endpoint.base_url))
    assert ended.code == 0, ended.err
    assert "fake runs on this machine and costs nothing" in ended.err
    said = re.search(r"4 to label: ([\d,]+) calls, ([\d,]+) \+ ([\d,]+) tokens", ended.err)
    assert said is not None
    n_calls, n_prompt, n_written = (int(number.replace(",", "")) for number in said.groups())
    found = json.loads(ended.out)["spent"]
    assert found, said[0]
    by_stage = found["by_stage"]
    assert by_stage.pop("prepare")["requests"] == 1
    assert 1 <= n_calls / (found["requests"] - 1) < 1.3
    assert 0.7 < n_prompt / found["prompt_tokens"] < 1.5
    assert 0.5 < n_written / found["completion_tokens"] < 2
    assert set(by_stage) == {"explain", "choose", "score", "null"}
    assert sum(stage["requests"] for stage in by_stage.values()) == len(endpoint.answered)
