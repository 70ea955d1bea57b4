from __future__ import annotations

from pathlib import Path

import pytest

from autointerp.core.config import ExplainConfig, JobSpec, ScoreConfig
from autointerp.core.errors import InputError
from autointerp.templates import check_prompts, load_template

HOSTILE = ("../../x", "/any/where", "..", "", "v", "v1/../v2", "V1", "v1\n", "v²", "v1\x00", "v99")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A text file of the server that happens to read as a prompt."""
    path = tmp_path / "secret.txt"
    path.write_text("=== user\nthe password is 1234\n", encoding="utf-8")
    return path


def test_a_version_never_leads_out_of_the_prompts(secret: Path) -> None:
    for version in (str(secret.with_suffix("")), *HOSTILE):
        with pytest.raises(InputError, match="there is no prompt") as refused:
            load_template("simulate_levels", version)
        assert "1234" not in str(refused.value)
        assert "simulate_levels/v1" in str(refused.value)


def test_a_name_never_leads_out_of_the_prompts(secret: Path) -> None:
    for name in (str(secret.parent), "../prompts/fuzz", ""):
        with pytest.raises(InputError, match="there is no prompt"):
            load_template(name, "secret")
        with pytest.raises(InputError, match="there is no prompt"):
            load_template(name, "v1")


@pytest.mark.parametrize("version", HOSTILE)
def test_a_job_names_only_prompt_versions_that_exist(version: str) -> None:
    explaining = JobSpec(units="0:0", explain=ExplainConfig(prompt=version))
    with pytest.raises(InputError, match=r"explain\.prompt .* take v1 or v2"):
        check_prompts(explaining)
    scoring = JobSpec(units="0:0", score=ScoreConfig(prompt=version))
    with pytest.raises(InputError, match=r"score\.prompt .* take v1, v2 or v3"):
        check_prompts(scoring)


def test_every_released_version_may_be_named() -> None:
    jobs = [JobSpec(units="0:0")]
    jobs += [JobSpec(units="0:0", explain=ExplainConfig(prompt=v)) for v in ("v1", "v2")]
    jobs += [JobSpec(units="0:0", score=ScoreConfig(prompt=v)) for v in ("v1", "v2", "v3")]
    assert [check_prompts(job) for job in jobs] == [None] * 6
