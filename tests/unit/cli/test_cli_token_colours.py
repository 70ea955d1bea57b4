from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color, ColorSystem
from rich.console import Console
from rich.style import Style
from rich.text import Text

from autointerp.cli.rendering.token_colours import Colours, TokenPainter, contrast, shade
from autointerp.cli.rendering.unit_page import ShownTokens


def styles(text: Text) -> dict[str, Style]:
    """Style by the text that has it."""
    return {text.plain[s.start : s.end]: Style.parse(str(s.style)) for s in text.spans}


COLOURED = st.sampled_from([Colours.TRUE, Colours.FEW])


@given(st.floats(0, 1), COLOURED)
def test_every_shade_can_be_read(fraction: float, colours: Colours) -> None:
    background, foreground = shade(fraction, colours)
    assert contrast(background, foreground) >= 4.5


@given(st.floats(0, 1), st.floats(0, 1), COLOURED)
def test_a_stronger_activation_is_never_lighter(one: float, other: float, colours: Colours) -> None:
    weak, strong = sorted((one, other))
    lightness = [contrast(shade(f, colours)[0], (0, 0, 0)) for f in (weak, strong)]
    assert lightness[0] >= lightness[1]


def test_the_scale_is_linear_from_0_to_the_peak_and_clipped() -> None:
    low, middle, high = (shade(f)[0] for f in (0.0, 0.5, 1.0))
    assert all(abs(2 * m - a - b) <= 2 for a, m, b in zip(low, middle, high, strict=True))
    assert shade(-3.0) == shade(0.0)
    assert shade(7.0) == shade(1.0)


@pytest.mark.parametrize("level", range(11))
def test_shades_for_256_colours_are_among_them(level: int) -> None:
    background = Color.from_rgb(*shade(level / 10, Colours.FEW)[0])
    eight_bit = background.downgrade(ColorSystem.EIGHT_BIT)
    assert eight_bit.get_truecolor() == background.get_truecolor()


@pytest.mark.parametrize(
    ("system", "expected"),
    [("truecolor", Colours.TRUE), ("256", Colours.FEW), ("standard", Colours.NONE)],
)
def test_a_scale_is_shown_in_as_many_colours_as_there_are(
    system: Literal["truecolor", "256", "standard"], expected: Colours
) -> None:
    assert Colours.of(Console(color_system=system, force_terminal=True, _environ={})) is expected


def test_contrast_of_black_and_white_is_21() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)


def test_the_strongest_token_has_a_second_cue_beside_its_colour() -> None:
    text = TokenPainter(4.0, Colours.TRUE).paint(["a", "b", "c"], [1.0, 4.0, 4.0])
    found = styles(text)
    assert (found["b"].bold, found["b"].underline) == (True, True)
    assert not found["a"].underline
    assert not found["c"].underline


def test_a_silent_row_has_no_strongest_token() -> None:
    text = TokenPainter(4.0, Colours.TRUE).paint(["a", "b"], [0.0, 0.0])
    assert not any(style.underline for style in styles(text).values())


def test_without_colours_levels_stand_behind_the_tokens() -> None:
    painter = TokenPainter(4.0, Colours.NONE)
    text = painter.paint([" river", "\n", " dry"], [4.0, 0.1, 2.9])
    assert text.plain == " river(10)↵ dry(7)"
    assert text.spans == []


def test_markup_in_a_token_is_only_text() -> None:
    text = TokenPainter(4.0, Colours.TRUE).paint(["[red]", "[/]"], [0.0, 1.0])
    assert text.plain == "[red][/]"


@pytest.mark.parametrize("colours", Colours)
def test_the_legend_names_the_activation_at_the_end_of_the_scale(colours: Colours) -> None:
    assert "3.57, the peak of the explain text" in TokenPainter(3.5678, colours).legend().plain


def test_an_excerpt_holds_sixteen_tokens_with_the_greatest_among_them() -> None:
    values = [0.0] * 64
    values[40] = 1.0
    found = ShownTokens.around(values, full=False)
    assert (found.stop - found.start, found.start, found.stop > 40) == (16, 29, True)


@given(st.integers(1, 100), st.data())
def test_an_excerpt_stays_in_its_window(n: int, data: st.DataObject) -> None:
    values = [0.0] * n
    peak = data.draw(st.integers(0, n - 1))
    values[peak] = 1.0
    found = ShownTokens.around(values, full=False)
    assert 0 <= found.start <= peak < found.stop <= n
    assert found.stop - found.start == min(16, n)


def test_the_whole_window_is_shown_on_request() -> None:
    assert ShownTokens.around([0.0] * 64, full=True) == ShownTokens(0, 64, 64)


def test_an_ellipsis_says_where_the_window_goes_on() -> None:
    tokens = [f"<{i}>" for i in range(40)]
    painter = TokenPainter(1.0, Colours.NONE)
    values = [0.0] * 40
    assert ShownTokens(0, 2, 40).paint(painter, tokens, values).plain == "<0><1>…"
    assert ShownTokens(38, 40, 40).paint(painter, tokens, values).plain == "…<38><39>"
