"""Folders of rescored labels that a server shows, by the names of their folders."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autointerp.core.errors import InputError
from autointerp.core.explanations import Label
from autointerp.dictionary.rescored_files import RescoreFolder
from autointerp.web.page_links import file_name
from autointerp.web.rescored_site import REPORT_PAGE, RescoredSite, unit_path

_HOME = "/"


@dataclass(frozen=True, slots=True)
class RescoredLink:
    """Where the page of a rescoring, or of a unit in it, is."""

    corpus: str
    """The other text."""
    address: str
    words: str


class ServedRescorings:
    """Their pages; many threads may ask. A folder that is written anew is read anew."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Nothing is read yet but whether the folders are what they should be.

        Raises:
            InputError: a folder holds no report of rescored labels, or two have one name.
        """
        self._folders: dict[str, Path] = {}
        for folder in folders:
            name = file_name(folder.resolve().name)
            if name in self._folders:
                raise InputError(f"two folders of rescored labels are named {name}; rename one")
            RescoreFolder(folder).check()
            self._folders[name] = folder
        self._lock = threading.Lock()
        self._sites: dict[str, tuple[object, RescoredSite]] = {}

    def page(self, name: str, path: str) -> str | None:
        """A page of one of them; None where there is none.

        Raises:
            InputError: its report is gone.
            StorageError: it is damaged.
        """
        return self._site(name).page(path) if name in self._folders else None

    def all(self) -> Iterator[RescoredLink]:
        """The page of each."""
        for name, site in self._known():
            report = site.report
            words = f"{report.subject}, from {report.corpus}, on {report.other}"
            yield RescoredLink(report.other, f"/rescored/{name}/{REPORT_PAGE}", words)

    def of_model(self, model: str) -> tuple[RescoredLink, ...]:
        """Those of the labels of a model."""
        subjects = (site.report.subject == model for _, site in self._known())
        return tuple(link for link, is_of in zip(self.all(), subjects, strict=True) if is_of)

    def of_labels(self, labels: Sequence[Label]) -> tuple[RescoredLink, ...]:
        """The pages of a unit in those that have one of these labels, told by its text."""
        result = []
        for name, site in self._known():
            for label in labels:
                found = site.label_of(label)
                if found is not None:
                    address = f"/rescored/{name}/{unit_path(found.unit)}"
                    other, words = site.report.other, site.words_of(found)
                    result.append(RescoredLink(other, f"{address}#{found.side}", words))
        return tuple(result)

    def _known(self) -> Iterator[tuple[str, RescoredSite]]:
        for name in self._folders:
            yield name, self._site(name)

    def _site(self, name: str) -> RescoredSite:
        folder = RescoreFolder(self._folders[name])
        stamp = folder.stamp()
        with self._lock:
            known = self._sites.get(name)
            if known is None or known[0] != stamp:
                known = self._sites[name] = stamp, RescoredSite(folder.folder, start=_HOME)
        return known[1]
