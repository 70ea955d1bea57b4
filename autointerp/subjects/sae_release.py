"""SAEs and transcoders by the names under which SAELens lists their releases.

SAELens, where it is installed, fetches one and writes it as a folder in its own layout, which is
then read as any other.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os.path
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from autointerp.core.errors import InputError
from autointerp.core.places import place_at
from autointerp.subjects.encoders import EncoderHead
from autointerp.subjects.sae import SparseEncoder, load_sae, read_sae_head
from autointerp.subjects.sae_config import is_cross_layer, refuse_cross_layer

_RELEASE = re.compile(r"(?P<release>[\w.-]+)/(?P<id>[\w./ -]+)")
_LAYOUT = (
    "write sae:RELEASE/ID:0-99, for example sae:gpt2-small-res-jb/blocks.8.hook_resid_pre:0-99"
)


def open_sae(name: str, *, hook: str | None = None) -> SparseEncoder:
    """The encoder in a folder, or of a release as ``RELEASE/ID``; a folder that exists is meant.

    A hook point that is given is read in place of what its cfg.json says.

    Raises:
        InputError: neither; or what is there cannot be read here exactly.
    """
    release = _release_of(name)
    return load_sae(_folder(name), hook=hook) if release is None else _fetched(*release, hook)


def open_sae_head(name: str, *, hook: str | None = None) -> EncoderHead | None:
    """The sizes of the encoder in a folder, as for `open_sae`; None for one of a release.

    Raises:
        InputError: as `open_sae`, as far as it can be told without tensors.
    """
    return read_sae_head(_folder(name), hook=hook) if _release_of(name) is None else None


def _folder(name: str) -> Path:
    return Path(os.path.expanduser(name))  # a home folder of nobody stays as it is


def _release_of(name: str) -> tuple[Any, str, str] | None:
    """The library, the release and the id that a name means; None where it means a folder."""
    if place_at(name) is not None or name.startswith((".", "/", "~")):
        return None
    if is_cross_layer(name):
        refuse_cross_layer(name)
    release = _RELEASE.fullmatch(name.strip())
    if release is None:
        raise InputError(f"{_no_folder(name)}, or a release of sae-lens as RELEASE/ID")
    library = _sae_lens()
    if library is None:
        how = "or install sae-lens (`pip install sae-lens`) to name a release as RELEASE/ID"
        raise InputError(f"{_no_folder(name)}, {how}")
    return library, release["release"], release["id"]


def _no_folder(name: str) -> str:
    return f"{name} is not an SAE folder; name one with cfg.json and sae_weights.safetensors"


def _sae_lens() -> Any:
    """The library; None where it is not installed."""
    try:
        library = importlib.import_module("sae_lens")
    except ImportError:
        return None
    # Any folder of that name can be imported.
    return library if hasattr(library, "SAE") else None


def _fetched(library: Any, release: str, sae_id: str, hook: str | None) -> SparseEncoder:
    # Where a file that is mapped cannot be removed, it stays.
    with TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        # The folder's name becomes that of the latents' hook point.
        folder = Path(scratch) / f"{release}-{sae_id}".replace("/", "-")
        try:
            # Its progress bars and notices do not belong in our output.
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                loaded = library.SAE.from_pretrained(release, sae_id, device="cpu")
                # Before version 6 it came with its configuration and sparsities.
                sae = loaded[0] if isinstance(loaded, tuple) else loaded
                sae.save_model(folder)
        # It passes on whatever the hub's client, its converters and safetensors raise.
        except Exception as error:
            why = " ".join(str(error).split())[:300] or type(error).__name__
            msg = f"sae-lens cannot load {sae_id} of the release {release}: {why}; {_LAYOUT}"
            raise InputError(msg) from error
        return load_sae(folder, hook=hook)
