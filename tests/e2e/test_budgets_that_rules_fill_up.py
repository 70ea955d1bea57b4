"""A budget that does not reach all units: the LLM labels some first, rules label the others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from fake_endpoint import FakeEndpoint
from faulty import answering
from labelling import Labelling

from autointerp.core.explanations import Label
from autointerp.store.labels import FolderLabelStore

ALL = ("--units", "0:0-7,1:0-7", "--heldout", "8")


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
