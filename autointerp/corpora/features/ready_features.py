"""Features that come with the package, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType

from autointerp.core.errors import InputError
from autointerp.core.one_line import shortened
from autointerp.corpora.features.feature import Feature
from autointerp.corpora.features.python_features import python_features
from autointerp.corpora.features.text_features import text_features
from autointerp.corpora.features.word_features import (
    compound_feature,
    corpus_feature,
    language_feature,
    word_features,
)

_WITH_NAMES: Mapping[str, Callable[[str], Feature]] = {
    "corpus": corpus_feature,
    "language": language_feature,
    "compound": compound_feature,
}
_FORMS = ("corpus:NAME", "language:NAME", "compound:WORD WORD")


@cache
def ready_features() -> Mapping[str, Feature]:
    """Those that need no more than their name."""
    every = (*text_features(), *word_features(), *python_features())
    return MappingProxyType({feature.name: feature for feature in every})


def feature_named(name: str) -> Feature:
    """The ready feature of that name.

    Raises:
        InputError: there is none; the message says which are near.
    """
    asked = name.strip().lower().replace("_", "-").replace(" ", "-")
    kind, colon, rest = name.strip().partition(":")
    if colon and rest.strip() and kind.lower() in _WITH_NAMES:
        return _WITH_NAMES[kind.lower()](rest.strip())
    known = ready_features()
    if asked in known:
        return known[asked]
    near = get_close_matches(asked, known, n=3, cutoff=0.5)
    near += [one for one in known if asked and asked in one.split("-") and one not in near]
    hint = f"; did you mean {' or '.join(near)}?" if near else "."
    raise InputError(
        f"there is no feature {shortened(name)}{hint} There are {', '.join(known)}, and "
        f"{', '.join(_FORMS)}"
    )
