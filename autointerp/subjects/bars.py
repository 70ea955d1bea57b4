"""Imports what other libraries make progress bars with, which else warns in notebooks.

It asks for widgets that nothing here needs.
"""

from __future__ import annotations

import importlib
import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="IProgress not found")
    importlib.import_module("tqdm.auto")
