"""A frontier as plain SVG: cost to the right on a logarithmic scale, agreement upwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 500, 60, 250, 40, 50
COLOURS = (
    *("#1b6ca8", "#d1495b", "#2e933c", "#8d5a97", "#edae49", "#5c6b73", "#00798c", "#7f4f24"),
    *("#e07be0", "#111111", "#9acd32"),
)


@dataclass(frozen=True)
class Point:
    """One plan."""

    series: str
    label: str
    tokens: float
    agreement: float


def frontier(points: Sequence[Point]) -> list[Point]:
    """The plans that none beats in both, cheapest first."""
    best, kept = -math.inf, []
    for point in sorted(points, key=lambda p: (p.tokens, -p.agreement)):
        if point.agreement > best:
            kept.append(point)
            best = point.agreement
    return kept


def drawn(points: Sequence[Point], *, title: str, goal: tuple[float, float]) -> str:
    """The plot: points by series, the frontier as a line, the goal as a shaded corner."""
    low, high = min(p.tokens for p in points) / 1.2, max(p.tokens for p in points) * 1.2
    least = min(0.5, math.floor(10 * min(p.agreement for p in points)) / 10)

    def x(tokens: float) -> float:
        share = math.log(tokens / low) / math.log(high / low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(agreement: float) -> float:
        return HEIGHT - BOTTOM - (agreement - least) / (1 - least) * (HEIGHT - TOP - BOTTOM)

    corner = x(goal[0]) - LEFT, y(goal[1]) - TOP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="14">{escape(title)}</text>',
        f'<rect x="{LEFT}" y="{TOP}" width="{corner[0]:.1f}" height="{corner[1]:.1f}" '
        'fill="#2e933c" opacity="0.1"/>',
    ]
    for tick in (t for t in (250, 500, 1000, 2700, 5000, 10_000, 20_000) if low < t < high):
        lines += _line(x(tick), TOP, x(tick), HEIGHT - BOTTOM)
        lines.append(_text(x(tick), HEIGHT - BOTTOM + 18, f"{tick:,}", anchor="middle"))
    for tenth in range(round(10 * least), 11):
        lines += _line(LEFT, y(tenth / 10), WIDTH - RIGHT, y(tenth / 10))
        lines.append(_text(LEFT - 8, y(tenth / 10) + 4, f"{tenth / 10:.1f}", anchor="end"))
    lines.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "tokens a neuron", anchor="middle"))
    path = " ".join(f"{x(p.tokens):.1f},{y(p.agreement):.1f}" for p in frontier(points))
    lines.append(f'<polyline points="{path}" fill="none" stroke="#333" stroke-dasharray="5 3"/>')
    names = list(dict.fromkeys(point.series for point in points))
    for i, name in enumerate(names):
        colour = COLOURS[i % len(COLOURS)]
        lines.append(
            f'<circle cx="{WIDTH - RIGHT + 18}" cy="{TOP + 18 * i}" r="4" fill="{colour}"/>'
        )
        lines.append(_text(WIDTH - RIGHT + 28, TOP + 4 + 18 * i, name))
    for p in points:
        colour = COLOURS[names.index(p.series) % len(COLOURS)]
        lines.append(
            f'<circle cx="{x(p.tokens):.1f}" cy="{y(p.agreement):.1f}" r="4" fill="{colour}">'
            f"<title>{escape(p.label)}: {p.tokens:,.0f} tokens, {p.agreement:.3f}</title></circle>"
        )
    return "\n".join([*lines, "</svg>"]) + "\n"


def _line(x1: float, y1: float, x2: float, y2: float) -> list[str]:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return [f'<line {ends} stroke="#ddd"/>']


def _text(x: float, y: float, said: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(said)}</text>'
