"""Ids are read as they are written; seeds depend on every name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.core.errors import InputError
from autointerp.core.ids import HookPoint, Side, UnitId, UnitName
from autointerp.core.seeds import derive_seed
from autointerp.store.labels.layout import unit_path

hooks = st.builds(
    "blocks.{}.{}".format, st.integers(0, 200), st.sampled_from(["mlp.hook_post", "hook_resid_pre"])
)
units = st.builds(UnitId, st.sampled_from(["gpt2", "smollm2-135m"]), hooks, st.integers(0, 10**6))


@given(units)
def test_a_unit_is_read_as_it_is_written(unit: UnitId) -> None:
    assert UnitId.parse(str(unit)) == unit
    assert unit.layer == HookPoint(unit.hook).layer


@given(units)
def test_a_name_without_subject_or_hook_point_means_those_that_are_there(unit: UnitId) -> None:
    hooks = (unit.hook, "blocks.1.hook_other")
    for text in (str(unit), f"{unit.hook}/{unit.index}", f"{unit.hook}:{unit.index}"):
        assert UnitName.parse(text).among(unit.subject, lambda _: hooks) == (unit,)
    assert UnitName.parse(str(unit)).among("another", lambda _: hooks) == ()
    short = UnitName.parse(f" {unit.layer}/{unit.index}")
    assert short.layer == unit.layer
    found = short.among(unit.subject, lambda _: hooks)
    assert [each.hook for each in found] == list(hooks)


@given(units, st.integers(0, 10**6))
def test_file_names_of_one_hook_sort_by_index(unit: UnitId, index: int) -> None:
    other = UnitId(unit.subject, unit.hook, index)
    one, two = (unit_path(each, Side.POSITIVE, ".json") for each in (unit, other))
    assert (one < two) == (unit.index < other.index)


@pytest.mark.parametrize("text", ["", "a/b", "a/blocks.1.mlp.hook_post/x", "//1", "a/b/c/d"])
def test_what_is_no_unit_is_told_with_the_form(text: str) -> None:
    with pytest.raises(InputError, match="is not a unit; write subject/hook/index"):
        UnitId.parse(text)


@pytest.mark.parametrize("name", ["mlp.hook_post", "blocks.x.mlp.hook_post", "blocks.1", ""])
def test_what_is_no_hook_point_is_told_with_an_example(name: str) -> None:
    with pytest.raises(InputError, match=r"write for example blocks.5.mlp.hook_post"):
        HookPoint(name)


def test_sides_have_opposite_signs() -> None:
    assert [side.sign for side in Side] == [1, -1]


@given(st.integers(0, 2**31), st.lists(st.text(max_size=4), min_size=1, max_size=4))
def test_a_seed_depends_on_the_run_and_on_every_name(seed: int, names: list[str]) -> None:
    found = derive_seed(seed, *names)
    assert found == derive_seed(seed, *names)
    assert 0 <= found < 2**63
    assert found != derive_seed(seed + 1, *names)
    assert found != derive_seed(seed, *names, "more")
