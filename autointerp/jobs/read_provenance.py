"""The provenance of what was read of units, before an LLM is asked."""

from __future__ import annotations

from autointerp.activations.summary_manifest import SummaryIdentity
from autointerp.core import VERSION
from autointerp.core.config import JobSpec
from autointerp.core.explanations import Provenance
from autointerp.corpora import TokenCorpus
from autointerp.subjects import SubjectModel


def provenance_of(
    spec: JobSpec, subject: SubjectModel, corpus: TokenCorpus, identity: SummaryIdentity
) -> Provenance:
    """What was read and how; no LLM was asked yet."""
    return Provenance(
        package_version=VERSION,
        subject=subject.name,
        subject_revision=subject.revision,
        dtype=subject.dtype_name,
        tokenizer=subject.tokenizer.name,
        corpus=corpus.id,
        corpus_hash=corpus.hash,
        n_tokens=corpus.n_tokens,
        n_ctx=corpus.n_ctx,
        seed=spec.seed,
        split_hash=corpus.split_hash,
        collect_hash=identity.config.digest,
        explainer_model=None,
        scorer_model=None,
        prompts=(),
        encoders=identity.encoders,
    )
