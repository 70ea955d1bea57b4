"""What a server lets its callers ask for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from autointerp.core.config import Budget, JobSpec
from autointerp.core.errors import InputError
from autointerp.core.one_line import shortened
from autointerp.core.unit_spec import parse_unit_spec
from autointerp.corpora.file_source import check_named
from autointerp.corpora.named_paths import named_path
from autointerp.corpora.sources import PARTIAL, parse_spec
from autointerp.pipeline import check_explicit, check_job, check_top_windows

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MODEL = re.compile(r"[\x21-\x7e]{1,200}")


@dataclass(frozen=True, slots=True)
class SubmissionPolicy:
    """Allow-lists and limits; a request never names an address or a file that is not on one."""

    models: tuple[str, ...] = ("smollm2-135m",)
    llms: tuple[str, ...] = ("none", "embedded")
    corpora: tuple[str, ...] = ("wiki", "python")
    folders: tuple[Path, ...] = ()
    """Folders from which jobs may name text files, encoders and directions."""
    jobs_waiting: int = 100
    """Jobs that have not ended, of all callers."""

    def check(self, spec: JobSpec, budget: Budget) -> None:
        """Refuses what is not allowed, and text that cannot be what the job needs.

        Files that are not here are left to `unseen_text`: workers may have them.

        Raises:
            InputError: naming what is.
        """
        if spec.subject not in self.models:
            raise InputError(
                f"unknown model {shortened(spec.subject)}; this server has {', '.join(self.models)}"
            )
        if spec.llm not in self.llms:
            msg = f"unknown llm {shortened(spec.llm)}; this server has {', '.join(self.llms)}"
            raise InputError(msg)
        if spec.llm_model is not None and not _MODEL.fullmatch(spec.llm_model):
            msg = f"llm_model {shortened(spec.llm_model)} must be printable ASCII without spaces"
            raise InputError(msg)
        if budget.batch or budget.prices is not None:
            msg = "batch and prices are for the command line; a submitted job has usd and tokens"
            raise InputError(msg)
        _check_names("explainer", spec.explain.explainers or ())
        _check_names("scorer", spec.score.scorers or ())
        check_job(spec)
        check_explicit(spec)
        check_top_windows(spec)
        self.check_corpus(spec.corpus.corpus)
        for path in parse_unit_spec(spec.units).paths:
            self._check_file(path, "units")

    def unseen_text(self, spec: JobSpec) -> str | None:
        """A sentence about files of the corpus that cannot be looked at here; None without any."""
        names = [share.name for share in parse_spec(spec.corpus.corpus)]
        unseen = [
            shortened(n, most=300) for n in names if n not in self.corpora and not _is_readable(n)
        ]
        if not unseen:
            return None
        return (
            f"{', '.join(unseen)} cannot be read where the job was submitted: whether it is there "
            "and has the field is told when a worker collects"
        )

    def check_corpus(self, spec: str) -> None:
        """Refuses text that is neither a corpus on the list nor a file in a folder on it.

        Raises:
            InputError: naming it.
        """
        for share in parse_spec(spec):
            self._check_corpus(share.name)

    def _check_corpus(self, name: str) -> None:
        if name in self.corpora:
            return
        if name.startswith("hf:"):
            msg = f"unknown corpus {shortened(name)}; this server has {', '.join(self.corpora)}"
            raise InputError(msg)
        inside = name.removeprefix(PARTIAL)
        named = named_path(inside) if inside.isprintable() else None
        self._check_file(inside if named is None else str(named.path), "corpus")
        if _is_readable(name):
            check_named(inside, partial=inside != name)

    def _check_file(self, name: str, kind: str) -> None:
        if not self._is_inside(name):
            known = (
                f"one of {', '.join(self.corpora)}" if kind == "corpus" else "units of the model"
            )
            raise InputError(
                f"this server may not read the {kind} {shortened(name)}; name {known}, or set "
                "AUTOINTERP_FOLDERS of the server to a folder that it lies in"
            )

    def _is_inside(self, name: str) -> bool:
        """Whether an absolute path, links followed, lies in one of the folders."""
        if not name.isprintable():
            return False
        try:
            path = Path(name).expanduser()
        except RuntimeError:  # The home folder of nobody.
            return False
        if not path.is_absolute() or ".." in path.parts:
            return False
        whole = path.resolve()
        return any(whole.is_relative_to(folder.resolve()) for folder in self.folders)


def _is_readable(name: str) -> bool:
    """Whether the file or folder of a corpus can be read by this process."""
    named = named_path(name.removeprefix(PARTIAL))
    return named is not None and os.access(named.path, os.R_OK)


def _check_names(kind: str, names: Iterable[str]) -> None:
    """Workers know which exist; here it only has to be a name."""
    for name in names:
        if not _NAME.fullmatch(name):
            msg = f"unknown {kind} {shortened(name)}: names are lower-case words joined by _"
            raise InputError(msg)
