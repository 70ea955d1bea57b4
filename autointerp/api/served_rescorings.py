"""Folders of rescored labels that a server shows, by the names of their folders."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autointerp.core.errors import InputError, StorageError
from autointerp.core.explanations import Label
from autointerp.dictionary.rescored_files import RescoreFolder
from autointerp.web.page_links import file_name
from autointerp.web.rescored_site import REPORT_PAGE, RescoredSite, unit_path

_LOGGER = logging.getLogger("autointerp.api")
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
        # One each, so that nobody waits while another folder is read.
        self._locks = {name: threading.Lock() for name in self._folders}
        self._sites: dict[str, tuple[object, RescoredSite]] = {}
        self._warned: dict[str, str] = {}

    def page(self, name: str, path: str) -> str | None:
        """A page of one of them; None where there is none.

        Raises:
            InputError: its report is gone.
            StorageError: it is damaged.
        """
        return self._site(name).page(path) if name in self._folders else None

    def all(self) -> Iterator[RescoredLink]:
        """The page of each that can be read."""
        for name, site in self._known():
            yield _link(name, site)

    def of_model(self, model: str) -> tuple[RescoredLink, ...]:
        """Those of the labels of a model."""
        known = self._known()
        return tuple(_link(name, site) for name, site in known if site.report.subject == model)

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
        """Those that can be read: pages of labels do without the others."""
        for name, folder in self._folders.items():
            try:
                site = self._site(name)
            except (InputError, StorageError) as error:
                message = str(error)
                if self._warned.get(name) != message:
                    self._warned[name] = message
                    _LOGGER.warning("pages do not link to the labels in %s: %s", folder, message)
            else:
                self._warned.pop(name, None)
                yield name, site

    def _site(self, name: str) -> RescoredSite:
        folder = RescoreFolder(self._folders[name])
        with self._locks[name]:
            stamp = folder.stamp()
            known = self._sites.get(name)
            if known is None or known[0] != stamp:
                known = self._sites[name] = stamp, RescoredSite(folder.folder, start=_HOME)
        return known[1]


def _link(name: str, site: RescoredSite) -> RescoredLink:
    report = site.report
    words = f"{report.subject}, from {report.corpus}, on {report.other}"
    return RescoredLink(report.other, f"/rescored/{name}/{REPORT_PAGE}", words)
