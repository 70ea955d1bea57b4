"""The sources there are, by the name that a user writes."""

from __future__ import annotations

from pathlib import PurePath

from autointerp.core.errors import InputError
from autointerp.corpora.files import FileSource
from autointerp.corpora.source import Source
from autointerp.corpora.spec import is_path
from autointerp.corpora.stdlib import PythonSource

_KNOWN = (
    "wiki, python, a .txt, .jsonl or .parquet file or a folder of them, hf:NAME[:split[:field]], "
    "or a mixture such as wiki=0.7,python=0.3"
)


def open_source(name: str) -> Source:
    """The source of that name.

    Raises:
        InputError: nothing of that name exists, or what it needs is not installed.
    """
    if name == "wiki":
        return _open_wiki()
    if name == "python":
        return PythonSource()
    if name.startswith("hf:"):
        return _open_hub(name)
    if is_path(name):
        return FileSource(name)
    what = "file or folder" if "/" in name or PurePath(name).suffix else "corpus"
    msg = f"there is no {what} {name!r}; known are {_KNOWN}"
    raise InputError(msg)


# The parsers of wiki and the library of hf are optional, so they are imported when asked for.
def _open_wiki() -> Source:
    try:
        from autointerp.corpora.wiki import WikiSource  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _not_installed("wiki", error, extra="embedded") from error
    return WikiSource()


def _open_hub(name: str) -> Source:
    dataset, *rest = name.removeprefix("hf:").split(":")
    if not dataset or len(rest) > 2 or not all(rest):
        msg = (
            f"{name!r} is not hf:NAME[:split[:field]]; "
            "write for example hf:roneneldan/TinyStories:train:text"
        )
        raise InputError(msg)
    try:
        from autointerp.corpora.huggingface import HuggingFaceSource  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _not_installed(name, error, extra="datasets") from error
    split, field = (*rest, *("train", "text")[len(rest) :])
    return HuggingFaceSource(dataset, split=split, field=field)


def _not_installed(name: str, error: ModuleNotFoundError, *, extra: str) -> InputError:
    return InputError(
        f"the corpus {name} needs the package {error.name}, which is not installed: "
        f"run `pip install 'autointerp[{extra}]'`"
    )
