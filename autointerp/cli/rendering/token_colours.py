"""Tokens with their activations: as background colour, or as levels where there is no colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

from autointerp.cli.rendering.console import short, visible_token
from autointerp.core.characters import whole_characters
from autointerp.core.records import MAX_LEVEL, to_levels

_Rgb = tuple[int, int, int]
# One hue, lightness falling in a straight line: told apart with any kind of colour vision.
_LOW: _Rgb = (247, 247, 247)
_HIGH: _Rgb = (0, 68, 136)
# The same way in colours that a 256-colour terminal has; rounding to them would lose the order.
_STEPS: tuple[_Rgb, ...] = (
    (255, 255, 255),
    (215, 215, 255),
    (175, 175, 255),
    (135, 175, 255),
    (95, 135, 255),
    (0, 95, 215),
    (0, 95, 175),
    (0, 0, 135),
)
_BLACK: _Rgb = (0, 0, 0)
_WHITE: _Rgb = (255, 255, 255)


class Colours(StrEnum):
    """How activations are shown."""

    TRUE = "true"
    FEW = "few"
    """Eight steps, for terminals of 256 colours."""
    NONE = "none"
    """As levels behind the tokens: ``river(7)``."""

    @classmethod
    def of(cls, console: Console) -> Colours:
        """What the console can show; sixteen colours are too few for a scale."""
        if console.no_color:
            return cls.NONE
        return {"truecolor": cls.TRUE, "256": cls.FEW}.get(console.color_system or "", cls.NONE)


def shade(fraction: float, colours: Colours = Colours.TRUE) -> tuple[_Rgb, _Rgb]:
    """(background, foreground) for an activation as a fraction of the peak, clipped to 0..1."""
    f = min(1.0, max(0.0, fraction))
    if colours is Colours.FEW:
        background = _STEPS[round(f * (len(_STEPS) - 1))]
    else:
        red, green, blue = (round(a + f * (b - a)) for a, b in zip(_LOW, _HIGH, strict=True))
        background = (red, green, blue)
    black_reads_better = contrast(background, _BLACK) >= contrast(background, _WHITE)
    return background, _BLACK if black_reads_better else _WHITE


def contrast(one: _Rgb, other: _Rgb) -> float:
    """Ratio of relative luminances, 1 to 21. Source: WCAG 2.2, contrast (minimum)."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@dataclass(frozen=True, slots=True)
class TokenPainter:
    """Paints tokens on one scale from 0 to the peak."""

    peak: float
    """Activation at the end of the scale, above 0."""
    colours: Colours

    def paint(self, tokens: Sequence[str], activations: Sequence[float]) -> Text:
        """The tokens in a row; the strongest is bold and underlined.

        Tokens that share a character are shown as one, with the greatest of their activations.
        """
        tokens, activations = whole_characters(tokens, activations)
        strongest = max(activations, default=0.0)
        text = Text(overflow="fold")
        marked = False
        for token, activation in zip(tokens, activations, strict=True):
            at_peak = not marked and 0 < activation == strongest
            marked = marked or at_peak
            self._append(text, visible_token(token), activation, at_peak=at_peak)
        return text

    def paint_one(self, token: str, activation: float, *, at_peak: bool) -> Text:
        """One token without its level, which may stand below it."""
        marked = Style(bold=True, underline=True) if at_peak else Style()
        if self.colours is Colours.NONE:
            return Text(visible_token(token), marked)
        return Text(visible_token(token), self._style(activation / self.peak) + marked)

    def legend(self) -> Text:
        """What the scale says, with the activation at its end."""
        end = f"{short(self.peak)}, the peak of the explain text; stronger ones look the same"
        if self.colours is Colours.NONE:
            return Text(f"token(n): level n of {MAX_LEVEL}, rounded down; {MAX_LEVEL} is {end}")
        text = Text("0 ")
        for level in range(MAX_LEVEL + 1):
            text.append(" ", self._style(level / MAX_LEVEL))
        return text.append(f" {end}; the strongest token is underlined")

    def _append(self, text: Text, token: str, activation: float, *, at_peak: bool) -> None:
        if self.colours is not Colours.NONE:
            style = self._style(activation / self.peak)
            text.append(token, style + Style(bold=True, underline=True) if at_peak else style)
            return
        level = to_levels([activation], peak=self.peak)[0]
        text.append(f"{token}({level})" if level else token)

    def _style(self, fraction: float) -> Style:
        background, foreground = shade(fraction, self.colours)
        return Style(color=Color.from_rgb(*foreground), bgcolor=Color.from_rgb(*background))


def _luminance(colour: _Rgb) -> float:
    linear = [_linear(channel / 255) for channel in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)
