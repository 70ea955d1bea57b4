from __future__ import annotations

import io

import pytest
from rich.console import Console

from autointerp.cli.rendering.progress_bars import LineProgress, duration, shown_progress
from autointerp.core.progress import Places


def shown(console: Console, output: io.StringIO) -> str:
    with shown_progress(console) as progress:
        progress.start("collect", 1_000, "tokens")
        progress.advance("collect", 1_000)
        progress.advance("never started", 1)
        progress.note("the \x1b[31mmodel[/] is slow")
        progress.start("collect", 2_000, "tokens")
        progress.advance("collect", 500)
    return output.getvalue()


def test_a_log_gets_a_line_a_stage() -> None:
    output = io.StringIO()
    found = shown(Console(file=output, width=20), output)
    assert found.splitlines() == [
        "collect: 1,000 tokens",
        "the \\x1b[31mmodel[/] is slow",
        "collect: 2,000 tokens",
    ]


def test_one_of_something_is_said_so() -> None:
    output = io.StringIO()
    LineProgress(Console(file=output, width=80)).start("ablation", 1, "units")
    assert output.getvalue() == "ablation: 1 unit\n"


def test_a_terminal_gets_bars_with_counts_and_a_stage_may_begin_again() -> None:
    output = io.StringIO()
    found = shown(Console(file=output, width=100, force_terminal=True), output)
    last = next(line for line in reversed(found.splitlines()) if "collect" in line)
    assert "500/2,000 tokens" in last
    assert "1,000/1,000" not in last
    assert "the \\x1b[31mmodel[/] is slow" in found


def test_a_narrow_terminal_gets_counts_without_bars() -> None:
    output = io.StringIO()
    found = shown(Console(file=output, width=40, force_terminal=True), output)
    assert "500/2,000 tokens" in found
    assert "━" not in found


def test_a_dumb_terminal_gets_lines() -> None:
    output = io.StringIO()
    console = Console(file=output, width=40, force_terminal=True, _environ={"TERM": "dumb"})
    assert "collect: 1,000 tokens" in shown(console, output)
    assert "\x1b" not in output.getvalue()


def test_a_log_says_where_a_long_stage_is_and_how_long_it_will_take() -> None:
    output, now = io.StringIO(), [0.0]
    progress = LineProgress(Console(file=output, width=20), clock=lambda: now[0])
    progress.start("label", 46_080, "units")
    places = Places(progress, "label", [f"blocks.{i}.mlp.hook_post" for i in range(30)])
    for step in range(1, 61):
        now[0] = float(step)
        progress.start("explain", 64, "units")
        places.show([f"blocks.{step // 10}.mlp.hook_post"])
        progress.advance("explain", 64)
        progress.advance("label", 64)
    assert output.getvalue().splitlines() == [
        "label: 46,080 units",
        "explain: 64 units",
        "label: 1,984 of 46,080 units (layer 3, 4 of 30), about 11 min left",
    ]


def test_a_log_gets_a_line_for_each_tenth_but_none_for_those_of_parts() -> None:
    output, now = io.StringIO(), [0.0]
    progress = LineProgress(Console(file=output, width=20), clock=lambda: now[0])
    progress.start("label", 20, "units")
    for step in range(1, 21):
        now[0] = 3.0 * step
        progress.start("contexts", 10, "windows")
        progress.advance("contexts", 5)
        progress.advance("label", 1)
    lines = [line for line in output.getvalue().splitlines() if " of " in line]
    assert [line.split(" of")[0] for line in lines] == [f"label: {n}" for n in range(2, 20, 2)]
    assert lines[1] == "label: 4 of 20 units, about 48 s left"


def test_what_came_before_a_stage_s_first_part_does_not_count_for_the_time_left() -> None:
    output, now = io.StringIO(), [0.0]
    progress = LineProgress(Console(file=output, width=20), clock=lambda: now[0])
    progress.start("label", 1_000, "units")
    for now[0] in (400.0, 401.0, 440.0):
        progress.advance("label", 100)
    assert output.getvalue().splitlines() == [
        "label: 1,000 units",
        "label: 100 of 1,000 units",
        "label: 300 of 1,000 units, about 2 min left",
    ]


def test_nothing_is_said_of_a_stage_that_has_nothing_to_do_or_has_not_begun() -> None:
    output = io.StringIO()
    progress = LineProgress(Console(file=output, width=20))
    progress.start("records", 0, "windows")
    progress.at("label", "layer 3")
    progress.advance("label", 1)
    assert not output.getvalue()


def test_a_bar_says_where_its_stage_is() -> None:
    output = io.StringIO()
    with shown_progress(Console(file=output, width=100, force_terminal=True)) as progress:
        progress.start("label", 100, "units")
        hooks = [f"blocks.{i}.mlp.hook_post" for i in (3, 4, 9)]
        places = Places(progress, "label", hooks)
        places.show(hooks[:2])
        assert "label (layers 3 to 4, 2 of 3)" not in output.getvalue()
    assert "label (layers 3 to 4, 2 of 3)" in output.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (75, "75 s"), (95, "2 min"), (3540, "59 min"), (7800, "2 h 10 min")],
)
def test_durations_are_round(seconds: float, text: str) -> None:
    assert duration(seconds) == text
