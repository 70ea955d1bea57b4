"""The report of a study: sentences, tables with intervals, charts, notes, and how it was made.

Every study fills the same value, so that one page, one print and one JSON show any of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from autointerp.core.errors import AutointerpError, DamagedError, first_problem, newer_version
from autointerp.core.one_line import brief_repr

SCHEMA_VERSION = 1
"""Of the JSON; raised where a reader of the one before would read something else."""

Form = Literal["text", "count", "number", "signed", "share", "short"]
"""How a value is written: a text, ``1,234``, ``0.42``, ``+0.42``, ``42 %`` or three digits."""

_UNKNOWN = "–"
_TWO_DIGITS = 0.1


@dataclass(frozen=True, slots=True)
class StudyValue:
    """A number with its 95 % interval."""

    value: float
    low: float | None = None
    """Lower end; None where there is no interval."""
    high: float | None = None

    def __post_init__(self) -> None:
        for number in (self.value, self.low, self.high):
            if number is not None and not math.isfinite(number):
                raise AutointerpError(f"a value of a study is not finite: {number}")


Cell = str | int | float | StudyValue | None
"""One value of a table; None is undefined, and no zero."""


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column and how its values are written."""

    name: str
    form: Form = "number"


@dataclass(frozen=True, slots=True)
class StudyTable:
    """Rows under named columns, each as long as there are columns."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    """What the numbers are, in a sentence or two."""

    __repr__ = brief_repr

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise AutointerpError(
                    f"table {self.title!r} has {len(self.columns)} columns and a row of {len(row)}"
                )


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart, or one group of its bars."""

    name: str
    values: tuple[StudyValue | None, ...]
    """One a place of the chart; None leaves a gap."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class StudyChart:
    """Bars or lines over named places."""

    title: str
    shape: Literal["bars", "lines"]
    axis: str
    """What the places are: ``layer``."""
    places: tuple[str, ...]
    series: tuple[Series, ...]
    form: Form = "number"
    caption: str = ""

    __repr__ = brief_repr

    def __post_init__(self) -> None:
        for one in self.series:
            if len(one.values) != len(self.places):
                raise AutointerpError(
                    f"chart {self.title!r} has {len(self.places)} places and {one.name!r} "
                    f"{len(one.values)} values"
                )

    @property
    def span(self) -> tuple[float, float]:
        """The smallest and the largest end of what is drawn, zero among them; 0 to 1 for none."""
        known = [value for one in self.series for value in one.values if value is not None]
        ends = [end for one in known for end in (one.value, one.low, one.high) if end is not None]
        low, high = min((0.0, *ends)), max((0.0, *ends))
        return (low, high) if high > low else (0.0, 1.0)


Asked = str | int | float | bool | None
"""What one option of a study was."""


@dataclass(frozen=True, slots=True)
class StudyReport:
    """What a study found."""

    kind: str
    """Of study, as on the command line: ``layers``."""
    title: str
    asked: Mapping[str, Asked]
    """What was asked for, by the names of the options."""
    paragraphs: tuple[str, ...]
    """What came out, in sentences, the most important first."""
    tables: tuple[StudyTable, ...] = ()
    charts: tuple[StudyChart, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader should know of how it was done."""
    seed: int = 0
    provenance: Mapping[str, str] = field(default_factory=dict)
    """The model, its weights' identity, the text, versions: what it was made from."""

    __repr__ = brief_repr

    def to_json(self) -> dict[str, object]:
        """As plain values, with the version of this schema."""
        return {"schema_version": SCHEMA_VERSION, **_plain(asdict(self))}

    @classmethod
    def from_json(cls, text: bytes | str, *, where: str) -> StudyReport:
        """The report that `to_json` wrote.

        Raises:
            InputError: a newer version wrote it.
            DamagedError: it is not one.
        """
        try:
            given = dict(json.loads(text))
            version = given.pop("schema_version", None)
            if isinstance(version, int) and version > SCHEMA_VERSION:
                raise newer_version(where, version, SCHEMA_VERSION)
            return _REPORT.validate_python(given)
        except ValidationError as error:
            problem = first_problem(error, whole="the file")
            raise DamagedError(f"{where} does not hold a study: {problem}") from error
        except (ValueError, TypeError) as error:
            raise DamagedError(f"{where} does not hold a study: {error}") from error


_REPORT = TypeAdapter(StudyReport)


def written(value: Cell, form: Form, *, with_interval: bool = True) -> str:
    """A value as people read it; a dash for one that is undefined."""
    if value is None:
        return _UNKNOWN
    if isinstance(value, str):
        return value
    if not isinstance(value, StudyValue):
        return _number(value, form)
    middle = _number(value.value, form)
    if not with_interval or value.low is None or value.high is None:
        return middle
    low, high = _number(value.low, form), _number(value.high, form)
    if form == "share":
        return f"{middle} [{low.removesuffix(' %')}, {high.removesuffix(' %')}]"
    return f"{middle} [{low}, {high}]"


def _number(value: float, form: Form) -> str:
    if form == "count":
        return f"{value:,.0f}"
    if form == "share":
        per_cent = 100 * value
        return (
            f"{per_cent:.0f} %" if abs(value) >= _TWO_DIGITS or not value else f"{per_cent:.2g} %"
        )
    if form == "short":
        return f"{value:.3g}"
    # Adding 0.0 keeps a rounded-off negative from reading -0.00.
    rounded = round(value, 2) + 0.0
    return f"{rounded:+.2f}" if form == "signed" else f"{rounded:.2f}"


def _plain(value: object) -> dict[str, object]:
    result: dict[str, object] = json.loads(json.dumps(value, allow_nan=False))
    return result
