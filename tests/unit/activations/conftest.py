"""A tiny gated subject model, a corpus with short last windows, and what is collected of them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from oracle import Oracle
from tiny import tiny_corpus, tiny_llama, tiny_subject

from autointerp.activations import CollectPlan, Summary, collect
from autointerp.core.config import CollectConfig
from autointerp.corpora import TokenCorpus
from autointerp.subjects import HookUnits, SubjectModel

HOOK = "blocks.1.mlp.hook_post"
FIRST = "blocks.0.mlp.hook_pre"


@dataclass(frozen=True)
class Collected:
    """One collection with everything it was made of."""

    subject: SubjectModel
    corpus: TokenCorpus
    units: tuple[HookUnits, ...]
    config: CollectConfig
    summary: Summary
    oracle: Oracle

    def again(self, plan: CollectPlan | None = None, **options: object) -> Summary:
        """Collects the same once more."""
        plan = plan or CollectPlan(token_means=True)
        config = self.config.model_copy(update=options)
        return collect(self.subject, self.corpus, units=self.units, config=config, plan=plan)


def make_collected(folder: pytest.TempPathFactory, dtype: torch.dtype) -> Collected:
    subject = tiny_subject(tiny_llama(n_layers=2, dtype=dtype))
    corpus = tiny_corpus(folder.mktemp("corpus"), subject)
    units = (HookUnits(FIRST, (3, 7)), HookUnits(HOOK, tuple(range(24))))
    config = CollectConfig(
        top_k=5, sample_size=12, shared_windows=20, batch_windows=7, threshold=0.05
    )
    plan = CollectPlan(token_means=True)
    summary = collect(subject, corpus, units=units, config=config, plan=plan)
    oracle = Oracle(subject, corpus, HOOK, batch_windows=7)
    return Collected(subject, corpus, units, config, summary, oracle)


@pytest.fixture(scope="session")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Collected:
    return make_collected(tmp_path_factory, torch.float32)


@pytest.fixture(scope="session")
def collected_half(tmp_path_factory: pytest.TempPathFactory) -> Collected:
    return make_collected(tmp_path_factory, torch.bfloat16)
