from __future__ import annotations

import ast
import importlib
from collections import Counter
from pathlib import Path

import pytest

import autointerp

PACKAGE = Path(autointerp.__file__).parent
# Found as files: naming them must not import them all whenever tests are collected.
MODULES = sorted(
    ".".join(("autointerp", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in PACKAGE.rglob("*.py")
    if path.name != "__main__.py"
)


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_sorted_and_exist(name: str) -> None:
    module = importlib.import_module(name.removesuffix(".__init__"))
    public = list(getattr(module, "__all__", []))
    assert public == sorted(public, key=_as_ruff_sorts)
    assert [missing for missing in public if not hasattr(module, missing)] == []
    assert len(set(public)) == len(public)


def _as_ruff_sorts(name: str) -> tuple[int, str]:
    """Constants first, then classes, then the rest."""
    kind = 0 if name.isupper() else 1 if name[:1].isupper() else 2
    return kind, name


def test_every_package_names_what_is_public() -> None:
    packages = [p.parent for p in PACKAGE.glob("*/__init__.py") if p.parent.name != "core"]
    silent = [p.name for p in packages if "__all__" not in (p / "__init__.py").read_text()]
    assert silent == []


def test_no_two_files_and_no_two_classes_have_one_name() -> None:
    paths = [*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "workers").glob("*.py")]
    files = Counter(path.name for path in paths if not path.name.startswith("__"))
    trees = [ast.parse(path.read_text()) for path in paths]
    classes = Counter(n.name for t in trees for n in ast.walk(t) if isinstance(n, ast.ClassDef))
    assert [name for names in (files, classes) for name, n in names.items() if n > 1] == []
