"""What is asked of labels on another text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from autointerp.core.config import NO_LLM, Budget, CorpusConfig, JobSpec
from autointerp.core.errors import InputError, first_problem


@dataclass(frozen=True, slots=True)
class RescoreRequest:
    """Which labels are tried on which text."""

    folder: Path
    """Of the dictionary."""
    corpus: str
    """The other text, as `load_corpus` takes it."""
    units: str | None = None
    """As in a job; all labels where None."""
    limit: int | None = None
    """So many of them at random."""
    seed: int = 0
    """Of that choice."""
    n_tokens: int | None = None
    """Tokens of the other text; as many as the labels were learned on where None."""
    llm: str = NO_LLM
    """Scores labels in words: ``none``, ``embedded`` or an endpoint's base URL."""
    llm_model: str | None = None
    encoders: tuple[str, ...] = ()
    """Where an SAE or directions lie that were moved: ``sae:FOLDER``, ``dirs:FILE``."""

    @property
    def stored(self) -> dict[str, object]:
        """What decides the results, as a file has it; where things lie does not."""
        job = JobSpec(units="labels", llm=self.llm).model_dump(mode="json")
        return {
            "corpus": self.corpus,
            "units": self.units,
            "limit": self.limit,
            "seed": self.seed,
            "n_tokens": self.n_tokens,
            "llm": job["llm"],
            "llm_model": self.llm_model,
        }

    def text_like(self, own: CorpusConfig) -> CorpusConfig:
        """The other text, cut and split as that which the labels were learned on.

        Raises:
            InputError: a number of tokens that no text has.
        """
        changed = {
            "corpus": self.corpus,
            "n_tokens": own.n_tokens if self.n_tokens is None else self.n_tokens,
        }
        try:
            return CorpusConfig.model_validate(own.model_dump() | changed)
        except ValidationError as error:
            raise InputError(first_problem(error, whole="the text")) from error


def read_budget(usd: float | None, tokens: int | None) -> Budget:
    """What the LLM may cost.

    Raises:
        InputError: less than nothing.
    """
    try:
        return Budget(usd=usd, tokens=tokens)
    except ValidationError as error:
        raise InputError(first_problem(error, whole="the budget")) from error
