"""What can be told to be wrong without the weights is told before they are loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from noted_progress import NotedProgress

from autointerp.core.config import CollectJob, CorpusConfig, JobSpec
from autointerp.core.errors import InputError
from autointerp.settings import Settings
from autointerp.wiring.collection_runs import run_collection
from autointerp.wiring.runs import run_job

NOWHERE = CorpusConfig(corpus="nowhere.txt")


@pytest.mark.parametrize("subject", ["smollm2-135m", "no/such-model"])
def test_a_corpus_that_does_not_exist(tmp_path: Path, subject: str) -> None:
    progress = NotedProgress()
    out = tmp_path / "run"
    with pytest.raises(InputError, match=r"'nowhere\.txt' does not exist"):
        run_job(
            JobSpec(subject=subject, units="5:0-3", llm="none", corpus=NOWHERE),
            out=out,
            resume=False,
            settings=Settings(),
            progress=progress,
        )
    with pytest.raises(InputError, match=r"'nowhere\.txt' does not exist"):
        run_collection(
            CollectJob(subject=subject, units="5:0-3", corpus=NOWHERE),
            out=out,
            resume=False,
            settings=Settings(),
            progress=progress,
        )
    assert not out.exists()
