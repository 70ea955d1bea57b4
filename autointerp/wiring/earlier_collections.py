"""Collections that were made before, for labels of any of their units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autointerp.activations import Summary, load_summary, open_summary
from autointerp.activations.collection import identity_of_collection
from autointerp.activations.summary_manifest import SummaryIdentity
from autointerp.core.config import CollectConfig
from autointerp.core.errors import InputError
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus
from autointerp.subjects import HookUnits, SubjectModel
from autointerp.wiring.collection_runs import SUMMARY_FILE

# How each part of a collection is called, and the option that decides it. What a difference in one
# brings with it is named after it and is not said twice.
_NAMES = {
    "subject": "the subject model is",
    "revision": "the weights of the subject model are",
    "dtype": "--dtype is",
    "tokenizer": "the tokenizer is",
    "corpus": "--corpus is",
    "n_ctx": "--n-ctx is",
    "seed": "--seed is",
    "n_tokens": "the tokens of text (--tokens) are",
    "corpus_hash": "the text is",
    "split_hash": "the split of the documents is",
    "config.top_k": "--top-k is",
    "config.batch_windows": "--batch-windows is",
    "token_means": "token tables (collect --token-tables)",
    "package_version": "the version of autointerp is",
}
_CAUSES = {
    "revision": {"subject", "dtype"},
    "tokenizer": {"subject"},
    "n_tokens": {"subject", "tokenizer", "corpus", "n_ctx", "seed"},
    "corpus_hash": {"subject", "tokenizer", "corpus", "n_ctx", "seed", "n_tokens"},
    "split_hash": {"subject", "corpus", "seed", "n_tokens", "corpus_hash"},
    "config.seed": {"seed"},
}


def collection_file(place: Path) -> Path:
    """The summary in a folder that ``collect``, ``merge`` or ``label`` filled, or the file itself.

    Raises:
        InputError: there is none.
    """
    for path in (place, place / SUMMARY_FILE, place / "summary" / SUMMARY_FILE):
        if path.is_file():
            return path
    raise InputError(
        f"{place} holds no collection; name the folder that `autointerp collect` or "
        "`autointerp merge` wrote to"
    )


def collected_summary(
    place: Path,
    subject: SubjectModel,
    corpus: TokenCorpus,
    units: Sequence[HookUnits],
    config: CollectConfig,
) -> Summary:
    """What was collected of the units, to the bit what collecting them alone would give.

    Raises:
        InputError: it is not finished, does not hold all of the units, or is of another subject,
            text or settings; what differs is named.
    """
    file = open_summary(collection_file(place))
    asked = identity_of_collection(subject, corpus, units, config, token_means=True)
    there, here = _parts(file.identity, units), _parts(asked, units)
    there["n_tokens"] = sum(file.n_tokens(split) for split in Split)
    here["n_tokens"] = corpus.n_tokens
    n_batches, n_all = len(file.batches), sum(file.manifest.n_batches.values())
    if n_batches < n_all:
        raise InputError(
            f"the collection in {place} holds {n_batches} of {n_all} batches of its text; continue "
            "it with `autointerp collect ... --resume`, or merge all of its shards"
        )
    differing = {name for name in here if here[name] != there[name]}
    if differing:
        parts = [
            f"{_NAMES.get(name, name)} {_shown(there[name])} there and {_shown(here[name])} here"
            for name in sorted(differing, key=[*_NAMES, *here].index)
            if not differing & _CAUSES.get(name, set())
        ]
        raise InputError(
            f"the collection in {place} does not fit: {'; '.join(parts)}; give the options that "
            "collect had, or collect again"
        )
    return load_summary(file.path, units={unit.hook: unit.indices for unit in units})


def _parts(identity: SummaryIdentity, units: Sequence[HookUnits]) -> dict[str, object]:
    """Everything but the units, with the encoders of these alone."""
    hooks = {unit.hook for unit in units}
    parts = {name: value for name, value in identity.parts.items() if name != "units"}
    encoders = {hook: digest for hook, digest in identity.encoders if hook in hooks}
    return parts | {"encoders": encoders}


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "are kept" if value else "were not kept"
    return f"{value:,}" if isinstance(value, int) else str(value)
