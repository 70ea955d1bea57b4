"""The pages of a folder that ``autointerp rescore --out`` made, for a server or as files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path

from typing_extensions import override

from autointerp.core.explanations import Label
from autointerp.core.ids import UnitId
from autointerp.dictionary.rescored_files import RescoreFolder
from autointerp.dictionary.rescored_labels import RescoredLabel, RescoreReport
from autointerp.dictionary.rescored_words import advice
from autointerp.web.page_links import Links, file_name
from autointerp.web.page_templates import render
from autointerp.web.rescored_view import ReportView, RescoredUnitView, rescored_side

REPORT_PAGE = "index.html"
"""The page of all labels."""


@dataclass(frozen=True, slots=True)
class RescoredLinks(Links):
    """Of pages where the page of the model is that of all rescored labels."""

    @override
    def model(self, model: str) -> str:
        return f"{self.root}/{REPORT_PAGE}"


class RescoredSite:
    """Pages of one rescoring, made as they are asked for."""

    def __init__(self, folder: Path, *, start: str | None = None) -> None:
        """Reads the labels, not their texts; `start` is the address of a page above.

        Raises:
            InputError: the folder holds no report of rescored labels.
            StorageError: it is damaged.
        """
        self._folder, self._start = RescoreFolder(folder), start
        self.report: RescoreReport = self._folder.report()

    @cached_property
    def _labels(self) -> dict[UnitId, list[RescoredLabel]]:
        by_unit = groupby(self.report.labels, key=lambda label: label.unit)
        return {unit: list(labels) for unit, labels in by_unit}

    @cached_property
    def _units(self) -> dict[str, int]:
        """By the path of its page, the place of a unit."""
        return {unit_path(unit): place for place, unit in enumerate(self._labels)}

    def label_of(self, label: Label) -> RescoredLabel | None:
        """What it came to; None where no label of that side with its text was rescored."""
        made, text = label.provenance, label.explanation and label.explanation.text
        unit = replace(label.unit, subject=self.report.subject)
        if (made.subject, made.corpus) != (self.report.subject, self.report.corpus):
            return None
        found = self._labels.get(unit, ())
        return next((one for one in found if (one.side, one.text) == (label.side, text)), None)

    def words_of(self, label: RescoredLabel) -> str:
        """Whether to distrust one of them on the other text."""
        return advice(label, self.report)

    def paths(self) -> Iterator[str]:
        """Of all pages."""
        yield REPORT_PAGE
        yield from self._units

    def page(self, path: str) -> str | None:
        """One of them; None where there is none of that path.

        Raises:
            StorageError: its texts cannot be read.
        """
        if path == REPORT_PAGE:
            return self._report_page
        place = self._units.get(path)
        return None if place is None else self._unit(place)

    @cached_property
    def _report_page(self) -> str:
        links = RescoredLinks(".", are_files=True, start=self._start)
        view = ReportView.of(self.report, links.unit)
        return render("rescored.html", {"links": links, "view": view})

    def _unit(self, place: int) -> str:
        units = list(self._labels)
        unit = units[place]
        windows = self._folder.windows
        view = RescoredUnitView(
            unit,
            self.report,
            tuple(
                rescored_side(label, windows.read(unit, label.side), self.report)
                for label in self._labels[unit]
            ),
            units[place - 1] if place else None,
            units[place + 1] if place + 1 < len(units) else None,
        )
        links = RescoredLinks("../../../..", are_files=True, start=self._start)
        return render("rescored_unit.html", {"links": links, "view": view})


def unit_path(unit: UnitId) -> str:
    """Where the page of a unit is."""
    folder = f"models/{file_name(unit.subject)}/units/{file_name(unit.hook)}"
    return f"{folder}/{unit.index}.html"
