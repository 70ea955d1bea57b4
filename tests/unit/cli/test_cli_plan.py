"""``plan`` prints what a job needs, in 80 columns and as JSON, and reads no weights."""

from __future__ import annotations

import json

import pytest
from command_line import Cli

ALL = ("plan", "smollm2-135m", "--units", "all", "--tokens", "32768", "--llm", "none")


def test_a_plan_tells_time_memory_and_disk_in_80_columns(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ended = cli(*ALL)
    assert ended.code == 0
    assert "46,080 labels of 46,080 units" in ended.out
    assert [line for line in ended.out.splitlines() if len(line) > 80] == []
    for named in ("forward", "labels", "memory", "disk", "its Redis", "No accelerator"):
        assert named in ended.out


def test_a_plan_as_json_adds_up(cli: Cli) -> None:
    ended = cli(*ALL, "--workers", "4", "--readers", "2", "--json")
    plan = json.loads(ended.out)
    assert plan["n_workers"] == 4
    assert plan["n_readers"] == 2
    assert plan["seconds"] == pytest.approx(
        sum(s["seconds"] for s in plan["stages"].values()), 0.01
    )
    folder = plan["folder"]
    assert folder.pop("total") == sum(folder.values())
    assert plan["llm"] is None


def test_a_plan_with_an_llm_has_its_tokens_and_dollars(cli: Cli) -> None:
    llm = ("--llm", "https://api.openai.com/v1", "--llm-model", "gpt-4o-mini", "--json")
    plan = json.loads(cli("plan", "gpt2-xl", "--units", "layer:47", *llm).out)
    half = json.loads(cli("plan", "gpt2-xl", "--units", "layer:47", *llm, "--batch").out)
    assert plan["llm"]["requests"] > 0
    assert half["llm"]["usd"] == pytest.approx(plan["llm"]["usd"] / 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("llama-9", "--units", "all"), "the shape of llama-9 is not known"),
        (("gpt2-xl",), "which units"),
        (("gpt2-xl", "--units", "layer:48"), "no layer 48"),
        (("gpt2-xl", "--units", "all", "--tokens", "0"), "--tokens 0"),
        (("gpt2-xl", "--units", "all", "--llm", "somewhere"), "neither embedded, none nor a URL"),
    ],
)
def test_what_cannot_be_planned_is_one_sentence(
    cli: Cli, arguments: tuple[str, ...], message: str
) -> None:
    ended = cli("plan", *arguments)
    assert ended.code == 2
    assert message in ended.err
    assert len(ended.err.strip().splitlines()) == 1
