"""``autointerp collect`` and ``merge``: shards of any processes give the bytes of one pass."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace

import pytest
from labelling import Ended, Labelling
from loaded_python import start_loaded

from autointerp.activations import load_summary, open_summary, save_summary
from autointerp.core.text import Split

FILE = "summary.safetensors"
SLOWLY = ("--batch-windows", "1")


def arguments(labelling: Labelling, out: str, *more: str) -> list[str]:
    """Arguments of ``autointerp``; a later option replaces an earlier one."""
    options = {
        "--units": "0:0-3,1:0-1",
        "--corpus": str(labelling.texts),
        "--tokens": "2500",
        "--n-ctx": "16",
        "--batch-windows": "8",
        "--top-k": "4",
        "--out": str(labelling.folder / out),
    }
    return ["collect", str(labelling.model), *(x for o in options.items() for x in o), *more]


def content(labelling: Labelling, out: str) -> bytes:
    return (labelling.folder / out / FILE).read_bytes()


def merged(labelling: Labelling, *folders: str, out: str = "merged", more: str = "--json") -> Ended:
    paths = [str(labelling.folder / name) for name in folders]
    return labelling(["merge", *paths, "--out", str(labelling.folder / out), more])


@pytest.fixture
def shards(labelling: Labelling) -> Labelling:
    """Three shards in folders 1, 2 and 3."""
    for number in "123":
        ended = labelling(arguments(labelling, number, "--shard", f"{number}/3"))
        assert ended.code == 0, ended.err
    return labelling


def test_shards_of_three_processes_merged_in_another_order_are_one_pass(
    labelling: Labelling,
) -> None:
    running = [
        labelling.spawn(arguments(labelling, n, "--shard", f"{n}/3", "--json")) for n in "123"
    ]
    for process in running:
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
    assert labelling(arguments(labelling, "whole")).code == 0
    said = json.loads(merged(labelling, "3", "1", "2").out)
    assert (said["whole"], said["shards"], said["n_units"]) == (True, ["1/1"], 6)
    assert content(labelling, "merged") == content(labelling, "whole")
    assert merged(labelling, "2", "1", out="two", more="--partial").code == 0
    assert merged(labelling, "3", "two", out="again").code == 0
    assert content(labelling, "again") == content(labelling, "whole")


def test_a_collection_says_what_it_did(labelling: Labelling) -> None:
    ended = labelling(arguments(labelling, "a", "--shard", "1/2", "--json"))
    said = json.loads(ended.out)
    assert said["path"] == str(labelling.folder / "a" / FILE)
    assert (said["n_units"], said["n_hooks"], said["shards"]) == (6, 2, ["1/2"])
    assert 0 < said["n_tokens"] == said["n_new_tokens"] < 2500
    assert said["memory"]["total"] > said["memory"]["state"] > 0
    assert said["n_bytes"] == len(content(labelling, "a"))
    assert "collect: " in ended.err
    assert "memory: " in ended.err


def test_people_are_told_the_same_in_lines(labelling: Labelling) -> None:
    out = labelling(arguments(labelling, "a", "--shard", "1/2")).out
    assert "6 units of 2 hook points over 1," in out
    assert "(shard 1/2 alone)" in out
    assert " tokens/s\nmemory: " in out
    assert f"summary: {labelling.folder / 'a' / FILE} (" in out


def test_a_shard_missing_is_named_and_allowed_where_asked_for(shards: Labelling) -> None:
    ended = merged(shards, "3", "1")
    assert ended.code == 2
    assert "batches, shard 2/3 is missing; name its folder too, or add --partial" in ended.err
    assert not (shards.folder / "merged").exists()
    ended = merged(shards, "3", "1", more="--partial")
    assert ended.code == 0
    assert "(shard 1/3, 3/3 alone)" in ended.out


def test_a_shard_twice_is_refused(shards: Labelling) -> None:
    folder = shards.folder
    ended = merged(shards, "1", "2", "3", "2")
    assert ended.code == 2
    assert f"{folder / '2'} was given twice; merge each shard once" in ended.err
    shutil.copytree(folder / "2", folder / "copy")
    ended = merged(shards, "1", "2", "copy", "3")
    assert ended.code == 2
    assert f"{folder / '2'} and {folder / 'copy'} both hold batch" in ended.err
    assert "of the explain split; merge each shard once" in ended.err


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (("--seed", "1"), "they differ in corpus_hash: "),
        (("--tokens", "2400"), "corpus_hash: "),
        (("--units", "0:0-2"), "units: differ"),
        (("--dtype", "bfloat16"), "dtype: float32 and bfloat16"),
        (("--top-k", "5"), "they differ in config.top_k: 4 and 5"),
    ],
)
def test_shards_of_other_collections_are_refused_by_what_differs(
    labelling: Labelling, changed: tuple[str, str], message: str
) -> None:
    assert labelling(arguments(labelling, "1", "--shard", "1/2")).code == 0
    assert labelling(arguments(labelling, "2", "--shard", "2/2", *changed)).code == 0
    ended = merged(labelling, "1", "2")
    assert ended.code == 2
    folder = labelling.folder
    assert f"{folder / '1'} and {folder / '2'} cannot be merged, they differ in" in ended.err
    assert message in ended.err


def test_shards_of_another_subject_or_program_are_refused(shards: Labelling) -> None:
    path = shards.folder / "3" / FILE
    shard = load_summary(path)
    for name, other in (("subject", "other"), ("revision", "0" * 16), ("package_version", "9.9")):
        save_summary(replace(shard, identity=replace(shard.identity, **{name: other})), path)
        ended = merged(shards, "1", "2", "3")
        assert ended.code == 2
        assert f"they differ in {name}: " in ended.err
        assert f" and {other}" in ended.err


def test_what_is_no_shard_is_told(shards: Labelling) -> None:
    path = shards.folder / "3" / FILE
    path.write_bytes(path.read_bytes()[:-9])
    ended = merged(shards, "1", "2", "3")
    assert ended.code == 2
    assert f"{path} is not a complete summary (" in ended.err


def test_a_merge_never_replaces_a_summary(shards: Labelling) -> None:
    before = content(shards, "1")
    ended = merged(shards, "1", "2", "3", out="1")
    assert ended.code == 2
    assert f"{shards.folder / '1'} holds a summary already; choose another --out" in ended.err
    assert content(shards, "1") == before
    ended = merged(shards, "1", "2", "3", out=f"1/{FILE}")
    assert ended.code == 2
    assert "is a file, not a folder; choose another --out" in ended.err


def test_a_finished_collection_is_continued_only_when_told(labelling: Labelling) -> None:
    assert labelling(arguments(labelling, "a")).code == 0
    before = content(labelling, "a")
    ended = labelling(arguments(labelling, "a"))
    assert ended.code == 2
    assert "holds a collection of 2,5" in ended.err
    assert "add --resume to continue it or choose another --out" in ended.err
    said = json.loads(labelling(arguments(labelling, "a", "--resume", "--json")).out)
    assert said["n_new_tokens"] == 0
    assert content(labelling, "a") == before
    ended = labelling(arguments(labelling, "a", "--resume", "--top-k", "9"))
    assert ended.code == 2
    assert "was collected with other settings (config.top_k: 4 and 9)" in ended.err
    assert content(labelling, "a") == before


def test_an_interrupted_collection_is_continued_to_the_same_bytes(labelling: Labelling) -> None:
    with labelling.spawn(arguments(labelling, "a", *SLOWLY)) as process:
        assert process.stderr is not None
        assert any("memory: " in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        said = " ".join(process.stderr.read().split())
    assert process.returncode == 130
    assert "interrupted; what was last saved in" in said
    assert "continue with --resume" in said
    assert labelling(arguments(labelling, "a", *SLOWLY, "--resume")).code == 0
    assert labelling(arguments(labelling, "whole", *SLOWLY)).code == 0
    assert content(labelling, "a") == content(labelling, "whole")


_SIGNALS_ITSELF = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from autointerp.cli import run
saved, how = sys.argv[1], int(sys.argv[2])

def watch():
    while not os.path.exists(saved):
        time.sleep(0.002)
    os.kill(os.getpid(), how)

threading.Thread(target=watch, daemon=True).start()
sys.exit(run(sys.argv[3:]))
"""
"""Sent by another process, a signal may come after the end where that process stands still."""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_collection_stopped_after_a_save_goes_on_from_there(
    labelling: Labelling, how: signal.Signals
) -> None:
    saved = labelling.folder / "a" / FILE
    collecting = arguments(labelling, "a", *SLOWLY, "--save-every", "0")
    ended = start_loaded(
        _SIGNALS_ITSELF, (str(saved), str(int(how)), *collecting), environment=os.environ
    )
    _, err = ended.communicate(timeout=600)
    assert ended.returncode == (130 if how is signal.SIGINT else -signal.SIGKILL), err
    n_before = sum(open_summary(saved).n_tokens(split) for split in Split)
    said = json.loads(labelling(arguments(labelling, "a", *SLOWLY, "--resume", "--json")).out)
    assert 0 < n_before == said["n_tokens"] - said["n_new_tokens"]
    assert said["n_new_tokens"] > 0
    assert labelling(arguments(labelling, "whole", *SLOWLY)).code == 0
    assert content(labelling, "a") == content(labelling, "whole")


def test_an_unfinished_shard_is_not_merged(shards: Labelling) -> None:
    path = shards.folder / "2" / FILE
    shard = load_summary(path)
    for unfinished in (
        replace(shard, n_batches={}, shards=frozenset()),
        replace(shard, batches=frozenset(sorted(shard.batches)[1:])),
    ):
        save_summary(unfinished, path)
        ended = merged(shards, "1", "2", "3")
        assert ended.code == 2
        assert f"{shards.folder / '2'} is not finished; continue it with" in ended.err


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--units", "7:0", "has layers 0 to"),
        ("--units", "five", "is not of the form"),
        ("--corpus", "wikki", "wiki"),
        ("--tokens", "99999999", "lower n_tokens or use a larger corpus"),
        ("--n-ctx", "4000", "lower n_ctx"),
    ],
)
def test_input_that_cannot_be_is_told_with_exit_code_2(
    labelling: Labelling, option: str, value: str, message: str
) -> None:
    ended = labelling(arguments(labelling, "a", option, value))
    assert ended.code == 2, ended.err
    assert message in ended.err
    assert not (labelling.folder / "a" / FILE).exists()
