"""What a server lets its callers ask for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from autointerp.core.config import Budget, JobSpec
from autointerp.core.errors import InputError

# As units are read: a comma belongs to a path unless an item begins behind it.
_BEGINS = re.compile(r",(?=\s*(?:\d+:|blocks\.\d+\.|layer:|sae:|dirs:))")
_FILED = re.compile(r"(?P<kind>sae:|dirs:)(?P<path>.+?)(?::(?:\d+(?:-\d+)?|all))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DeskRules:
    """Allow-lists and limits; a request never names an address or a file that is not on one."""

    models: tuple[str, ...] = ("smollm2-135m",)
    llms: tuple[str, ...] = ("none", "embedded")
    corpora: tuple[str, ...] = ("wiki", "python")
    folders: tuple[Path, ...] = ()
    """Folders from which jobs may name text files, encoders and directions."""
    jobs_waiting: int = 100
    """Jobs that have not ended, of all callers."""

    def check(self, spec: JobSpec, budget: Budget) -> None:
        """Refuses what is not allowed.

        Raises:
            InputError: naming what is.
        """
        if spec.subject not in self.models:
            msg = f"unknown model {spec.subject!r}; this server has {', '.join(self.models)}"
            raise InputError(msg)
        if spec.llm not in self.llms:
            msg = f"unknown llm {spec.llm!r}; this server has {', '.join(self.llms)}"
            raise InputError(msg)
        if budget.batch or budget.prices is not None:
            msg = "batch and prices are for the command line; a submitted job has usd and tokens"
            raise InputError(msg)
        for part in spec.corpus.corpus.split(","):
            self._check_corpus(part.partition("=")[0].strip())
        for item in _BEGINS.split(spec.units):
            filed = _FILED.fullmatch(item.strip())
            if filed is not None:
                self._check_file(filed["path"], f"units {filed['kind']}")

    def _check_corpus(self, name: str) -> None:
        if name in self.corpora:
            return
        if name.startswith("hf:"):
            msg = f"unknown corpus {name!r}; this server has {', '.join(self.corpora)}"
            raise InputError(msg)
        self._check_file(name, "corpus ")

    def _check_file(self, name: str, kind: str) -> None:
        path = Path(name).expanduser()
        whole = path.resolve()
        if not path.is_absolute() or not any(
            whole.is_relative_to(folder.resolve()) for folder in self.folders
        ):
            known = ", ".join(self.corpora) if kind == "corpus " else "units of the model"
            msg = f"{kind}{name!r} is none that this server may read; take {known}"
            raise InputError(msg)
