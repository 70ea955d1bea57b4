"""What is meant by a name that somebody wants to look at: a subject, an SAE or a corpus."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from autointerp.core.errors import InputError
from autointerp.core.one_line import shortened
from autointerp.core.places import holds, place_at
from autointerp.core.unit_spec import FileItem, parse_unit_spec
from autointerp.corpora import check_corpus
from autointerp.corpora.document_files import readable
from autointerp.corpora.named_paths import named_path
from autointerp.corpora.sources import parse_spec

Kind = Literal["subject", "sae", "corpus"]

_SAE_FILES = ("cfg.json", "sae_weights.safetensors")
_HOOK = re.compile(r"@blocks\.[0-9]+\.[a-z0-9_.]+$")
_BUILT_IN = {"wiki", "python"}
_KNOWN = (
    "a subject model (smollm2-135m, a model of the hub that was downloaded, a folder with "
    "config.json, a .gguf file), an SAE (a folder with cfg.json and sae_weights.safetensors, "
    "perhaps FOLDER@HOOK) or a corpus "
    "(wiki, python, a text file or folder, a save_to_disk folder, hf:NAME, a mixture)"
)


def kind_of(name: str) -> Kind | None:
    """Which of the three a name means by how it is written and what lies there.

    None for what only the hub or TransformerLens could know as a subject.

    Raises:
        InputError: something lies there that is none of them.
    """
    if name.startswith("sae:"):
        return "sae"
    sae, path = place_at(_HOOK.sub("", name)), place_at(name)
    if sae is not None and any(holds(sae, file) for file in _SAE_FILES):
        return "sae"
    if path is not None and (
        holds(path, "config.json") or (path.suffix == ".gguf" and path.is_file())
    ):
        return "subject"
    shares = [share.name.removeprefix("partial:") for share in parse_spec(name)]
    if all(one in _BUILT_IN or one.startswith("hf:") or named_path(one) for one in shares):
        _check_text(name, path)
        return "corpus"
    if len(shares) > 1 or name.startswith(("/", ".", "~")):
        raise none_of_the_three(name, "nothing lies there")
    return None


def sae_item(name: str) -> FileItem:
    """An SAE as it is named, with ``sae:`` before it or without, and a hook point behind it.

    Raises:
        InputError: units stand behind it.
    """
    item = parse_unit_spec(name if name.startswith("sae:") else f"sae:{name}").items[0]
    if not isinstance(item, FileItem) or item.indices is not None:
        raise InputError(f"{shortened(name)} names units; inspect takes the SAE alone, sae:FOLDER")
    return item


def none_of_the_three(name: str, why: str) -> InputError:
    """The error for a name that means nothing."""
    return InputError(f"{shortened(name, most=300)} cannot be inspected: {why}; name {_KNOWN}")


def _check_text(name: str, path: Path | None) -> None:
    try:
        check_corpus(name)
    except InputError as error:
        if path is None or not path.is_dir() or "has no file ending in" not in str(error):
            raise
        with readable(path):
            entries = sorted(entry.name for entry in path.iterdir())[:5]
        what = f"it holds {', '.join(entries)}" if entries else "the folder is empty"
        raise none_of_the_three(name, f"{what}, and no file that is read") from error
