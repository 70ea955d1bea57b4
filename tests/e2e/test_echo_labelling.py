"""Simulation by echo from the command line: refused before money is spent, and paid once."""

from __future__ import annotations

import json
import re
from collections import deque
from dataclasses import replace
from pathlib import Path

from fake_endpoint import FakeEndpoint, Fault, json_body
from labelling import IMPATIENT, Labelling

ECHO = ("--scorer", "simulation_echo", "--explainer", "token_activation", "--units", "0:0-1")
ONE_AT_A_TIME = replace(IMPATIENT, max_in_flight=1)


class Echoes(deque[Fault]):
    """An endless row of answers: level 10 wherever a line of the last prompt holds an ``a``."""

    def __init__(self, endpoint: FakeEndpoint) -> None:
        super().__init__()
        self._endpoint = endpoint

    def __bool__(self) -> bool:
        return True

    def popleft(self) -> Fault:
        prompt = self._endpoint.prompts[-1]["prompt"]
        tokens = re.findall(r"\tunknown|[^\t]+|\t", prompt)
        tops: list[dict[str, float] | None] = [None]
        for before, token in zip(tokens, tokens[1:], strict=False):
            level = "10" if "a" in before.rsplit("\n", 1)[-1] else "0"
            tops.append({f"\t{level}": -0.1} if token == "\tunknown" else {token: -0.5})
        logprobs = {
            "tokens": [*tokens, "."],
            "token_logprobs": [None, *([-1.0] * len(tokens))],
            "top_logprobs": [*tops, {".": -0.1}],
        }
        usage = {"prompt_tokens": len(tokens), "completion_tokens": 1}
        choice = {"text": f"{prompt}.", "logprobs": logprobs}
        return json_body({"choices": [choice], "usage": usage})


def spent(folder: Path) -> dict[str, int]:
    """Tokens and requests in the cost log."""
    rows = [json.loads(line) for line in (folder / "spent.jsonl").read_text().splitlines()]
    ended = [row["spent"] for row in rows if row.get("spent")]
    names = ("requests", "prompt_tokens", "completion_tokens")
    return {name: sum(row.get(name, 0) for row in ended) for name in names}


def test_an_endpoint_without_echo_is_said_in_one_sentence_before_anything_is_paid(
    labelling: Labelling, endpoint: FakeEndpoint
) -> None:
    ended = labelling(labelling.arguments("a", *ECHO, llm=endpoint.base_url))
    assert ended.code == 3
    assert ended.err.count("gives no log-probabilities of a prompt for 'fake'") == 1
    assert "Traceback" not in ended.err
    assert (len(endpoint.prompts), len(endpoint.bodies)) == (1, 0)
    again = labelling(labelling.arguments("b", *ECHO, llm=endpoint.base_url))
    assert again.code == 3
    assert (len(endpoint.prompts), len(endpoint.bodies)) == (1, 0)


def test_the_embedded_llm_has_no_echo_and_says_so(labelling: Labelling) -> None:
    ended = labelling(labelling.arguments("a", *ECHO, llm="embedded"))
    assert ended.code == 2
    assert "simulation_echo needs an LLM with /v1/completions and echo" in ended.err


def test_labels_by_echo_are_booked_and_a_second_run_pays_nothing(
    labelling: Labelling, endpoint: FakeEndpoint
) -> None:
    endpoint.completions = Echoes(endpoint)
    for folder in ("a", "b"):
        arguments = labelling.arguments(folder, *ECHO, "--json", llm=endpoint.base_url)
        ended = labelling(arguments, options=ONE_AT_A_TIME)
        assert ended.code == 0, ended.err
    n_paid = len(endpoint.prompts) + len(endpoint.bodies)
    assert len(endpoint.prompts) > 10
    assert spent(labelling.folder / "a")["requests"] == n_paid
    assert spent(labelling.folder / "b") == dict.fromkeys(spent(labelling.folder / "b"), 0)
    by_echo = [row for row in json.loads(ended.out)["labels"] if row["scorer"] == "simulation_echo"]
    assert json.loads(ended.out)["usage"]["requests"] == 0
    assert by_echo
    assert labelling.tables("a") == labelling.tables("b")
