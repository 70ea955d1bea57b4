"""Where the pages are: the paths of a server, or files that lie beside each other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from autointerp.core.ids import UnitId

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


def file_name(text: str) -> str:
    """The text as a part of a path on any disk and any web host."""
    return _UNSAFE.sub("_", text)


@dataclass(frozen=True, slots=True)
class Links:
    """What a page writes to lead to another."""

    root: str = ""
    """What stands before every path: nothing on a server, ``..`` once a folder in files."""
    are_files: bool = False
    start: str | None = None
    """Address of the page of all models, where it is not beside the others."""

    @property
    def home(self) -> str:
        """The page of all models."""
        if self.start is not None:
            return self.start
        return f"{self.root}/index.html" if self.are_files else "/"

    def asset(self, name: str) -> str:
        """A file that pages need, by its name."""
        return f"{self.root}/assets/{name}"

    def model(self, model: str) -> str:
        """The page of a model."""
        if self.are_files:
            return f"{self.root}/models/{file_name(model)}/index.html"
        return f"/models/{quote(model, safe='')}"

    def labels(self, model: str) -> str:
        """Where a server lists and searches the labels of a model."""
        return f"/v1/models/{quote(model, safe='')}/labels"

    def find(self, model: str) -> str | None:
        """Where a feature is looked for in a model; None where no server answers."""
        return None if self.are_files else f"{self.model(model)}/find"

    def unit(self, unit: UnitId) -> str:
        """The page of a unit."""
        if self.are_files:
            path = f"{file_name(unit.hook)}/{unit.index}.html"
            return f"{self.root}/models/{file_name(unit.subject)}/units/{path}"
        return (
            f"/models/{quote(unit.subject, safe='')}/units/{quote(unit.hook, safe='')}/{unit.index}"
        )

    def here(self, unit: UnitId) -> str:
        """The page of a unit, as a link on that page."""
        return f"{unit.index}.html" if self.are_files else self.unit(unit)

    def compare(self, unit: UnitId, a: str = "", b: str = "") -> str | None:
        """A unit's labels side by side, or in two dictionaries; None where no server answers."""
        if self.are_files:
            return None
        asked = {"model": unit.subject, "hook": unit.hook, "index": unit.index}
        return f"/compare?{urlencode({**asked, **({'a': a, 'b': b} if a else {})})}"

    def moved(self, a: str, b: str = "") -> str | None:
        """What moved between two dictionaries; None where no server answers."""
        return (
            None if self.are_files else f"/moved?{urlencode({'a': a, **({'b': b} if b else {})})}"
        )

    def trials(self, unit: UnitId) -> str | None:
        """The questions behind a unit's scores; None where no server answers."""
        return None if self.are_files else f"{self.unit(unit)}/trials"

    def trials_data(self, unit: UnitId) -> str:
        """The same as JSON."""
        return f"/v1{self.unit(unit)}/trials"

    def document(self, unit: UnitId) -> str | None:
        """Where a worker is asked for the text around a window; None where no server answers."""
        return None if self.are_files else f"/v1{self.unit(unit)}/document"

    def evidence(self, unit: UnitId) -> str | None:
        """Where a worker is asked for causal evidence; None where no server answers."""
        if self.are_files:
            return None
        return f"/v1/models/{quote(unit.subject, safe='')}/evidence"

    def kept_evidence(self, unit: UnitId) -> str | None:
        """Causal evidence that is kept of a unit, as JSON; None where no server answers."""
        return None if self.are_files else f"/v1{self.unit(unit)}/evidence"

    def data(self, unit: UnitId) -> str | None:
        """The unit as JSON; None where no server answers."""
        if self.are_files:
            return None
        where = f"{quote(unit.subject, safe='')}/units/{quote(unit.hook, safe='')}/{unit.index}"
        return f"/v1/models/{where}?trials=true"
