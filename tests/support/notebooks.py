"""Notebooks executed in a kernel of their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient


def executed(path: Path, *, folder: Path, cache: Path) -> Any:
    """The notebook with the outputs that it has now.

    Args:
        path: of the notebook.
        folder: for its kernel's own files.
        cache: what the library keeps converted models in.

    Raises:
        CellExecutionError: a cell raised.
    """
    # Connections and configuration of kernels belong to nobody's home here.
    os.environ |= {name: str(folder) for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}})
    client.execute(env={**os.environ, "AUTOINTERP_CACHE_DIR": str(cache)})
    return notebook


def output_texts(notebook: Any) -> list[str]:
    """What each cell of code printed and gave, plain and HTML together."""
    return [
        "\n".join(_text(output) for output in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def _text(output: Any) -> str:
    data = output.get("data", {})
    return "\n".join((output.get("text", ""), *(data[kind] for kind in sorted(data))))
