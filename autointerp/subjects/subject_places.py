"""Where the files of a subject lie on this machine, by its name."""

from __future__ import annotations

from pathlib import Path

from transformers.utils.hub import cached_file

from autointerp.core.files import SMOLLM2_GGUF
from autointerp.core.places import holds, place_at
from autointerp.subjects.model_files import CONFIG

KNOWN_SUBJECTS = {"smollm2-135m": SMOLLM2_GGUF}


def place_of(name: str) -> Path | None:
    """The file or folder that a subject's name means; None where nothing lies there."""
    packaged = KNOWN_SUBJECTS.get(name)
    return place_at(name) if packaged is None else packaged.locate()


def folder_of(name: str) -> Path | None:
    """The folder that a subject's name means, if it is one."""
    path = place_of(name)
    return path if path is not None and path.is_dir() else None


def subject_files(name: str) -> Path | None:
    """The folder with a configuration or the ``.gguf`` file of a subject; None where it has none.

    Models of the hub have a folder where they were downloaded.
    """
    path = place_of(name)
    if path is not None and path.suffix == ".gguf" and path.is_file():
        return path
    if path is not None and path.is_dir():
        return path if holds(path, CONFIG) else None
    try:
        config = cached_file(name, CONFIG, local_files_only=True)
    except (OSError, ValueError):
        return None
    return None if config is None else Path(config).parent
