from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Cli
from factories import make_label, make_unit

from autointerp.core.errors import (
    AutointerpError,
    InputError,
    RequestRefusedError,
    StorageError,
    UpstreamError,
)
from autointerp.core.explanations import LabelStatus
from autointerp.store.labels import FolderLabelStore

LABEL = ("label", "--units", "5:131", "--out", "made")


def test_a_job_that_ends_well_exits_with_0(cli: Cli) -> None:
    assert cli(*LABEL).code == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("no such thing"), 2),
        (UpstreamError("no such thing", retryable=True), 3),
        (RequestRefusedError("no such thing"), 3),
        (StorageError("no such thing"), 3),
    ],
)
def test_an_expected_error_is_one_sentence_and_a_code(
    cli: Cli, error: BaseException, code: int
) -> None:
    cli.runner.error = error
    ended = cli(*LABEL)
    assert ended.code == code
    assert ended.err.splitlines()[-1] == "error: no such thing"
    assert "Traceback" not in ended.err
    assert ended.out == ""


def test_a_message_with_markup_lines_and_escapes_stays_one_harmless_line(cli: Cli) -> None:
    cli.runner.error = InputError("token '[bold]'\n was \x1b[31m")
    ended = cli(*LABEL)
    assert ended.err.splitlines()[-1] == "error: token '[bold]' was \\x1b[31m"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("loading https://ada:zq%237@host:9/model", "loading https://***@host:9/model"),
        ("'ftp://ada:zq#7/x@host/t.jsonl' is none", "'ftp://***' is none"),
        ("'hf:https://ada:zq7-that-is-cut...' is none", "'hf:https://***' is none"),
        ("see https://a.org/b#c or http://[::1]:80/v1?a=b", None),
        ("write redis://USER:PASSWORD@HOST:PORT/0", None),
    ],
)
def test_no_address_that_was_given_for_something_shows_a_password(
    cli: Cli, said: str, shown: str | None
) -> None:
    cli.runner.error = InputError(said)
    assert cli(*LABEL).err.splitlines()[-1] == f"error: {shown or said}"


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), AutointerpError("by zero")])
def test_a_bug_says_how_to_report_it_and_hides_the_traceback(
    cli: Cli, error: BaseException
) -> None:
    cli.runner.error = error
    ended = cli(*LABEL)
    assert ended.code == 70
    assert f"error: {type(error).__name__}: by zero; this is a bug in autointerp" in ended.err
    assert "AUTOINTERP_DEBUG=1" in ended.err
    assert "Traceback" not in ended.err


def test_a_bug_shows_its_traceback_when_that_is_asked_for(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOINTERP_DEBUG", "1")
    cli.runner.error = ZeroDivisionError("by zero")
    ended = cli(*LABEL)
    assert ended.code == 70
    assert "Traceback (most recent call last)" in ended.err


def test_failed_units_are_listed_and_exit_with_1(cli: Cli) -> None:
    failed = make_label(make_unit(7), status=LabelStatus.FAILED, reason="the LLM said nothing")
    cli.runner.labels = (make_label(), failed)
    ended = cli(*LABEL)
    assert ended.code == 1
    assert "1 unit failed; --resume tries again:" in ended.err
    assert "tiny/blocks.5.mlp.hook_post/7 (positive): the LLM said nothing" in ended.err


def test_dead_units_are_no_failure(cli: Cli) -> None:
    cli.runner.labels = (make_label(status=LabelStatus.DEAD),)
    assert cli(*LABEL).code == 0


def test_an_interrupt_says_how_much_is_kept_and_how_to_go_on(cli: Cli) -> None:
    FolderLabelStore(Path("made")).put_label(make_label())
    cli.runner.error = KeyboardInterrupt()
    ended = cli(*LABEL)
    assert ended.code == 130
    expected = "interrupted; 1 label is kept in made; continue with --resume"
    assert ended.err.splitlines()[-1] == expected


def test_an_interrupt_before_anything_was_kept_says_none(cli: Cli) -> None:
    cli.runner.error = KeyboardInterrupt()
    ended = cli(*LABEL)
    assert ended.code == 130
    assert "0 labels are kept in made" in ended.err


@pytest.mark.parametrize("arguments", [("label", "--tokens", "many"), ("lable",), ("show",)])
def test_a_call_that_cannot_be_parsed_exits_with_2(cli: Cli, arguments: tuple[str, ...]) -> None:
    ended = cli(*arguments)
    assert ended.code == 2
    assert "Usage: autointerp" in ended.err


def test_the_version_is_printed(cli: Cli) -> None:
    ended = cli("--version")
    assert ended.code == 0
    assert ended.out == "autointerp 0.1.0\n"


def test_a_bad_setting_is_told_before_anything_runs(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOINTERP_LLM_RPM", "many")
    ended = cli(*LABEL)
    assert ended.code == 2
    assert ended.err == "error: AUTOINTERP_LLM_RPM cannot be used: it must be a whole number\n"
    assert cli.runner.jobs == []


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
    ids=["python", "torch", "system", "cuda"],
)
def test_memory_that_runs_out_is_no_bug(cli: Cli, error: Exception) -> None:
    cli.runner.error = error
    ended = cli("label", "--units", "5:0", "--llm", "none")
    assert ended.code == 3
    assert ended.err.rstrip().splitlines()[-1].startswith("error: memory ran out; what is finished")
    assert "bug" not in ended.err
