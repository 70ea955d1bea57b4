"""Probes on few units for a labelled feature: how many units carry it, and which."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from autointerp.activations.searching_features import N_CANDIDATES
from autointerp.core.errors import InputError
from autointerp.core.feature_search import ProbeReport
from autointerp.core.one_line import shortened
from autointerp.core.progress import Progress
from autointerp.corpora.features import Feature
from autointerp.settings import Settings
from autointerp.statistics.probing.sparse_probes import check_ks
from autointerp.subjects import SubjectModel
from autointerp.wiring.find_runs import find

_MOST_LAYERS = 1000
_LAYERS = re.compile(r"([0-9]{1,4})(?:-([0-9]{1,4}))?")


def probe(  # noqa: PLR0913 - a convenience for notebooks
    subject: SubjectModel | str,
    feature: Feature | str | None = None,
    *,
    dataset: Path | str | None = None,
    regex: str | None = None,
    positive: Path | str | None = None,
    negative: Path | str | None = None,
    layers: str = "all",
    ks: Sequence[int] | None = None,
    corpus: str | None = None,
    tokens: int = 65_536,
    n_ctx: int = 64,
    exact_s: float = 60.0,
    seed: int = 0,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> ProbeReport:
    """Probes of every size on the neurons of some layers, with baselines and a verdict.

    Candidates are the 1,024 neurons with the highest average precision of the three layers whose
    best neuron has the highest. What is looked for is said as for `ai.find`.

    Args:
        subject: a subject model, or its name or folder.
        feature: a ready feature, such as ``years``.
        dataset: a JSON lines file of texts with labels of the whole, of spans, or of tokens.
        regex: tokens that overlap a match carry the feature.
        positive: a file of texts that carry it.
        negative: a file of texts that do not.
        layers: ``all``, or numbers and ranges such as ``3,5-8``, 0-based.
        ks: numbers of units, with 1 always among them; from 256 to 1 where None.
        corpus: the text that a feature is looked for in; the feature's own where None.
        tokens: to read.
        n_ctx: tokens a window.
        exact_s: seconds of each exact search, which probes of up to four units get.
        seed: of the documents and of the tokens that are drawn.
        settings: from the environment where None.
        progress: told about every stage.

    Raises:
        InputError: something cannot be done as asked.
    """
    if ks is not None:
        check_ks(ks, N_CANDIDATES)
    units = units_of_layers(layers)
    found = find(
        subject,
        feature,
        regex=regex,
        positive=positive,
        negative=negative,
        dataset=dataset,
        units=units,
        corpus=corpus,
        tokens=tokens,
        n_ctx=n_ctx,
        n=1,
        ks=ks,
        exact_s=exact_s,
        seed=seed,
        settings=settings,
        progress=progress,
    )
    if found.probes is None:
        raise InputError(f"there are no units to fit probes on in layers {shortened(layers)}")
    return ProbeReport(
        subject=found.subject,
        feature=found.feature,
        marks=found.marks,
        hard=found.hard,
        corpus=found.corpus,
        n_units=found.n_units,
        ranked=found.ranked,
        tested=found.tested,
        probes=found.probes,
        notes=found.notes,
        seconds=found.seconds,
    )


def units_of_layers(layers: str) -> str:
    """The specification of all neurons of the layers.

    Raises:
        InputError: something else than layers.
    """
    if layers.strip() == "all":
        return "all"
    numbers: list[int] = []
    for part in layers.split(","):
        matched = _LAYERS.fullmatch(part.strip())
        low, high = (matched[1], matched[2] or matched[1]) if matched else ("1", "0")
        if int(high) < int(low) or int(high) >= _MOST_LAYERS:
            raise InputError(
                f"layers {shortened(layers)} are not all, or numbers and ranges such as 3,5-8"
            )
        numbers.extend(range(int(low), int(high) + 1))
    return ",".join(f"layer:{number}" for number in dict.fromkeys(numbers))
