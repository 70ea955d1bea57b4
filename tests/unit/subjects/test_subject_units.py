from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.subjects import HookUnits, SubjectModel, all_neurons, parse_units, select_units

WIDTH = 24


def post(layer: int, *indices: int) -> HookUnits:
    return HookUnits(f"blocks.{layer}.mlp.hook_post", indices)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("1:3", (post(1, 3),)),
        ("2:7-9,0:5", (post(0, 5), post(2, 7, 8, 9))),
        ("1:3, 1:2-4 ,1:3", (post(1, 2, 3, 4),)),
        ("blocks.1.mlp.hook_pre:0-1", (HookUnits("blocks.1.mlp.hook_pre", (0, 1)),)),
        (
            "blocks.1.mlp.hook_pre:0,1:0",
            (HookUnits("blocks.1.mlp.hook_post", (0,)), HookUnits("blocks.1.mlp.hook_pre", (0,))),
        ),
        ("layer:2", (post(2, *range(WIDTH)),)),
        ("layer:2,0:1", (post(0, 1), post(2, *range(WIDTH)))),
    ],
)
def test_units_are_what_the_specification_says(
    subject: SubjectModel, spec: str, expected: tuple[HookUnits, ...]
) -> None:
    assert parse_units(spec, subject) == expected


def test_all_is_every_neuron_of_every_layer(subject: SubjectModel) -> None:
    expected = tuple(post(layer, *range(WIDTH)) for layer in range(3))
    assert parse_units("all", subject) == all_neurons(subject) == expected
    assert all_neurons(subject, kind="hook_pre")[0].hook == "blocks.0.mlp.hook_pre"


def count(units: tuple[HookUnits, ...]) -> int:
    return sum(len(unit.indices) for unit in units)


def test_random_units_depend_on_the_seed_alone(subject: SubjectModel) -> None:
    first = parse_units("random:20", subject, seed=5)
    assert count(first) == 20
    assert first == parse_units("random:20", subject, seed=5)
    assert first != parse_units("random:20", subject, seed=6)
    assert parse_units("random:72", subject) == all_neurons(subject)


def test_random_units_of_layers_are_spread_evenly(subject: SubjectModel) -> None:
    units = parse_units("random:7@0,2", subject)
    assert {u.hook: len(u.indices) for u in units} == {post(0).hook: 4, post(2).hook: 3}
    assert [u.hook for u in parse_units("random:1@2,0", subject)] == [post(2).hook]


def test_every_neuron_is_drawn_about_equally_often(subject: SubjectModel) -> None:
    drawn = [u for seed in range(400) for u in parse_units("random:9", subject, seed=seed)]
    tally = [sum(i in u.indices for u in drawn if u.hook == post(0).hook) for i in range(WIDTH)]
    assert all(abs(n - 50) < 5 * 50**0.5 for n in tally)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "'' is not of the form 5:0-19"),
        ("x", "'x' is not of the form"),
        ("1:", "'1:' is not of the form"),
        ("1:5-3", "units '1:5-3': a range ascends; write 3-5"),
        ("1:24", "blocks.1.mlp.hook_post of tiny has the units 0 to 23"),
        ("9:0", "tiny has layers 0 to 2; there is no layer 9"),
        ("layer:3", "there is no layer 3"),
        ("layer:x", "'layer:x' is not of the form"),
        ("blocks.1.mlp.hook_psot:0", "has no hook point blocks.1.mlp.hook_psot; near ones are"),
        ("random:0", "write random:50"),
        ("random:x", "write random:50"),
        ("random:73", "73 asked for, but there are only 72"),
        ("random:30@1", "30 asked for, but there are only 24"),
        ("random:3@8", "there is no layer 8"),
        ("sae:somewhere:0-9", "somewhere is not an SAE folder; name one with cfg.json"),
        ("dirs:file.safetensors", "file.safetensors is not a file; save a tensor"),
        ("sae:", "'sae:' is not of the form"),
    ],
)
def test_units_that_do_not_exist_are_told(subject: SubjectModel, spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_units(spec, subject)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 99)), min_size=1))
def test_selected_units_are_the_given_ids_in_order(pairs: list[tuple[int, int]]) -> None:
    units = select_units(UnitId("tiny", f"blocks.{layer}.mlp.hook_post", i) for layer, i in pairs)
    found = [(int(unit.hook.split(".")[1]), i) for unit in units for i in unit.indices]
    assert found == sorted(set(pairs))
