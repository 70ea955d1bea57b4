from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Cli

from autointerp.cli.command_options import CollectOptions
from autointerp.cli.job_options import collect_job_of
from autointerp.core.config import CollectJob


def test_without_options_a_collection_has_its_defaults() -> None:
    assert collect_job_of(CollectOptions(units="all")) == CollectJob(units="all")


def test_every_option_arrives_in_the_collection() -> None:
    options = CollectOptions(
        subject="tiny",
        units="layer:5",
        corpus="python",
        tokens=4096,
        n_ctx=32,
        dtype="bfloat16",
        seed=7,
        top_k=3,
        batch_windows=16,
        shard="2/3",
    )
    expected = {
        "subject": "tiny",
        "units": "layer:5",
        "dtype": "bfloat16",
        "corpus": {"corpus": "python", "n_tokens": 4096, "n_ctx": 32, "seed": 7},
        "collect": {"seed": 7, "top_k": 3, "batch_windows": 16},
        "seed": 7,
        "shard": (2, 3),
    }
    assert collect_job_of(options) == CollectJob.model_validate(expected)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--shard", "2"), "--shard '2' cannot be used: write I/N, for example 2/8"),
        (("--shard", "a/b"), "--shard 'a/b' cannot be used: write I/N, for example 2/8"),
        (("--shard", "1/2/3"), "--shard '1/2/3' cannot be used: write I/N"),
        (("--shard", "0/3"), "cannot be used: shards are numbered from 1/3 on"),
        (("--shard", "4/3"), "cannot be used: shards are numbered from 1/3 on"),
        (("--shard", "1/0"), "cannot be used: shards are numbered from 1/1 on"),
        (("--tokens", "0"), "--tokens 0 cannot be used: input should be greater"),
        (("--top-k", "0"), "--top-k 0 cannot be used: input should be greater"),
        (("--batch-windows", "5000"), "--batch-windows 5000 cannot be used: input should be less"),
        (("--dtype", "int8"), "--dtype 'int8' cannot be used: input should be"),
        (("--seed", "-1"), "--seed -1 cannot be used: input should be greater"),
    ],
)
def test_a_value_that_cannot_be_is_named_by_its_option(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    ended = cli("collect", "--units", "5:1", "--out", str(tmp_path / "made"), *arguments)
    assert ended.code == 2
    assert ended.err.startswith("error: --")
    assert sentence in ended.err
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (("collect", "tiny", "--out", "x"), "--units"),
        (("collect", "tiny", "--units", "all"), "--out"),
        (("merge", "--out", "x"), "DIR"),
        (("merge", "a"), "--out"),
    ],
)
def test_what_must_be_given_is_named(cli: Cli, arguments: tuple[str, ...], missing: str) -> None:
    ended = cli(*arguments)
    assert ended.code == 2
    assert missing in ended.err


def test_folders_without_a_summary_are_told(cli: Cli, tmp_path: Path) -> None:
    ended = cli("merge", str(tmp_path), "--out", str(tmp_path / "out"))
    assert ended.code == 2
    assert f"there is no summary at {tmp_path / 'summary.safetensors'}" in ended.err
    assert not (tmp_path / "out").exists()
