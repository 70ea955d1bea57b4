"""The templates of pages, rendered strictly: everything is escaped, nothing may be missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from autointerp.core.probe import NEUTRAL_PROMPTS
from autointerp.core.scores import Score
from autointerp.core.unit_kinds import kind_title

ASSETS: Mapping[str, str] = {
    "style.css": "text/css",
    "jobs.css": "text/css",
    "compare.css": "text/css",
    "rescored.css": "text/css",
    "study.css": "text/css",
    "judging.css": "text/css",
    "judging.js": "text/javascript",
    "page.js": "text/javascript",
    "requests.js": "text/javascript",
    "jobs.js": "text/javascript",
    "sign_in.js": "text/javascript",
    "search.js": "text/javascript",
    "unit_tools.js": "text/javascript",
    "trying.css": "text/css",
    "token_view.js": "text/javascript",
    "worker_state.js": "text/javascript",
    "editor.js": "text/javascript",
    "documents.js": "text/javascript",
    "firing.js": "text/javascript",
    "find.css": "text/css",
    "find.js": "text/javascript",
    "own_explanation.js": "text/javascript",
    "causal.css": "text/css",
    "causal.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""Files that pages need, with their media types."""

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)


def asset(name: str) -> bytes:
    """The content of one of `ASSETS`."""
    return (files("autointerp.web") / "assets" / name).read_bytes()


def render(template: str, values: Mapping[str, object]) -> str:
    """A page, in which no character is invisible or turns the direction of others."""
    text = _environment().get_template(template).render(values)
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("autointerp.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals["neutral_prompts"] = NEUTRAL_PROMPTS
    environment.filters["score"] = _score
    environment.filters["percent"] = _percent
    environment.filters["share"] = lambda value: f"{100 * value:.0f} %"
    environment.filters["kind"] = kind_title
    environment.filters["short"] = lambda value: f"{value:.3g}"
    environment.filters["count"] = lambda value: f"{value:,}"
    return environment


def _score(score: Score) -> str:
    """``0.45 (95 %: 0.21 to 0.61)``; a dash where there is no value."""
    if score.value is None:
        return "–"
    if score.low is None or score.high is None:
        return f"{score.value:.2f}"
    return f"{score.value:.2f} (95 %: {score.low:.2f} to {score.high:.2f})"


def _percent(value: float) -> str:
    """``45 %``, ``0.12 %``: two digits, however small."""
    return f"{100 * value:.0f} %" if value >= 0.1 else f"{100 * value:.2g} %"
