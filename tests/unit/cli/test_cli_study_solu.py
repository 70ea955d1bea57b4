"""What the command of a blinded study refuses before anything is read, and how it goes on."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import typer
from command_line import Cli

from autointerp.cli.study_output import resumable
from autointerp.core.blind_study import checked_person
from autointerp.core.errors import InputError
from autointerp.serving.judging_server import judge_on_a_page
from autointerp.wiring.blind_folder import BlindFolder


@pytest.mark.parametrize("name", ["rules", " Rules ", "LLM fake", "llm x"])
def test_a_person_cannot_judge_under_the_name_of_another_kind_of_judge(
    cli: Cli, tmp_path: Path, name: str
) -> None:
    words = ("a", "b", "--judge", "person", "--name", name, "--out", str(tmp_path / "out"))
    ended = cli("study", "solu", *words)
    assert ended.code == 2
    assert "means another judge; give a person's name" in ended.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["", "  ", "a" * 61, "a\nb"])
def test_a_name_that_cannot_be_read_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="give one of 1 to 60 printable letters"):
        checked_person(name)


def test_blanks_around_a_name_make_no_other_judge() -> None:
    assert checked_person(" Ada ") == "Ada"


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_that_there_is_not_is_refused(cli: Cli, port: str) -> None:
    ended = cli("study", "solu", "a", "b", "--judge", "person", "--out", "x", "--port", port)
    assert ended.code == 2
    assert "--port" in ended.err


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    blind = BlindFolder(tmp_path)
    blind.put_items([], [])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} of 127.0.0.1 cannot be used"):
            judge_on_a_page(blind, "me", port=port, tell=lambda _: None)


def test_an_interrupted_study_is_continued_by_the_same_command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(typer.Exit), resumable(tmp_path, by="by the same command"):
        raise KeyboardInterrupt
    assert f"continue {tmp_path} by the same command" in " ".join(capsys.readouterr().err.split())
