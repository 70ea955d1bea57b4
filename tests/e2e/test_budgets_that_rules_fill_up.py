"""A budget that does not reach all units: the LLM labels some first, rules label the others."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator

import pytest
from fake_endpoint import FakeEndpoint
from faulty import answering
from labelling import Labelling

from autointerp.core.explanations import Label
from autointerp.llm import ChatRequest
from autointerp.store.labels import FolderLabelStore

ALL = ("--units", "0:0-7,1:0-7", "--heldout", "8")
FEW = ("--units", "0:0-3", "--heldout", "8", "--budget-tokens", str(10**9))


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    with FakeEndpoint(answering(0)) as running:
        yield running


def tokens(endpoint: FakeEndpoint) -> int:
    return sum(prompt + completion for prompt, completion in endpoint.charged)


def labels(labelling: Labelling, out: str) -> list[Label]:
    return list(FolderLabelStore(labelling.folder / out).labels())


def by_llm(found: list[Label]) -> set[str]:
    return {str(one.unit) for one in found if one.provenance.explainer_model}


def n_paid_twice(endpoint: FakeEndpoint) -> int:
    return len(endpoint.bodies) - len({json.dumps(b, sort_keys=True) for b in endpoint.bodies})


@pytest.mark.parametrize("order", [(), ("--order", "asked"), ("--order", "random")])
def test_what_a_budget_does_not_reach_is_labelled_by_rules_until_a_larger_one_does(
    labelling: Labelling, endpoint: FakeEndpoint, order: tuple[str, ...]
) -> None:
    whole = labelling(labelling.arguments("whole", *ALL, llm=endpoint.base_url))
    assert whole.code == 0, whole.err
    budget = int(0.6 * tokens(endpoint))
    with FakeEndpoint(answering(0)) as fresh:
        arguments = labelling.arguments("a", *ALL, *order, llm=fresh.base_url)
        ended = labelling([*arguments, "--budget-tokens", str(budget)])
        assert ended.code == 1, ended.err
        assert tokens(fresh) <= budget
        found = labels(labelling, "a")
        active = [one for one in found if one.status != "dead"]
        assert len(found) == 16
        assert 0 < len(by_llm(found)) < len(active)
        n_left = len(active) - len(by_llm(found))
        said = re.search(r"(\d+) units? (?:is|are) labelled by rules: of", ended.err)
        assert said is not None, ended.err
        assert int(said[1]) == n_left
        assert all(one.explanation is not None for one in active if one.rules is not None)

        again = labelling([*arguments, "--resume", "--json", "--budget-tokens", str(10**9)])
        assert again.code == 0, again.err
        assert f"{n_left} to label: " in again.err
        assert n_paid_twice(fresh) == 0
        assert json.loads(again.out)["n_by_rules"] == 0
    assert by_llm(labels(labelling, "a")) >= {str(one.unit) for one in active}


def test_units_that_are_named_first_come_first_where_that_is_asked(
    labelling: Labelling, endpoint: FakeEndpoint
) -> None:
    arguments = labelling.arguments("a", *ALL, "--order", "asked", llm=endpoint.base_url)
    ended = labelling([*arguments, "--budget-tokens", "50000"])
    assert ended.code == 1, ended.err
    active = [str(one.unit) for one in labels(labelling, "a") if one.status != "dead"]
    done = by_llm(labels(labelling, "a"))
    assert done
    assert done == set(active[: len(done)])
    n = re.search(r"should be enough for the LLM's labels of about (\d+) of", ended.err)
    assert n is not None, ended.err
    assert int(n[1]) > 1


def test_an_order_without_a_budget_or_of_another_name_is_refused(labelling: Labelling) -> None:
    arguments = labelling.arguments("a", *ALL, llm="http://127.0.0.1:9/v1")
    alone = labelling([*arguments, "--order", "random"])
    assert alone.code == 2
    assert "--order says which units an LLM labels before a budget ends" in alone.err
    other = labelling([*arguments, "--order", "best", "--budget-usd", "1"])
    assert other.code == 2
    assert "--order must be lookup, asked or random, found 'best'" in other.err


def silent_about(is_silent: Callable[[str], bool]) -> Callable[[ChatRequest], str]:
    """Explains each unit in the same words each time, and says nothing about some of these."""
    answers = answering(0)

    def handler(request: ChatRequest) -> str:
        question = request.messages[-1].content
        if "Neuron:" in question:
            words = question.split("words such as")[1].split()[0]
            return "nothing" if is_silent(words) else answers(request)
        return json.dumps({"explanation": f"words such as {_digest(question)[:6]}"})

    return handler


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_what_could_not_be_scored_is_asked_again_also_where_rules_stand_in(
    labelling: Labelling,
) -> None:
    with FakeEndpoint(silent_about(lambda _: True)) as endpoint:
        arguments = labelling.arguments("a", *FEW, llm=endpoint.base_url)
        assert labelling(arguments).code == 1
        assert not by_llm(labels(labelling, "a"))
        endpoint.handler = silent_about(lambda _: False)
        again = labelling([*arguments, "--resume"])
    assert again.code == 0, again.err
    assert by_llm(labels(labelling, "a"))


def test_a_side_that_keeps_its_rules_is_scored_once_with_the_other(labelling: Labelling) -> None:
    def is_silent(words: str) -> bool:
        return int(_digest(words), 16) % 2 == 0

    with FakeEndpoint(silent_about(is_silent)) as endpoint:
        arguments = labelling.arguments("a", *FEW, "--sides", "both", llm=endpoint.base_url)
        assert labelling(arguments).code == 1
    found = labels(labelling, "a")
    assert by_llm(found)
    names = [[s.name for r in one.results for s in r.scores] for one in found]
    assert max(each.count("both_sides") for each in names) == 1


def test_a_large_collection_goes_when_a_run_that_its_budget_stopped_is_finished(
    labelling: Labelling, endpoint: FakeEndpoint
) -> None:
    arguments = labelling.arguments("a", *FEW[:4], llm=endpoint.base_url)
    assert labelling([*arguments, "--budget-tokens", "5000"]).code == 1
    summary = labelling.folder / "a" / "summary"
    with (summary / "large").open("wb") as file:
        file.truncate(20 * 2**20)
    assert labelling([*arguments, "--resume", "--budget-tokens", "5001"]).code == 1
    assert summary.exists()
    assert labelling([*arguments, "--resume"]).code == 0
    assert not summary.exists()
