"""The pages name what there is: columns, scorers, settings, options, layers, files."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.main import get_command

from autointerp.cli.application import build_app
from autointerp.core.variants import JobLlm
from autointerp.dictionary.manifest import Manifest
from autointerp.dictionary.rows import ROW_SCHEMA
from autointerp.explainers import EXPLAINERS
from autointerp.scorers import SCORERS
from autointerp.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "autointerp" / "examples" / "smollm2-135m"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "benchmarks" / "README.md"])


def page(name: str) -> str:
    return (ROOT / name).read_text()


def test_the_readme_is_short_and_names_both_commands() -> None:
    readme = page("README.md")
    assert len(readme.splitlines()) <= 170
    assert "make demo" in readme
    assert "make test" in readme


def test_every_column_of_the_dictionary_is_explained() -> None:
    table = page("docs/dictionary.md").split("## Columns")[1].split("\n## ")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `")]
    said = {
        name: kind.strip()
        for names, kinds in rows
        for name, kind in zip_longest(
            re.findall(r"`(\w+)`", names), kinds.split(","), fillvalue=kinds.split(",")[-1]
        )
    }
    kinds = {
        pa.string(): "string",
        pa.int64(): "int",
        pa.float64(): "float",
        pa.list_(pa.string()): "list of strings",
        pa.list_(pa.float64()): "list of floats",
    }
    assert said == {field.name: kinds[field.type] for field in ROW_SCHEMA}


def test_every_file_of_a_dictionary_and_every_key_of_its_manifest_is_explained() -> None:
    text = page("docs/dictionary.md")
    names = re.findall(r"(?m)^\| `([\w/.]+)` \|", text)
    parts = {"HOOK": r"[\w.]+", "INDEX": r"\d{7}", "SIDE": r"(?:positive|negative)"}
    shapes = [
        re.sub("|".join(parts), lambda part: parts[part[0]], re.escape(name)) for name in names
    ]
    paths = [path for path in EXAMPLE.rglob("*") if path.is_file() and path.name != "README.md"]
    files = [str(path.relative_to(EXAMPLE)) for path in paths]
    assert [f for f in files if not any(re.fullmatch(shape, f) for shape in shapes)] == []
    keys = json.loads((EXAMPLE / "manifest.json").read_text())
    assert len(fields(Manifest)) == len(keys)
    assert set(keys) <= set(re.findall(r"`(\w+)`", text))


def test_the_lines_for_pandas_run_on_a_dictionary(capsys: pytest.CaptureFixture[str]) -> None:
    [lines] = re.findall(r"```python\n(import pandas.*?)```", page("docs/dictionary.md"), re.DOTALL)
    exec(lines.replace("runs/mine", str(EXAMPLE)), {})  # noqa: S102 - our own page
    assert "smollm2-135m/blocks.15.mlp.hook_post/1493" in capsys.readouterr().out


def test_every_explainer_and_every_scorer_has_a_row() -> None:
    rows = re.findall(r"(?m)^\| `(\w+)`", page("docs/scorers.md"))
    assert {spec.name for spec in (*EXPLAINERS, *SCORERS)} <= set(rows)


def test_the_defaults_of_jobs_are_marked_as_their_records_have_them() -> None:
    marks = {
        frozenset({JobLlm.CAPABLE}): "default",
        frozenset({JobLlm.SMALL}): "default, embedded",
        frozenset(JobLlm): "all defaults",
    }
    marked = dict(re.findall(r"(?m)^\| `(\w+)` \(([^)]*)\)", page("docs/scorers.md")))
    defaults = [spec for spec in (*EXPLAINERS, *SCORERS) if spec.default_with]
    assert marked == {spec.name: marks[spec.default_with] for spec in defaults}


def test_every_setting_is_listed() -> None:
    named = set(re.findall(r"`([A-Z_]+)`", page("docs/service.md")))
    assert {name.upper() for name in Settings.model_fields} <= named


def _commands(group: Any) -> Iterator[Any]:
    for command in group.commands.values():
        if hasattr(command, "commands"):
            yield from _commands(command)
        else:
            yield command


def test_every_option_that_a_page_shows_exists() -> None:
    options = {
        option
        for command in _commands(get_command(build_app()))
        for parameter in command.params
        for option in parameter.opts
    }
    shown = {
        option
        for path in PAGES
        if path.name != "CHANGELOG.md" and "benchmarks" not in path.parts
        for line in re.findall(r"(?m)^(?:\.venv/bin/)?autointerp .*", path.read_text())
        for option in re.findall(r"(?<= )--[a-z-]+", line)
    }
    assert shown <= options


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#][^)]*)\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target.partition("#")[0]).exists(), target


def test_the_architecture_page_draws_the_layers_of_the_import_contract() -> None:
    contracts = tomllib.loads(page("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    drawn = re.search(r"```layers\n(.*?)```", page("docs/architecture.md"), re.DOTALL)
    assert drawn is not None
    plain = [re.sub(r"autointerp\.|[()]", "", layer) for layer in layers]
    assert [" ".join(line.split()) for line in drawn[1].splitlines()] == plain


def test_the_architecture_page_names_every_package() -> None:
    text = page("docs/architecture.md")
    packages = [path.parent.name for path in ROOT.glob("autointerp/*/__init__.py")]
    assert [name for name in packages if f"`{name}/`" not in text] == []


def test_files_that_the_pages_for_contributors_name_exist() -> None:
    named = re.findall(
        r"`((?:autointerp|workers|tests|prompts|docs)/[a-z_/.]+)`", page("CONTRIBUTING.md")
    )
    walks = re.findall(r"[a-z_/]+/[a-z_]+\.py", page("docs/architecture.md"))
    assert len(named) > 10
    assert len(walks) > 20
    missing = [n for n in named if not (ROOT / n).exists()]
    missing += [
        n for n in walks if not any((top / n).exists() for top in (ROOT, ROOT / "autointerp"))
    ]
    assert missing == []
