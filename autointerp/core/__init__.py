"""Values and errors: the standard library and pydantic only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

VERSION = "0.1.0"
"""The package's version."""


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """The ``__getattr__`` of a package that gives each name from its module on first use.

    `homes` has names separated by spaces by the module below the package that has them.
    """
    home_of = {name: home for home, names in homes.items() for name in names.split()}

    def get(name: str) -> object:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home_of[name]}"), name)

    return get
