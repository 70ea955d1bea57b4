"""``label --collected``: labels from shards that were collected and merged before."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from fake_endpoint import FakeEndpoint
from held_requests import HeldRequests
from labelling import Labelling, wait_until

import autointerp as ai
from autointerp.core.config import CollectConfig

UNITS = "0:0-15,1:0-15"
"""More than are labelled."""


def collect(labelling: Labelling, out: str, *more: str) -> None:
    given = {"--units": UNITS, "--corpus": str(labelling.texts), "--tokens": "2500"}
    options = [part for pair in (given | {"--n-ctx": "16"}).items() for part in pair]
    folder = str(labelling.folder / out)
    ended = labelling(["collect", str(labelling.model), *options, "--out", folder, *more])
    assert ended.code == 0, ended.err


@pytest.fixture
def merged(labelling: Labelling) -> tuple[str, str]:
    """The option that names a merged collection."""
    for number in "12":
        collect(labelling, number, "--shard", f"{number}/2")
    folders = [str(labelling.folder / number) for number in "21"]
    out = str(labelling.folder / "merged")
    assert labelling(["merge", *folders, "--out", out]).code == 0
    return "--collected", out


def summary(labelling: Labelling, out: str) -> bytes:
    return (labelling.folder / out / "summary" / "summary.safetensors").read_bytes()


def test_labels_of_a_merged_collection_are_those_of_a_run_that_collects_itself(
    labelling: Labelling, endpoint: FakeEndpoint, merged: tuple[str, str]
) -> None:
    options = ("--explainer", "token_activation", "--explainer", "token_lookup")
    itself = labelling(labelling.arguments("itself", *options, llm=endpoint.base_url))
    assert itself.code == 0, itself.err
    n_asked = len(endpoint.bodies)
    ended = labelling(labelling.arguments("a", *options, *merged, llm=endpoint.base_url))
    assert ended.code == 0, ended.err
    assert labelling.tables("a") == labelling.tables("itself")
    assert summary(labelling, "a") == summary(labelling, "itself")
    assert len(endpoint.bodies) == n_asked, "every reply was in the cache"


def test_a_run_of_a_collection_goes_on_after_an_interruption_with_it_or_without(
    labelling: Labelling, endpoint: FakeEndpoint, merged: tuple[str, str]
) -> None:
    options = ("--explainer", "token_activation")
    arguments = labelling.arguments("a", *options, llm=endpoint.base_url)
    held = HeldRequests(endpoint, hold_when=lambda: bool(labelling.labels("a")))
    running = labelling.spawn([*arguments, *merged])
    wait_until(lambda: bool(labelling.labels("a")) or running.poll() is not None)
    running.send_signal(signal.SIGINT)
    _, printed = running.communicate(timeout=300)
    assert running.returncode == 130, printed
    held.release()
    endpoint.until_quiet()
    again = labelling([*arguments, "--resume", *merged])
    assert again.code == 0, again.err
    assert labelling([*arguments, "--resume"]).code == 0
    whole = labelling.arguments("whole", *options, llm=endpoint.base_url)
    assert labelling(whole).code == 0
    assert labelling.tables("a") == labelling.tables("whole")


def test_the_collection_of_a_run_serves_another_one(labelling: Labelling) -> None:
    assert labelling(labelling.arguments("a", llm="none")).code == 0
    run = ("--collected", str(labelling.folder / "a"), "--units", "1:1", "--heldout", "9")
    assert labelling(labelling.arguments("b", *run, llm="none")).code == 0
    itself = labelling.arguments("c", "--units", "1:1", "--heldout", "9", llm="none")
    assert labelling(itself).code == 0
    assert labelling.tables("b") == labelling.tables("c")


def test_a_finished_run_without_its_collection_is_resumed_without_another(
    labelling: Labelling,
) -> None:
    arguments = labelling.arguments("a", llm="none")
    assert labelling(arguments).code == 0
    before = labelling.tables("a")
    shutil.rmtree(labelling.folder / "a" / "summary")
    again = labelling([*arguments, "--resume"])
    assert again.code == 0, again.err
    assert "collect" not in again.err
    assert labelling.tables("a") == before
    assert not (labelling.folder / "a" / "summary").exists()


def test_python_takes_a_collection_too(labelling: Labelling) -> None:
    collect(labelling, "c", "--top-k", "5", "--seed", "3")
    subject = ai.load_subject(str(labelling.model))
    corpus = ai.load_corpus(str(labelling.texts), subject, n_tokens=2500, n_ctx=16, seed=3)
    asked = {"units": "0:0-2", "corpus": corpus, "llm": "none", "seed": 3}
    config = CollectConfig(top_k=5, seed=3)
    itself = ai.label(subject, **asked, collect=config)
    assert ai.label(subject, **asked, collect=config, collected=labelling.folder / "c") == itself
    with pytest.raises(ai.InputError, match="does not fit: --top-k is 5 there and 20 here; give"):
        ai.label(subject, **asked, collected=labelling.folder / "c")


def test_what_does_not_fit_is_named_in_one_sentence(
    labelling: Labelling, merged: tuple[str, str], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(labelling.texts, other)
    for options, message in {
        ("--seed", "1"): "--seed is 0 there and 1 here; give the options that collect had",
        ("--tokens", "2700"): "the tokens of text (--tokens) are 2,5",
        ("--n-ctx", "12"): "fit: --n-ctx is 16 there and 12 here; give",
        ("--dtype", "bfloat16"): "fit: --dtype is float32 there and bfloat16 here; give",
        ("--top-k", "9", "--seed", "1"): "--seed is 0 there and 1 here; --top-k is 20 there and 9",
        ("--corpus", str(other)): f"fit: --corpus is {labelling.texts} there and {other} here;",
        ("--units", "0:0-16"): "has 16 units of blocks.0.mlp.hook_post from 0 to 15, but not unit",
        ("--units", "blocks.0.mlp.hook_pre:1"): "has no blocks.0.mlp.hook_pre; it has blocks.0.",
    }.items():
        ended = labelling(labelling.arguments("a", *merged, *options, llm="none"))
        assert ended.code == 2
        assert message in ended.err
        assert not labelling.labels("a")


def test_a_collection_that_is_none_not_finished_or_without_token_tables_is_told(
    labelling: Labelling,
) -> None:
    collect(labelling, "half", "--shard", "1/2")
    collect(labelling, "plain", "--no-token-tables")
    (labelling.folder / "empty").mkdir()
    for name, message in {
        "half": "batches of its text; continue it with `autointerp collect ... --resume`, or merge",
        "plain": "token tables (collect --token-tables) were not kept there and are kept here",
        "empty": "holds no collection; name the folder that `autointerp collect` or `autointerp",
        "nowhere": "holds no collection; name the folder",
    }.items():
        folder = str(labelling.folder / name)
        ended = labelling(labelling.arguments("a", "--collected", folder, llm="none"))
        assert ended.code == 2
        assert message in ended.err
        assert name in ended.err
