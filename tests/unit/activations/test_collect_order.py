from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import tiny_corpus

from autointerp.activations import (
    CollectPlan,
    Summary,
    collect,
    load_summary,
    merge_summaries,
    save_summary,
)
from autointerp.activations.collection import canonical_batches
from autointerp.core.errors import InputError
from autointerp.core.text import Split
from autointerp.subjects import SubjectModel

HOOK = "blocks.1.mlp.hook_post"


def bits(summary: Summary) -> dict[str, bytes]:
    """Every tensor and count, byte for byte."""
    found: dict[str, bytes] = {}
    for (hook, split), part in summary.hooks.items():
        for name, tensor in part.state.tensors().items():
            found[f"{hook}/{split}/{name}"] = tensor.contiguous().numpy().tobytes()
        found[f"{hook}/{split}/n"] = f"{part.n_tokens} {part.n_windows}".encode()
        found[f"{hook}/{split}/shared"] = part.shared_windows.tobytes()
    for hook, table in summary.tables.items():
        for name, array in table.arrays().items():
            found[f"{hook}/table/{name}"] = array.tobytes()
    return found


def different(a: Summary, b: Summary) -> list[str]:
    """Names of what differs in any bit."""
    left, right = bits(a), bits(b)
    return [name for name in left.keys() | right.keys() if left.get(name) != right.get(name)]


def shards_of(collected: Any, n: int) -> list[Summary]:
    return [collected.again(CollectPlan(token_means=True, shard=(i, n))) for i in range(1, n + 1)]


@pytest.fixture(scope="module")
def shards(collected: Any) -> list[Summary]:
    return shards_of(collected, 4)


def test_a_summary_holds_what_can_differ(collected: Any) -> None:
    other = collected.again(CollectPlan(token_means=True), seed=1)
    assert any(name.endswith("/sample") for name in different(collected.summary, other))
    assert different(collected.summary, collected.again()) == []


@given(order=st.permutations(range(4)), cut=st.integers(1, 3))
@settings(
    max_examples=24, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_shards_merged_in_any_order_and_grouping_are_one_pass_to_the_bit(
    collected: Any, shards: list[Summary], order: list[int], cut: int
) -> None:
    given_order = [shards[i] for i in order]
    grouped = [merge_summaries(given_order[:cut]), merge_summaries(given_order[cut:])]
    for merged in (merge_summaries(given_order), merge_summaries(grouped)):
        assert different(merged, collected.summary) == []
        assert merged.batches == collected.summary.batches


def test_one_batch_a_shard_merged_backwards_is_one_pass_to_the_bit(collected: Any) -> None:
    n = len(canonical_batches(collected.corpus, collected.config.batch_windows))
    merged = merge_summaries(shards_of(collected, n)[::-1])
    assert different(merged, collected.summary) == []
    assert different(merge_summaries([collected.summary]), collected.summary) == []


def test_a_merged_summary_says_which_shards_are_in_it_until_all_are(
    collected: Any, shards: list[Summary]
) -> None:
    part = merge_summaries(shards[1:3])
    assert part.shards == {(2, 4), (3, 4)}
    assert (part.whole, part.n_batches) == (False, collected.summary.n_batches)
    whole = merge_summaries([part, shards[0], shards[3]])
    assert (whole.whole, whole.shards) == (True, {(1, 1)})


def test_the_number_of_all_batches_is_taken_from_the_summary_that_knows_it(
    shards: list[Summary],
) -> None:
    unknown = [replace(shard, n_batches={}) for shard in shards]
    assert not unknown[0].whole
    assert not replace(unknown[0], batches=frozenset()).whole
    assert merge_summaries([unknown[0], *shards[1:]]).whole
    assert not merge_summaries(unknown).whole


def test_merging_changes_none_of_its_parts(shards: list[Summary]) -> None:
    before = [bits(shard) for shard in shards]
    merge_summaries(shards)
    assert [bits(shard) for shard in shards] == before


def test_a_shard_without_batches_changes_nothing(collected: Any) -> None:
    n = len(canonical_batches(collected.corpus, collected.config.batch_windows)) + 3
    empty = collected.again(CollectPlan(token_means=True, shard=(n, n)))
    assert empty.batches == frozenset()
    for pair in ([empty, collected.summary], [collected.summary, empty]):
        assert different(merge_summaries(pair), collected.summary) == []


def test_canonical_batches_hold_every_window_once_and_one_split_each(collected: Any) -> None:
    batches = canonical_batches(collected.corpus, 7)
    assert [w for _, _, ids in batches for w in ids] == list(range(len(collected.corpus)))
    for split, _, ids in batches:
        assert {collected.corpus.split_of(w) for w in ids} == {split}
        assert 1 <= len(ids) <= 7


def test_nothing_and_the_same_text_twice_cannot_be_merged(
    collected: Any, shards: list[Summary]
) -> None:
    with pytest.raises(InputError, match="nothing to merge: no summary was given"):
        merge_summaries([])
    with pytest.raises(InputError, match="batch 0 of the explain split is in both summaries"):
        merge_summaries([collected.summary, shards[0]])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("subject", "other", "subject: tiny and other"),
        ("revision", "ffff", "revision: .* and ffff"),
        ("dtype", "bfloat16", "dtype: float32 and bfloat16"),
        ("corpus_hash", "abc", "corpus_hash: .* and abc"),
        ("units", (), "units: differ"),
        ("token_means", False, "token_means: True and False"),
    ],
)
def test_summaries_of_different_runs_are_not_merged(
    shards: list[Summary], field: str, value: object, message: str
) -> None:
    other = replace(shards[1], identity=replace(shards[1].identity, **{field: value}))
    with pytest.raises(InputError, match=f"cannot be merged, they differ in {message}"):
        merge_summaries([shards[0], other])


class StopAfterError(Exception):
    """Stands for a killed process."""


class StopAfter:
    """A listener that ends the run after so many batches."""

    def __init__(self, n_batches: int) -> None:
        self.left = n_batches
        self.amounts: list[int] = []

    def start(self, stage: str, total: int, unit: str) -> None:
        self.total = total

    def advance(self, stage: str, amount: int) -> None:
        self.amounts.append(amount)
        if len(self.amounts) > self.left:
            raise StopAfterError

    def note(self, message: str) -> None:
        raise AssertionError(message)


def run_until(collected: Any, plan: CollectPlan, n_batches: int) -> StopAfter:
    listener = StopAfter(n_batches)
    with pytest.raises(StopAfterError):
        collect(
            collected.subject,
            collected.corpus,
            units=collected.units,
            config=collected.config,
            plan=plan,
            progress=listener,
        )
    return listener


def test_a_run_killed_twice_and_continued_is_one_pass_to_the_bit(
    collected: Any, tmp_path: Path
) -> None:
    path = tmp_path / "run" / "checkpoint.safetensors"
    plan = CollectPlan(token_means=True, checkpoint=path, checkpoint_every_s=0.0)
    run_until(collected, plan, 3)
    first = load_summary(path)
    assert 0 < len(first.batches) < len(collected.summary.batches)
    listener = run_until(collected, plan, 10)
    assert listener.amounts[0] == sum(first.split(HOOK, split).n_tokens for split in Split)
    assert len(load_summary(path).batches) > len(first.batches)
    continued = collected.again(plan)
    assert different(continued, collected.summary) == []
    assert different(load_summary(path), collected.summary) == []
    assert not list(path.parent.glob("*.tmp"))


def test_a_finished_checkpoint_is_taken_as_it_is(collected: Any, tmp_path: Path) -> None:
    path = tmp_path / "done.safetensors"
    save_summary(collected.summary, path)
    listener = StopAfter(1)
    plan = CollectPlan(token_means=True, checkpoint=path)
    found = collect(
        collected.subject,
        collected.corpus,
        units=collected.units,
        config=collected.config,
        plan=plan,
        progress=listener,
    )
    assert different(found, collected.summary) == []
    assert listener.amounts == [listener.total] == [collected.corpus.n_tokens]


def test_a_checkpoint_of_another_run_is_refused(collected: Any, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_summary(collected.summary, path)
    plan = CollectPlan(token_means=True, checkpoint=path)
    with pytest.raises(InputError, match="with other settings .*seed: 0 and 7.*remove it"):
        collected.again(plan, seed=7)
    with pytest.raises(InputError, match="token_means: True and False"):
        collected.again(replace(plan, token_means=False))
    with pytest.raises(InputError, match="it holds batches of another shard"):
        collected.again(replace(plan, shard=(1, 2)))
    assert different(load_summary(path), collected.summary) == []


@pytest.mark.parametrize("shard", [(0, 2), (3, 2), (1, 0), (-1, 4)])
def test_a_shard_that_does_not_exist_is_refused(collected: Any, shard: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=f"shard {shard[0]}/{shard[1]} does not exist"):
        collected.again(CollectPlan(shard=shard))


def test_the_size_of_a_summary_does_not_depend_on_the_number_of_tokens(
    collected: Any, tmp_path: Path
) -> None:
    def n_bytes(n_tokens: int) -> int:
        folder = tmp_path / str(n_tokens)
        folder.mkdir()
        corpus = tiny_corpus(folder, collected.subject, n_tokens=n_tokens)
        plan = CollectPlan(token_means=True)
        summary = collect(
            collected.subject, corpus, units=collected.units, config=collected.config, plan=plan
        )
        parts = summary.hooks.values()
        return sum(t.nbytes for part in parts for t in part.state.tensors().values())

    assert n_bytes(2400) == n_bytes(9600)


def test_both_zeros_count_as_one_whatever_the_order(collected: Any) -> None:
    parts = [part.state for part in collected.summary.hooks.values()]
    for state in parts:
        for values in (state.minimum, state.maximum, state.shared_peaks):
            assert not (torch.signbit(values) & (values == 0)).any()


def test_the_token_table_merges_in_any_order_to_the_bit(shards: list[Summary]) -> None:
    tables = [shard.tables[HOOK] for shard in shards]
    forward = tables[0].merged(tables[1]).merged(tables[2])
    backward = tables[2].merged(tables[1]).merged(tables[0])
    for name, array in forward.arrays().items():
        np.testing.assert_array_equal(array, backward.arrays()[name])


def test_what_was_collected_elsewhere_is_not_read_again_and_is_kept(
    collected: Any, tmp_path: Path
) -> None:
    class Unread:
        """The subject, with no way to run text through it."""

        def __getattr__(self, name: str) -> object:
            assert name != "read", "a text was run through the model"
            return getattr(collected.subject, name)

    plan = CollectPlan(token_means=True, checkpoint=tmp_path / "kept", before=collected.summary)
    collect(
        cast(SubjectModel, Unread()),
        collected.corpus,
        units=collected.units,
        config=collected.config,
        plan=plan,
    )
    save_summary(collected.summary, tmp_path / "first")
    assert (tmp_path / "kept").read_bytes() == (tmp_path / "first").read_bytes()
    with pytest.raises(InputError, match=r"this was collected with other settings \(config.top_k"):
        collected.again(plan, top_k=3)
