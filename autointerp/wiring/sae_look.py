"""What an SAE is, whether it fits a subject, and how many of its latents are dead there."""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from autointerp.core.config import CorpusConfig
from autointerp.core.errors import InputError
from autointerp.core.unit_spec import FileItem
from autointerp.corpora import check_corpus
from autointerp.corpora.corpus_look import some_windows
from autointerp.settings import Settings
from autointerp.subjects import SparseEncoder, SubjectModel, load_subject, open_sae
from autointerp.subjects.reading_notes import differences_of
from autointerp.subjects.sae_config import SaeConfig, read_sae_config
from autointerp.subjects.sae_release import open_sae_head
from autointerp.subjects.unloaded import UnloadedSubject, unloaded_subject

_AT_ONCE = 2**24
"""Latent activations that are held at a time."""
_OFTEN = 0.1


@dataclass(frozen=True, slots=True)
class LatentActivity:
    """What the latents of an SAE did on some text."""

    n_tokens: int
    n_dead: int
    """Latents that were active at no token."""
    n_dense: int
    """Latents that were active at more than a tenth of the tokens."""
    mean_active: float
    """Latents that were active at a token, in the mean (L0)."""


@dataclass(frozen=True, slots=True)
class SubjectFit:
    """How an SAE and a subject go together."""

    subject: str
    refused: str | None
    """Why it cannot be read there at all: another width, no such hook point."""
    differences: tuple[str, ...]
    """What it was made for and is not given."""
    activity: LatentActivity | None
    """None where it is refused."""


@dataclass(frozen=True, slots=True)
class SaeLook:
    """An SAE or a transcoder."""

    name: str
    config: SaeConfig
    fit: SubjectFit | None
    """None where no subject was named."""


def look_at_sae(
    item: FileItem, subject: str | None, settings: Settings, corpus: CorpusConfig
) -> SaeLook:
    """An SAE, and how it does on `n_tokens` tokens of the corpus where a subject is named.

    Raises:
        InputError: it cannot be read; or there is no such subject or corpus.
    """
    head = open_sae_head(item.path, hook=item.hook)
    if subject is None and head is not None:
        folder = Path(os.path.expanduser(item.path))
        return SaeLook(head.name, read_sae_config(folder, hook=item.hook), None)
    sae = open_sae(item.path, hook=item.hook)
    fit = None if subject is None else _fit(sae, subject, settings, corpus)
    return SaeLook(sae.name, sae.config, fit)


def _fit(sae: SparseEncoder, subject: str, settings: Settings, corpus: CorpusConfig) -> SubjectFit:
    check_corpus(corpus.corpus)
    refused = _refused(sae, unloaded_subject(subject, settings.cache_dir))
    if refused is not None:
        return SubjectFit(subject, refused, (), None)
    model = load_subject(subject, device=settings.device, cache_dir=settings.cache_dir)
    differences = tuple(differences_of(sae, model, corpus.n_ctx))
    try:
        hook = model.attach(sae)
    except InputError as error:
        return SubjectFit(subject, str(error), differences, None)
    windows = some_windows(corpus, model.tokenizer)
    return SubjectFit(subject, None, differences, latent_activity(model, hook, windows))


def _refused(sae: SparseEncoder, unloaded: UnloadedSubject | None) -> str | None:
    """Why a subject cannot be read by an SAE, where that shows without its weights."""
    if unloaded is None or not unloaded.is_sure:
        return None
    try:
        unloaded.attach(sae)
    except InputError as error:
        return str(error)
    return None


def latent_activity(model: SubjectModel, hook: str, windows: Iterable[list[int]]) -> LatentActivity:
    """What the units of an attached encoder do on windows of tokens."""
    width, n_tokens = model.width(hook), 0
    counts = torch.zeros(width, dtype=torch.long)

    def receive(_hook: str, activations: Tensor) -> None:
        nonlocal counts
        active = (activations > 0) & inside[:, :, None].to(activations.device)
        counts += active.sum(dim=(0, 1)).cpu()

    for rows in _batches(list(windows), width):
        lengths = torch.tensor([len(row) for row in rows])
        tokens = torch.zeros((len(rows), int(lengths.max())), dtype=torch.long)
        for place, row in enumerate(rows):
            tokens[place, : len(row)] = torch.tensor(row)
        inside = torch.arange(tokens.shape[1]) < lengths[:, None]
        model.read(tokens, [hook], receive)
        n_tokens += int(lengths.sum())
    return LatentActivity(
        n_tokens=n_tokens,
        n_dead=int((counts == 0).sum()),
        n_dense=int((counts > _OFTEN * n_tokens).sum()),
        mean_active=float(counts.sum()) / n_tokens,
    )


def _batches(windows: list[list[int]], width: int) -> Iterator[list[list[int]]]:
    longest = max(map(len, windows))
    size = max(1, min(32, _AT_ONCE // (width * longest)))
    return (windows[start : start + size] for start in range(0, len(windows), size))
