from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_every_import_points_down() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "0 broken" in ended.stdout


@pytest.mark.parametrize("module", ["autointerp.cli", "workers", "autointerp.cli.label"])
def test_programs_limit_the_threads_of_numpy_before_it_is_loaded(module: str) -> None:
    program = f"""
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            print(os.environ.get("OPENBLAS_NUM_THREADS"))
sys.meta_path.insert(0, Watch())
import {module}
import numpy
"""
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.splitlines() == ["1"]


@pytest.mark.parametrize("module", ["autointerp", "autointerp.cli", "autointerp.settings"])
def test_torch_is_loaded_only_when_it_is_needed(module: str) -> None:
    program = (
        f"import sys, {module}; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


_NOT_TO_READ = (
    *("torch", "numpy", "pyarrow", "pydantic", "pydantic_core", "typing_extensions", "asyncio"),
    *("logging", "traceback", "hashlib", "shutil", "importlib.metadata"),
    *("autointerp.core.config", "autointerp.store.labels.old_layout"),
)


@pytest.mark.parametrize("read", ["found.find('1:402')", "(found['1:402'],)", "tuple(found)[:1]"])
def test_a_label_with_its_records_is_read_without_what_takes_long_to_import(read: str) -> None:
    program = f"""
import sys
from autointerp import open_dictionary
found = open_dictionary("autointerp/examples/smollm2-135m")
(label, *_) = {read}
assert found.records(label.unit, label.side).held_out
print([m for m in {_NOT_TO_READ} if m in sys.modules])
"""
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


def test_no_two_public_classes_have_one_name() -> None:
    files = [*ROOT.glob("autointerp/**/*.py"), *ROOT.glob("workers/*.py")]
    names = Counter(
        node.name
        for file in files
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert len(names) > 300
    assert [name for name, n in names.items() if n > 1] == []
