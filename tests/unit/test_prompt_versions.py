from __future__ import annotations

from pathlib import Path

import pytest

from autointerp.core.config import ExplainConfig, JobSpec, ScoreConfig
from autointerp.core.errors import InputError
from autointerp.pipeline import check_explicit, check_job, check_prompts
from autointerp.pipeline.job_variants import JobVariants
from autointerp.templates import load_template

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


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_prompt_of_one_window_is_refused_for_several_before_anything_is_built(
    version: str,
) -> None:
    score = ScoreConfig(prompt=version, windows_per_call=3)
    message = f"simulation prompt {version} shows one window and not 3; take v3 or"
    with pytest.raises(InputError, match=message):
        check_job(JobSpec(units="0:0", score=score))
    others = score.model_copy(update={"scorers": ("detection",)})
    with pytest.raises(InputError, match=message):
        check_job(JobSpec(units="0:0", score=others))


def test_a_prompt_of_several_windows_and_one_that_does_not_run_are_no_reason_to_refuse() -> None:
    several = ScoreConfig(prompt="v3", windows_per_call=3)
    assert "simulation" in checked(JobSpec(units="0:0", score=several))
    sparse = ScoreConfig(prompt="v1", windows_per_call=3, scorers=("simulation_sparse",))
    names = checked(JobSpec(units="0:0", score=sparse))
    assert "simulation_sparse" in names
    assert "simulation" not in names


def checked(job: JobSpec) -> set[str]:
    """The names of what a job runs that is not refused."""
    check_job(job)
    return {variant.name for variant in JobVariants.of(job).running}


@pytest.mark.parametrize(
    "changes",
    [
        {"score": {"prompt": "v1", "scorers": ("simulation_sparse",)}},
        {"score": {"prompt": "v1"}, "llm": "none"},
        {"score": {"prompt": "v1"}, "explain": {"explainers": ("token_lookup",)}},
        {"explain": {"prompt": "v1", "explainers": ("contrastive",)}},
        {"explain": {"prompt": "v1"}, "llm": "none"},
    ],
)
def test_a_prompt_that_nothing_in_the_job_asks_is_refused_where_a_user_named_it(
    changes: dict[str, object],
) -> None:
    job = JobSpec.model_validate({"units": "0:0", **changes})
    check_job(job)
    with pytest.raises(InputError, match=r"prompt v1 is for .*, and the job runs none of that"):
        check_explicit(job)


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ({"scorers": ("detection",)}, "score"),
        ({"scorers": ("simulation_sparse", "simulation")}, "score"),
        ({"explainers": ("revision",)}, "explain"),
        ({"explainers": ("token_lookup", "token_activation")}, "explain"),
    ],
)
def test_a_prompt_that_one_variant_of_the_job_asks_is_taken(
    part: dict[str, object], named: str
) -> None:
    job = JobSpec.model_validate({"units": "0:0", named: {"prompt": "v1", **part}})
    check_explicit(job)
    with pytest.raises(InputError, match="LLM"):
        check_explicit(job.model_copy(update={"llm": "none"}))
