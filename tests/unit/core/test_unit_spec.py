from __future__ import annotations

import os.path
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opened_files import opened_files

from autointerp.core.config import Budget, JobSpec
from autointerp.core.errors import InputError
from autointerp.core.unit_spec import (
    FileItem,
    HookItem,
    IndexRange,
    RandomItem,
    UnitSpec,
    parse_unit_spec,
)
from autointerp.orchestration import SubmissionPolicy
from autointerp.subjects import parse_units

POST = "blocks.5.mlp.hook_post"
DATA = (Path("/data"),)
PATHS = st.sampled_from(
    [
        "/data/a",
        "/data/../etc",
        "/etc/x",
        "~/y",
        "~nosuchuser/z",
        "a, b:c",
        "é\n",
        "/data/a:all:0",
        "5:0",
    ]
)
ITEMS = st.one_of(
    st.sampled_from(
        [
            "5:0-19",
            "layer:5",
            "blocks.5.mlp.hook_pre:0-9",
            "blocks.5.hook_mlp_out/7",
            "5:" + "9" * 30,
            " 0:1 ",
        ]
    ),
    st.builds(
        "{}:{}{}".format,
        st.sampled_from(["sae", "dirs"]),
        PATHS,
        st.sampled_from(
            ["", ":0", ":0-9", ":all", ":random:5", "@blocks.1.mlp.hook_pre", f"@{POST}:0-9"]
        ),
    ),
)
NOISE = st.sampled_from(
    ["all", "random:50", "random:2@0,10", "²", "٣:1", "5:9-3", "", ":", "layer:"]
)
SPECS = st.lists(ITEMS, min_size=1, max_size=4).map(",".join) | st.lists(ITEMS | NOISE).map(
    ",".join
)


class AnySubject:
    """A subject model of which every hook point exists, and to which no encoder fits."""

    name = "tiny"
    n_layers = 2
    neuron_kind = "hook_post"
    bridge = SimpleNamespace(blocks=[SimpleNamespace(mlp=None)] * n_layers)

    def width(self, hook: str) -> int:
        return 24

    def attach(self, encoder: object) -> str:
        raise InputError("no encoder fits")


def job(units: str) -> JobSpec:
    return JobSpec(units=units, llm="none")


def parsed(text: str) -> UnitSpec | None:
    """What the text says; None where it says nothing."""
    try:
        return parse_unit_spec(text)
    except InputError:
        return None


def refusal(rules: SubmissionPolicy, units: str) -> str:
    """Why a job of those units is refused; empty where it is not."""
    try:
        rules.check(job(units), Budget())
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", UnitSpec(all=True)),
        (" random:50 ", UnitSpec(random=RandomItem(50))),
        ("random:12@0,10,0", UnitSpec(random=RandomItem(12, ("0", "10")))),
        ("5:3", UnitSpec((HookItem(POST, IndexRange(3, 3)),))),
        ("layer:5", UnitSpec((HookItem(POST, None),))),
        (
            "5:0-9, sae:/a, b:c:all,dirs:~/d.safetensors",
            UnitSpec(
                (
                    HookItem(POST, IndexRange(0, 9)),
                    FileItem("sae", "/a, b:c", "all"),
                    FileItem("dirs", "~/d.safetensors", None),
                )
            ),
        ),
        (
            f"sae:/a@{POST}:0-9,sae:b@c:random:50,sae:/d@{POST}",
            UnitSpec(
                (
                    FileItem("sae", "/a", IndexRange(0, 9), POST),
                    FileItem("sae", "b@c", RandomItem(50)),
                    FileItem("sae", "/d", None, POST),
                )
            ),
        ),
    ],
)
def test_a_specification_is_read_as_it_is_documented(text: str, expected: UnitSpec) -> None:
    assert parse_unit_spec(text) == expected


@pytest.mark.parametrize("text", ["sae:/a:random:0", "sae:/a:random:0,5:1"])
def test_a_draw_of_no_latents_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="random:50"):
        parse_unit_spec(text)


@given(SPECS)
@example("sae:/a,b:c:3-4,5:0")
@example("5:" + "9" * 5000)
def test_what_is_written_back_means_the_same(text: str) -> None:
    spec = parsed(text)
    assert spec is None or parse_unit_spec(str(spec)) == spec


@given(SPECS)
@example("dirs:/etc/x,dirs:/data/a:0")
@example(f"sae:/etc/x@{POST}:0")
def test_the_paths_of_a_specification_are_those_that_the_allow_list_checks(text: str) -> None:
    spec, rules = parsed(text), SubmissionPolicy(folders=DATA)
    if spec is None:
        assert refusal(rules, text).startswith("units ")
        return
    # Each path by itself decides.
    alone = [refusal(rules, f"dirs:{path}:0") for path in spec.paths]
    assert bool(refusal(rules, text)) == any(alone)
    assert bool(refusal(SubmissionPolicy(), text)) == bool(spec.paths)


@given(SPECS)
@example("sae:/etc:0,dirs:/etc/hosts:1")
@example(f"sae:/etc@{POST}:random:2")
def test_no_file_is_opened_but_those_that_the_specification_names(text: str) -> None:
    spec = parsed(text)
    named = [os.path.abspath(os.path.expanduser(path)) for path in spec.paths] if spec else []
    with opened_files() as opened:
        try:
            parse_units(text, AnySubject())  # type: ignore[arg-type]
            accepted = True
        except InputError as error:
            accepted = "is not of the form" not in str(error)
    assert accepted or spec is None
    assert [path for path in opened if not any(path.startswith(name) for name in named)] == []


def test_several_ranges_of_one_file_are_refused_with_how_to_write_them() -> None:
    with pytest.raises(InputError, match="each range names its file; write sae:a:1,sae:a:3-4$"):
        parse_unit_spec("sae:a:1,3-4")
    assert parse_unit_spec("sae:a:1,sae:a:3-4").paths == ("a", "a")
    assert parse_unit_spec("sae:a,b:3-4").paths == ("a,b",)
