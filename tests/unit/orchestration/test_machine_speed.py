"""Costs are those of the machine at hand: measured once elsewhere, carried over by its speed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autointerp.core.config import JobSpec
from autointerp.core.model_shape import KNOWN_SHAPES
from autointerp.orchestration import machine_speed
from autointerp.orchestration.counted_units import counted_units
from autointerp.orchestration.job_estimate import CollectionSize, PlannedWork, estimate_work
from autointerp.orchestration.machine_costs import EPYC
from autointerp.orchestration.machine_speed import measure_speed, this_machine

SMOLLM2 = KNOWN_SHAPES["smollm2-135m"]
WORK = PlannedWork(
    JobSpec(subject="smollm2-135m", units="all", llm="none"),
    SMOLLM2,
    counted_units("all", SMOLLM2),
    CollectionSize(state=0, tables=0, batch=0, file=0),
)


def stages(costs) -> dict[str, float]:  # type: ignore[no-untyped-def]
    return {stage.name: stage.cpu_s for stage in estimate_work(WORK, costs).stages}


def test_the_machine_itself_costs_what_was_measured_on_it() -> None:
    assert stages(EPYC.at_speed(EPYC.speed)) == pytest.approx(stages(EPYC))


def test_half_the_speed_in_python_takes_twice_as_long_for_labels() -> None:
    slow = EPYC.at_speed(replace(EPYC.speed, python_s=2 * EPYC.speed.python_s))
    for name in ("labels", "choosing windows", "tables", "start"):
        assert stages(slow)[name] == pytest.approx(2 * stages(EPYC)[name])


def test_slower_products_slow_the_forward_pass_alone() -> None:
    slow = EPYC.at_speed(replace(EPYC.speed, product_s=2 * EPYC.speed.product_s))
    assert stages(slow)["forward"] > 1.2 * stages(EPYC)["forward"]
    assert stages(slow)["labels"] == stages(EPYC)["labels"]


def test_bfloat16_is_as_fast_as_its_instructions() -> None:
    seconds = [
        EPYC.at_speed(replace(EPYC.speed, bfloat16_by=by)).layer_s(SMOLLM2, "bfloat16")
        for by in EPYC.bfloat16_gain
    ]
    by_gain = sorted(zip(EPYC.bfloat16_gain.values(), seconds, strict=True), reverse=True)
    assert [s for _, s in by_gain] == sorted(seconds)


def test_this_machine_is_tested_once_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    this_machine()
    monkeypatch.setattr(machine_speed, "measure_speed", lambda: pytest.fail("tested again"))
    assert estimate_work(WORK).machine == this_machine().name
    assert "times an AMD EPYC's in products of matrices" in this_machine().name


def test_a_speed_is_of_work_that_was_done() -> None:
    # Nothing multiplies 3.6e9 numbers, or makes 40,000 objects, within a millisecond a core.
    speed = measure_speed()
    assert 1e-3 < speed.product_s < 10
    assert 5e-4 < speed.python_s < 1
    assert speed.bfloat16_by in EPYC.bfloat16_gain
