"""Every field of a job can be set: by options, by name, by a file; and a job is printed as one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from command_line import Cli

from autointerp.core.config import JobSpec
from autointerp.store.run_folder import stored_job

LABEL = ("label", "tiny", "--units", "5:131", "--llm", "none")


def job_of(cli: Cli, *more: str) -> JobSpec:
    ended = cli(*LABEL, *more, "--print-config")
    assert ended.code == 0, ended.err
    return JobSpec.model_validate(yaml.safe_load(ended.out))


def test_a_job_is_printed_as_a_file_that_gives_it_again(cli: Cli, tmp_path: Path) -> None:
    made = cli(*LABEL, "--tokens", "4096", "--heldout", "6", "--print-config")
    assert made.code == 0
    file = tmp_path / "job.yaml"
    file.write_text(made.out)
    again = cli("label", "--config", str(file), "--print-config")
    assert again.out == made.out
    assert cli.runner.jobs == []
    assert list(yaml.safe_load(made.out))[:2] == ["subject", "units"]


def test_any_field_is_set_by_its_name(cli: Cli) -> None:
    job = job_of(
        cli, "--set", "select.n_band=4", "--set", "score.confidence=0.9", "--set", "dtype=bfloat16"
    )
    assert (job.select.n_band, job.score.confidence, job.dtype) == (4, 0.9, "bfloat16")
    quantiles = job_of(cli, "--set", "select.explain_quantiles=[0.5, 0.9]").select.explain_quantiles
    assert quantiles == (0.5, 0.9)
    assert job_of(cli, "--set", "explain.explainers=null").explain.explainers is None


def test_names_go_before_options_and_these_before_the_file(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    fields = {"n_tokens": 1, "n_ctx": 32, "seed": 9}
    file.write_text(json.dumps({"corpus": fields, "units": "0:0", "llm": "embedded"}))
    job = job_of(
        cli, "--config", str(file), "--tokens", "4096", "--n-ctx", "48", "--set", "corpus.n_ctx=16"
    )
    assert (job.corpus.n_tokens, job.corpus.n_ctx, job.corpus.seed) == (4096, 16, 9)
    assert (job.units, job.llm) == ("5:131", "none")


def test_a_file_may_have_the_short_names_of_options(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("corpus: python\ntokens: 4000\nheldout: 6\nquantiles: 0.5,0.9\n")
    job = job_of(cli, "--config", str(file))
    assert (job.corpus.corpus, job.corpus.n_tokens, job.score.n_heldout) == ("python", 4000, 6)
    assert job.select.explain_quantiles == (0.5, 0.9)


def test_units_may_stand_in_the_file(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("units: 3:0-2\nllm: none\n")
    ended = cli("label", "--config", str(file), "--print-config")
    assert yaml.safe_load(ended.out)["units"] == "3:0-2"
    ended = cli("collect", "--config", str(file), "--out", str(tmp_path), "--print-config")
    assert "a job has no field 'llm'" in ended.err
    file.write_text("units: 3:0-2\n")
    ended = cli("collect", "--config", str(file), "--out", str(tmp_path), "--print-config")
    assert yaml.safe_load(ended.out)["units"] == "3:0-2"


@pytest.mark.parametrize(
    ("text", "value"),
    [("5:13", "5:13"), ("'5:13'", "5:13"), ("5:0-19,7:3", "5:0-19,7:3"), ("no", "no")],
)
def test_a_text_is_taken_as_it_is_written(cli: Cli, tmp_path: Path, text: str, value: str) -> None:
    assert job_of(cli, "--set", f"units={text}").units == value
    file = tmp_path / "job.yaml"
    file.write_text(f"units: {text}\nllm: none\n")
    ended = cli("label", "--config", str(file), "--print-config")
    assert yaml.safe_load(ended.out)["units"] == value


def test_numbers_are_written_as_elsewhere(cli: Cli) -> None:
    job = job_of(cli, "--set", "corpus.n_tokens=1e4", "--set", "select.n_top=010")
    assert (job.corpus.n_tokens, job.select.n_top) == (10_000, 10)
    assert job_of(cli, "--set", "corpus.corpus=*.txt #2").corpus.corpus == "*.txt #2"


@pytest.mark.parametrize("name", ["5:13", "1e3", "010", "no", "2024-01-01", "null", "a: b #c", "~"])
def test_a_name_that_looks_like_something_else_stays_a_text(
    cli: Cli, tmp_path: Path, name: str
) -> None:
    made = cli("label", "--units", "5:1", "--corpus", name, "--llm", "none", "--print-config")
    file = tmp_path / "job.yaml"
    file.write_text(made.out)
    again = cli("label", "--config", str(file), "--print-config")
    assert again.out == made.out
    assert yaml.safe_load(made.out)["corpus"]["corpus"] == name


def test_a_file_may_have_names_with_dots_and_tabs_between_json(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    file.write_text('{\n\t"select.n_top": 7,\n\t"subject": "\\ud83d\\ude00"\n}')
    ended = cli("label", "--units", "5:1", "--llm", "none", "--config", str(file), "--print-config")
    job = yaml.safe_load(ended.out)
    assert (job["select"]["n_top"], job["subject"]) == (7, "\U0001f600")


def test_a_resumed_run_keeps_its_llm_whatever_the_settings_name(
    cli: Cli, a_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored_job(a_run)
    monkeypatch.setenv("AUTOINTERP_LLM_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("AUTOINTERP_LLM_MODEL", "another")
    ended = cli("label", "--out", str(a_run), "--resume", "--print-config")
    assert JobSpec.model_validate(yaml.safe_load(ended.out)) == before


def test_a_collection_is_printed_without_a_folder_for_it(cli: Cli) -> None:
    printed = cli("collect", "--units", "all", "--print-config")
    assert yaml.safe_load(printed.out)["units"] == "all"
    ended = cli("collect", "--units", "all")
    assert ended.code == 2
    assert "Add --out" in ended.err


def test_a_plan_prints_its_job_too(cli: Cli) -> None:
    labelled, planned = (
        cli(command, "tiny", "--units", "5:1", "--llm", "none", "--print-config")
        for command in ("label", "plan")
    )
    assert planned.out == labelled.out


@pytest.mark.parametrize("command", ["explain", "score"])
def test_records_are_read_as_fields_by_name_and_a_file_say(
    cli: Cli, tmp_path: Path, command: str
) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("llm: none\nwindows_per_call: 3\n")
    given = ("x.json", "--config", str(file), "--set", "select.context_tokens=5", "--print-config")
    job = JobSpec.model_validate(yaml.safe_load(cli(command, *given).out))
    assert (job.llm, job.score.windows_per_call, job.select.context_tokens) == ("none", 3, 5)


@pytest.mark.parametrize("command", ["label", "submit", "plan", "collect", "explain", "score"])
@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("corpus.n_token=5", "a job has no field 'corpus.n_token'; did you mean corpus.n_tokens?"),
        (
            "corpus.n_tokens=many",
            "corpus.n_tokens 'many' cannot be used: input should be a valid integer",
        ),
        ("corpus=5", "cannot be used: it has fields of its own"),
    ],
)
def test_every_command_refuses_wrong_names_and_types(
    cli: Cli, command: str, assignment: str, said: str
) -> None:
    what = ("x.json",) if command in {"explain", "score"} else ("--units", "5:1")
    ended = cli(command, *what, "--set", assignment, "--print-config")
    assert ended.code == 2
    assert said in ended.err


@pytest.mark.parametrize(
    "assignment", ['llm="http://me:secret@h/v1', "http://me:secret@h/v1", "llm={http://me:secret@h"]
)
def test_a_password_in_a_wrong_value_is_not_shown(
    cli: Cli, assignment: str, tmp_path: Path
) -> None:
    ended = cli("label", "--units", "5:1", "--set", assignment, "--print-config")
    file = tmp_path / "job.yaml"
    file.write_text("llm: [http://me:secret@h/v1]")
    other = cli("label", "--units", "5:1", "--config", str(file), "--print-config")
    assert other.code == 2
    assert "secret" not in ended.err + ended.out + other.err


def test_a_job_for_a_server_is_printed_too(cli: Cli) -> None:
    ended = cli(
        "submit", "tiny", "--units", "5:131", "--set", "score.n_heldout=6", "--print-config"
    )
    assert yaml.safe_load(ended.out)["score"]["n_heldout"] == 6


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ("--set", "select.n_tp=20"),
            "a job has no field 'select.n_tp'; did you mean select.n_top?",
        ),
        (("--set", "n_top=20"), "a job has no field 'n_top'; did you mean select.n_top?"),
        (("--set", "nonsense=1"), "a job has no field 'nonsense'; it has subject, units"),
        (
            ("--set", "select.n_top"),
            "--set 'select.n_top' has no =; write for example select.n_top=20",
        ),
        (("--set", "select.n_top=many"), "select.n_top 'many' cannot be used"),
        (("--set", "score.confidence=[1"), "--set score.confidence: '[1' is no value"),
        (("--set", "select=3"), "select 3 cannot be used"),
        (("--set", "tokens=9"), "a job has no field 'tokens'; did you mean corpus.n_tokens?"),
        (("--set", "budget.usd=9"), "a budget is not a field of a job; use --budget-usd"),
        (("--set", f"seed={'9' * 5000}"), "is no value"),
        (("--set", "select.n_top=2024-13-45"), "select.n_top '2024-13-45' cannot be used"),
        (
            ("--set", "explain.explainers=token_lookup"),
            "explain.explainers 'token_lookup' cannot be used: write a list, for example [a, b]",
        ),
        (("--config", "nowhere.yaml"), "--config nowhere.yaml does not exist"),
    ],
)
def test_what_cannot_be_set_is_named(cli: Cli, options: tuple[str, ...], sentence: str) -> None:
    ended = cli(*LABEL, *options)
    assert ended.code == 2
    assert sentence in " ".join(ended.err.split())
    assert cli.runner.jobs == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("units: [", "is not YAML or JSON in line 1"),
        ("- a\n- b\n", "does not hold fields by name; write for example units: 5:0-19"),
        ("just words", "does not hold fields by name"),
        ("", "does not hold fields by name"),
        ("corpus:\n  n_token: 5\n", "has no field 'corpus.n_token'; did you mean corpus.n_tokens?"),
        ("corpus: [wiki]\n", "corpus ['wiki'] cannot be used"),
        ("tokens: 5\ncorpus: {n_tokens: 6}\n", "tokens and corpus.n_tokens are the same field"),
        ("&a [*a, *a]", "does not hold fields by name"),
        ("corpus: &a {b: *a}", "has no field 'corpus.b.b'; did you mean"),
        ("tokens: !!int x", "is not YAML or JSON"),
        ("budget_usd: 5", "a budget is not a field of a job; use --budget-usd"),
        ("!!python/object/apply:os.system ['true']", "is not YAML or JSON"),
    ],
)
def test_a_file_that_is_no_job_is_named(cli: Cli, tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(text)
    ended = cli(*LABEL, "--config", str(file))
    assert ended.code == 2
    assert sentence in " ".join(ended.err.split())


def test_options_beside_a_manifest_are_refused_by_their_names(cli: Cli, a_dictionary: Path) -> None:
    ended = cli("label", "--from-manifest", str(a_dictionary), "--set", "score.n_heldout=6")
    assert ended.code == 2
    assert "leave out --set" in ended.err


@pytest.mark.parametrize("command", ["label", "submit", "collect", "score", "explain", "plan"])
def test_help_has_groups_and_an_example(
    cli: Cli, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    text = cli(command, "--help").out
    assert f"Example: autointerp {command} " in text
    groups = {"label": 6, "submit": 6, "collect": 3, "score": 4, "explain": 4, "plan": 6}[command]
    names = ("What", "Text", "Explaining", "Scoring", "Money", "Output")
    assert sum(f"─ {name} ─" in text for name in names) >= groups - 1
    if command in {"label", "submit", "collect"}:
        for form in (
            "layer:5",
            "random:50",
            "blocks.5.hook_resid_post:0-9",
            "sae:FOLDER",
            "dirs:FILE",
        ):
            assert form in text
