"""A run from the command line: kept, resumed, made again, and alone in its folder."""

from __future__ import annotations

import json
import signal
import time

import pytest
from fake_endpoint import FakeEndpoint, status
from held_requests import HeldRequests
from labelling import Labelling, wait_until
from planted_llm import noise

import autointerp as ai
from autointerp.llm import ChatReply, ChatRequest


def distinct(endpoint: FakeEndpoint) -> int:
    return len({json.dumps(body, sort_keys=True) for body in endpoint.bodies})


def test_a_run_leaves_a_dictionary_that_its_manifest_makes_again_without_paying(
    labelling: Labelling, endpoint: FakeEndpoint
) -> None:
    first = labelling(labelling.arguments("a", "--json", llm=endpoint.base_url))
    assert first.code == 0, first.err
    folder = labelling.folder / "a"
    assert {"labels.parquet", "labels.jsonl.gz", "manifest.json", "scores", "records"} <= {
        path.name for path in folder.iterdir()
    }
    assert json.loads((folder / "manifest.json").read_text())["counts"]["labels"] == 6
    table = ai.open_dictionary(folder).to_pandas()
    assert len(table) == 6
    n_asked = len(endpoint.bodies)
    assert n_asked == distinct(endpoint)
    requests = json.loads(first.out)["usage"]["requests"]
    assert requests == n_asked + len(endpoint.probes)

    manifest, out = str(folder / "manifest.json"), str(labelling.folder / "b")
    second = labelling(["label", "--from-manifest", manifest, "--out", out])
    assert second.code == 0, second.err
    assert len(endpoint.bodies) == n_asked
    assert labelling.tables("a") == labelling.tables("b")


def test_the_llm_s_explanation_and_the_rules_are_in_the_table_and_shown_both(
    labelling: Labelling, endpoint: FakeEndpoint
) -> None:
    assert labelling(labelling.arguments("a", llm=endpoint.base_url)).code == 0
    dictionary = ai.open_dictionary(labelling.folder / "a")
    both = [row for row in dictionary.rows() if row["llm_description"] and row["rules_description"]]
    assert both
    for row in both:
        described = row["description"]
        assert described in {row["llm_description"], row["rules_description"]}
        is_llm = described == row["llm_description"]
        assert row["score"] == row["llm_score" if is_llm else "rules_score"]
    scored = next(row for row in both if row["llm_score"] is not None)
    assert scored["llm_score_low"] <= scored["llm_score"] <= scored["llm_score_high"]
    assert scored["llm_added"] is not None
    unit = f"{scored['layer']}:{scored['index']}"
    shown = labelling(["show", unit, "--dir", str(labelling.folder / "a")])
    # A score just below 0 is shown as 0.00.
    score = f"{scored['llm_score']:.2f}".replace("-0.00", "0.00")
    assert f": {score} [" in shown.out
    assert "LLM  token_activation" in shown.out
    assert "rules  token_lookup" in shown.out


def test_a_run_tells_what_the_llm_is_asked_without(
    labelling: Labelling, endpoint: FakeEndpoint
) -> None:
    endpoint.dress = lambda body: status(403, "nicht erlaubt") if "seed" in body else None
    endpoint.handler = lambda _: '{"explanation": "no single pattern"}'
    ended = labelling(labelling.arguments("a", "--json", llm=endpoint.base_url))
    assert json.loads(ended.out)["asked_without"] == ["seed"]
    assert ended.err.count("the LLM was asked without: seed") == 1
    assert len(endpoint.probes) <= 10
    assert not any("seed" in body for body in endpoint.bodies)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_goes_on_and_pays_for_nothing_twice(
    labelling: Labelling, endpoint: FakeEndpoint, sign: signal.Signals
) -> None:
    guess, answered = noise(0), []

    def slowly(request: ChatRequest) -> str | ChatReply | Exception:
        time.sleep(0.1)
        answered.append(request)
        return guess(request)

    endpoint.handler = slowly
    arguments = labelling.arguments("a", "--explainer", "token_activation", llm=endpoint.base_url)
    held = HeldRequests(endpoint, hold_when=lambda: bool(labelling.labels("a")))
    running = labelling.spawn(arguments)
    wait_until(lambda: bool(labelling.labels("a")) or running.poll() is not None)
    running.send_signal(sign)
    _, printed = running.communicate(timeout=300)
    assert running.returncode == (130 if sign is signal.SIGINT else -sign)
    assert ("continue with --resume" in printed) == (sign is signal.SIGINT)
    kept = labelling.contents("a")
    assert 0 < len(kept) < 6

    held.release()
    endpoint.until_quiet()
    endpoint.handler = guess
    resumed = labelling([*arguments, "--resume"])
    assert resumed.code == 0, resumed.err
    assert {row: row.content for row in kept} == kept
    # Only what was on its way when the process died, eight at most, can be asked again.
    assert 0 <= len(endpoint.bodies) - distinct(endpoint) <= 8
    n_asked = len(endpoint.bodies)
    whole = labelling(
        labelling.arguments("whole", "--explainer", "token_activation", llm=endpoint.base_url)
    )
    assert whole.code == 0, whole.err
    assert len(endpoint.bodies) == n_asked
    assert labelling.tables("a") == labelling.tables("whole")


def test_a_second_process_on_the_same_folder_is_turned_away(
    labelling: Labelling, endpoint: FakeEndpoint
) -> None:
    endpoint.handler = lambda _: '{"explanation": "no single pattern"}'
    held = HeldRequests(endpoint, hold_when=lambda: True)
    arguments = labelling.arguments("a", llm=endpoint.base_url)
    first = labelling.spawn(arguments)
    written = labelling.folder / "a" / "job.json"
    wait_until(lambda: written.exists() or first.poll() is not None)
    second = labelling([*arguments, "--resume"])
    held.release()
    _, printed = first.communicate(timeout=300)
    assert first.returncode == 0, printed
    assert second.code == 2
    assert f"is being written by process {first.pid}; wait until it has finished" in second.err


def test_a_folder_of_another_run_and_a_finished_one_are_refused(
    labelling: Labelling, endpoint: FakeEndpoint
) -> None:
    assert labelling(labelling.arguments("a", llm="none")).code == 0
    before = labelling.tables("a")
    finished = labelling(labelling.arguments("a", llm="none"))
    assert finished.code == 2
    assert "holds 6 finished labels of this run; add --resume" in finished.err
    other = labelling(labelling.arguments("a", llm=endpoint.base_url))
    assert other.code == 2
    assert "holds another run: llm is 'none' there" in other.err
    assert labelling.tables("a") == before
    assert endpoint.bodies == []


def test_units_whose_requests_were_refused_are_tried_again_by_resume(
    labelling: Labelling, endpoint: FakeEndpoint
) -> None:
    endpoint.faults.extend(status(400, "content policy", code="content_filter") for _ in range(12))
    arguments = labelling.arguments("a", "--explainer", "token_activation", llm=endpoint.base_url)
    refused = labelling(arguments)
    assert refused.code == 1
    assert "content policy" in refused.err
    endpoint.faults.clear()
    again = labelling([*arguments, "--resume"])
    assert again.code == 0, again.err


@pytest.mark.parametrize("stage", ["explanations", "trials"])
def test_units_that_failed_on_unreadable_replies_are_asked_anew_by_resume(
    labelling: Labelling, endpoint: FakeEndpoint, stage: str
) -> None:
    guess = noise(0)

    def unreadable(request: ChatRequest) -> str | ChatReply | Exception:
        simulation = request.schema is not None and request.schema.name == "levels"
        return "no JSON" if simulation == (stage == "trials") else guess(request)

    endpoint.handler = unreadable
    arguments = labelling.arguments("a", "--explainer", "token_activation", llm=endpoint.base_url)
    failed = labelling(arguments)
    assert failed.code == 1
    assert "the reply is not JSON" in failed.err
    endpoint.handler = guess
    n_before = len(endpoint.bodies)
    again = labelling([*arguments, "--resume"])
    assert again.code == 0, again.err
    asked = [json.dumps(body) for body in endpoint.bodies[n_before:]]
    assert any('"levels"' not in body for body in asked) == (stage == "explanations")
    whole = labelling(
        labelling.arguments("whole", "--explainer", "token_activation", llm=endpoint.base_url)
    )
    assert whole.code == 0, whole.err
    assert labelling.tables("a") == labelling.tables("whole")
