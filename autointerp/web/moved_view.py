"""What the page of two dictionaries shows: the choice of the two, and what moved between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import UnitId
from autointerp.dictionary.moves import MoveSort, WhichMoved
from autointerp.dictionary.selections import LabelSelection
from autointerp.web.page_links import Links
from autointerp.web.unit_lists import STATUS_WORDS

_LISTS: Mapping[WhichMoved, str] = {
    "moved": "score moved beyond chance",
    "changed": "label says something else",
    "all": "all",
}
_ORDERS: Mapping[MoveSort, str] = {
    "size": "greatest change first",
    "-change": "B's gain first",
    "change": "B's loss first",
    "unit": "by unit",
}
_HALF = 50.0


@dataclass(frozen=True, slots=True)
class Choice:
    """Two dictionaries to choose, of those that there are."""

    a: str
    b: str
    options: tuple[tuple[str, str], ...]
    """(as an address has it, as people read it)."""

    @classmethod
    def of(cls, asked: Mapping[str, str], known: Sequence[LabelSelection]) -> Choice:
        """With what was asked for, though it may not be there."""
        options = {str(one): one.title for one in known}
        for text in filter(None, (asked.get("a"), asked.get("b"))):
            options.setdefault(text, text)
        first = next(iter(options), "")
        second = next((one for one in options if one != asked.get("a", first)), first)
        return cls(asked.get("a", first), asked.get("b", second), tuple(options.items()))


@dataclass(frozen=True, slots=True)
class DifferenceBar:
    """A change with its interval, from -1 to 1, drawn 100 wide."""

    at: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class MovedText:
    """What one of the two says."""

    name: str
    link: str
    score: float | None
    text: str


@dataclass(frozen=True, slots=True)
class MovedLine:
    """One side of one unit in both."""

    unit: str
    link: str
    """The unit in both, side by side."""
    difference: Mapping[str, Any] | None
    moved: bool
    of_llm: Mapping[str, Any] | None
    """The change of the LLM's explanation, where that moved and the label's did not."""
    bar: DifferenceBar | None
    changed: tuple[str, ...]
    texts: tuple[MovedText, MovedText]


@dataclass(frozen=True, slots=True)
class MovedView:
    """The page."""

    choice: Choice
    found: Mapping[str, Any] | None
    """The comparison as REST gives it; None where the two are not chosen yet, or not there."""
    problem: str | None
    lines: tuple[MovedLine, ...]
    lists: tuple[tuple[str, str, bool], ...]
    """(words, address, whether it is this one)."""
    orders: tuple[tuple[str, str, bool], ...]
    more: str | None

    @classmethod
    def of(
        cls,
        asked: Mapping[str, str],
        choice: Choice,
        found: Mapping[str, Any] | None,
        problem: str | None = None,
    ) -> MovedView:
        """For what was asked in the address."""
        if found is None:
            return cls(choice, None, problem, (), (), (), None)
        lines = tuple(_line(asked, one) for one in found["units"])
        more = None if found["next"] is None else _address(asked, cursor=found["next"])
        lists = _links(asked, "only", _LISTS, "moved")
        orders = _links(asked, "sort", _ORDERS, "size")
        return cls(choice, found, problem, lines, lists, orders, more)


def _links(
    asked: Mapping[str, str], name: str, words: Mapping[Any, str], usual: str
) -> tuple[tuple[str, str, bool], ...]:
    now = asked.get(name, usual)
    return tuple((said, _address(asked, **{name: key}), key == now) for key, said in words.items())


def _address(asked: Mapping[str, str], **changes: str) -> str:
    kept = {key: asked[key] for key in ("a", "b", "only", "sort") if key in asked}
    return f"/moved?{urlencode({**kept, **changes})}"


def _line(asked: Mapping[str, str], pair: Mapping[str, Any]) -> MovedLine:
    links = Links()
    a, b = (LabelSelection.parse(asked[key]) for key in ("a", "b"))
    unit = UnitId(a.name, pair["hook"], pair["index"])
    sign = " -" if pair["side"] == "negative" else ""
    texts = (_text("A", a, unit, pair["a"]), _text("B", b, unit, pair["b"]))
    difference = pair["difference"]
    return MovedLine(
        unit.short + sign,
        links.compare(unit, asked["a"], asked["b"]) or "",
        difference,
        pair["moved"],
        pair["llm_difference"] if pair["llm_moved"] and not pair["moved"] else None,
        None if difference is None else _bar(difference),
        tuple(pair["changed"]),
        texts,
    )


def _text(name: str, selection: LabelSelection, unit: UnitId, said: Mapping[str, Any]) -> MovedText:
    text = said["text"] or STATUS_WORDS[LabelStatus(said["status"])]
    return MovedText(name, Links().unit(selection.unit_like(unit)), said["score"], text)


def _bar(difference: Mapping[str, Any]) -> DifferenceBar:
    value = difference["value"]
    low, high = difference["low"], difference["high"]
    ends = (value if low is None else low, value if high is None else high)
    at, left, right = (_HALF * (1 + max(-1.0, min(1.0, one))) for one in (value, *ends))
    return DifferenceBar(at, left, right)
