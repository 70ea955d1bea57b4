from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Cli
from factories import make_job, make_label

from autointerp.core.config import JobSpec


def test_without_options_a_job_has_its_defaults(cli: Cli) -> None:
    assert cli("label", "--units", "5:131").code == 0
    assert cli.runner.jobs == [JobSpec(units="5:131")]


def test_every_option_arrives_in_the_job(cli: Cli) -> None:
    ended = cli(
        *("label", "tiny", "--units", "layer:5", "--corpus", "python", "--tokens", "4096"),
        *("--n-ctx", "32", "--explainer", "a", "--explainer", "b", "--scorer", "detection"),
        *("--llm", "http://127.0.0.1:9/v1", "--llm-model", "m", "--dtype", "bfloat16"),
        *("--samples", "2", "--heldout", "20", "--seed", "7", "--windows-per-call", "3"),
        *("--top", "15", "--top-k", "30", "--diverse", "--quantiles", "0.5,0.9"),
    )
    assert ended.code == 0
    expected = {
        "subject": "tiny",
        "units": "layer:5",
        "dtype": "bfloat16",
        "corpus": {"corpus": "python", "n_tokens": 4096, "n_ctx": 32, "seed": 7},
        "collect": {"seed": 7, "top_k": 30},
        "select": {"n_top": 15, "diverse": True, "explain_quantiles": (0.5, 0.9)},
        "explain": {"explainers": ("a", "b"), "n_samples": 2, "n_exemplars": 15},
        "score": {"scorers": ("detection",), "n_heldout": 20, "windows_per_call": 3},
        "llm": "http://127.0.0.1:9/v1",
        "llm_model": "m",
        "seed": 7,
    }
    assert cli.runner.jobs == [JobSpec.model_validate(expected)]


def test_the_endpoint_of_the_settings_is_the_default_llm(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOINTERP_LLM_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("AUTOINTERP_LLM_MODEL", "m")
    cli("label", "--units", "5:131")
    cli("label", "--units", "5:131", "--llm", "embedded")
    found = [(job.llm, job.llm_model) for job in cli.runner.jobs]
    assert found == [("http://127.0.0.1:9/v1", "m"), ("embedded", None)]


def test_an_endpoint_without_a_model_takes_the_model_of_the_settings(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOINTERP_LLM_MODEL", "m")
    cli("label", "--units", "5:131", "--llm", "http://127.0.0.1:9/v1")
    cli("label", "--units", "5:131", "--llm", "http://127.0.0.1:9/v1", "--llm-model", "n")
    assert [job.llm_model for job in cli.runner.jobs] == ["m", "n"]


def test_out_resume_and_a_collection_are_handed_on(cli: Cli) -> None:
    cli("label", "--units", "5:131", "--out", "made", "--resume", "--collected", "merged")
    call = cli.runner.calls[0]
    assert (call["out"], call["resume"]) == (Path("made"), True)
    assert call["collected"] == Path("merged")


def test_the_same_job_goes_to_the_same_folder_and_another_to_another(cli: Cli) -> None:
    for units in ("5:131", "5:131", "5:132"):
        cli("label", "--units", units)
    first, again, other = (call["out"] for call in cli.runner.calls)
    assert first == again != other
    assert first.parts[0] == "runs"
    assert first.name.startswith("smollm2-135m-")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "which units should be labelled? Add --units, for example --units 5:0-19"),
        (("--units", "5:1", "--tokens", "0"), "--tokens 0 cannot be used: input should be greater"),
        (("--units", "5:1", "--n-ctx", "1"), "--n-ctx 1 cannot be used: input should be greater"),
        (("--units", "5:1", "--dtype", "int8"), "--dtype 'int8' cannot be used: input should be"),
        (("--units", "5:1", "--seed", "-1"), "--seed -1 cannot be used: input should be greater"),
        (
            ("--units", "5:1", "--samples", "99"),
            "--samples 99 cannot be used: input should be less",
        ),
        (("--units", "5:1", "--top", "0"), "--top 0 cannot be used: input should be greater"),
        (
            ("--units", "5:1", "--top", "30"),
            "select.n_top (--top) is 30, and only 20 top windows of a unit are collected; lower it "
            "or raise collect.top_k (--top-k)",
        ),
        (
            ("--units", "5:1", "--quantiles", "0.9,0.5"),
            "--quantiles ['0.9', '0.5'] cannot be used: explain_quantiles must ascend, each once",
        ),
        (("--units", "5:1", "--quantiles", "half"), "--quantiles 'half' cannot be used: input"),
        (("--units", "5:1", "--quantiles", "0.5,1"), "--quantiles '1' cannot be used: input"),
        (("--units", "5:1", "--windows-per-call", "51"), "--windows-per-call 51 cannot be used"),
    ],
)
def test_a_value_that_cannot_be_is_named_by_its_option(
    cli: Cli, arguments: tuple[str, ...], sentence: str
) -> None:
    ended = cli("label", *arguments)
    assert ended.code == 2
    assert ended.err.replace("\n", " ").startswith(f"error: {sentence}")
    assert cli.runner.jobs == []


def test_a_manifest_gives_the_job(cli: Cli, a_dictionary: Path) -> None:
    ended = cli("label", "--from-manifest", str(a_dictionary / "manifest.json"), "--out", "again")
    assert ended.code == 0
    assert cli.runner.jobs == [make_job()]
    assert cli.runner.calls[0]["out"] == Path("again")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--units", "5:1", "--corpus", "x" * 30_000),
        ("--units", "5:1", "--llm", "none", "--scorer", "x" * 9000),
        ("--units", "5:1", "--llm", "none", "--explainer", "x" * 9000),
    ],
)
def test_a_long_value_is_shown_by_its_beginning(cli: Cli, arguments: tuple[str, ...]) -> None:
    ended = cli("label", *arguments)
    assert ended.code == 2
    assert "xxx" in ended.err
    assert "x" * 400 not in "".join(ended.err.split())


def test_a_manifest_leads_to_no_file_but_a_released_prompt(cli: Cli, a_dictionary: Path) -> None:
    manifest = a_dictionary / "manifest.json"
    found = json.loads(manifest.read_text(encoding="utf-8"))
    found["job"]["score"]["prompt"] = "../../secret"
    manifest.write_text(json.dumps(found), encoding="utf-8")
    ended = cli("label", "--from-manifest", str(manifest), "--out", "again")
    assert ended.code == 2
    assert "score.prompt '../../secret' does not exist; take v1, v2 or v3" in ended.err
    assert cli.runner.jobs == []


def test_beside_a_manifest_no_option_of_the_job_is_taken(cli: Cli, a_dictionary: Path) -> None:
    ended = cli("label", "tiny", "--tokens", "9", "--from-manifest", str(a_dictionary))
    assert ended.code == 2
    assert "leave out SUBJECT, --tokens, which would change it" in ended.err
    assert cli.runner.jobs == []


def test_a_folder_without_a_manifest_is_refused(cli: Cli, tmp_path: Path) -> None:
    ended = cli("label", "--from-manifest", str(tmp_path))
    assert ended.code == 2
    assert "is not a feature dictionary: there is no manifest.json" in ended.err


def test_json_on_stdout_is_the_whole_result_and_progress_is_not_in_it(cli: Cli) -> None:
    cli.runner.labels = (make_label(text="rivers\x1b[31m"),)
    ended = cli("label", "--units", "5:131", "--out", "made", "--json")
    found = json.loads(ended.out)
    assert found["folder"] == "made"
    assert found["n_by_status"] == {"ok": 1}
    assert found["usage"]["requests"] == 210
    row = found["labels"][0]
    assert row["explanation"] == "rivers\x1b[31m"
    assert (row["score"], row["score_lookup"], row["score_null"]) == (0.42, 0.3, 0.01)
    assert "collect: 64 tokens" in ended.err
