"""Units of two models, or of two places of one, compared on the same text."""

from __future__ import annotations

from pydantic import ValidationError

from autointerp.core.config import CorpusConfig
from autointerp.core.errors import InputError, first_problem
from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.unit_matches import MatchReport
from autointerp.corpora import TokenCorpus
from autointerp.evidence.paired_batches import MatchedSide
from autointerp.evidence.unit_matching import match_sides
from autointerp.settings import Settings
from autointerp.subjects import SubjectModel, load_subject, parse_units
from autointerp.wiring.collection_runs import load_job_corpus


def match_units(  # noqa: PLR0913 - a convenience for notebooks
    first: SubjectModel | str,
    second: SubjectModel | str,
    *,
    units: str,
    other_units: str | None = None,
    corpus: TokenCorpus | str = "wiki",
    tokens: int = 32_768,
    n_ctx: int = 64,
    several: int = 8,
    seed: int = 0,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> MatchReport:
    """The units of each model beside those of the other that are most like them.

    Matches are chosen on part of the documents by the correlation of activations, and every
    number is of the others. Models that split text differently are compared at tokens that end at
    the same character.

    Args:
        first: a subject model, or its name or folder.
        second: another, or the same, whose places are compared.
        units: of the first, such as ``layer:5``.
        other_units: of the second; the same where None.
        corpus: the text, in the first model's tokens, or where it comes from.
        tokens: to read.
        n_ctx: tokens a window.
        several: so many units of the other model are also taken together.
        seed: of the documents, and of units that are chosen at random.
        settings: from the environment where None.
        progress: told about every stage.

    Raises:
        InputError: something cannot be done as asked.
    """
    if several < 1:
        raise InputError(f"several is how many units are taken together; {several} is below 1")
    settings, progress = settings or Settings(), progress or SilentProgress()
    text = corpus if isinstance(corpus, TokenCorpus) else _text(corpus, tokens, n_ctx, seed)
    subject = _subject(first, settings)
    opened = [subject, subject if second == first else _subject(second, settings)]
    own = parse_units(units, opened[0], seed=seed)
    others = parse_units(other_units or units, opened[1], seed=seed)
    if opened[0].revision == opened[1].revision and own == others:
        raise InputError(
            f"{units} of {opened[0].name} was to be compared with itself; name another model, or "
            "other units with --other-units"
        )
    if isinstance(text, CorpusConfig):
        text = load_job_corpus(text, opened[0], progress)
    sides = (MatchedSide(opened[0], own), MatchedSide(opened[1], others))
    return match_sides(*sides, text, n_several=several, progress=progress)


def _text(corpus: str, n_tokens: int, n_ctx: int, seed: int) -> CorpusConfig:
    try:
        return CorpusConfig(corpus=corpus, n_tokens=n_tokens, n_ctx=n_ctx, seed=seed)
    except ValidationError as error:
        raise InputError(first_problem(error, whole="the text")) from error


def _subject(given: SubjectModel | str, settings: Settings) -> SubjectModel:
    if isinstance(given, SubjectModel):
        return given
    return load_subject(given, device=settings.device, cache_dir=settings.cache_dir)
