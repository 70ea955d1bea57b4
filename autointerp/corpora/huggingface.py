"""Datasets of the Hugging Face hub, or local folders of data, streamed."""

from __future__ import annotations

import http.client
import os
from collections.abc import Iterator
from typing import Any

import datasets
import httpx
import numpy as np
from datasets.exceptions import DatasetsError

from autointerp.core.errors import AutointerpError, InputError, UpstreamError
from autointerp.core.text import Document

_MOST_WORDS = 300
_UNREACHABLE = (ConnectionError, TimeoutError, httpx.HTTPError, http.client.HTTPException)


class HuggingFaceSource:
    """One split of a dataset, read from its start; code in a dataset is never run."""

    def __init__(self, dataset: str, *, split: str, field: str) -> None:
        """Names the dataset; nothing is loaded yet.

        It is ``owner/name``, ``owner/name/configuration`` or a local folder of data files.
        """
        self._dataset, self._split, self._field = dataset, split, field

    @property
    def name(self) -> str:
        """The source with every part written out."""
        return f"hf:{self._dataset}:{self._split}:{self._field}"

    def documents(self, _rng: np.random.Generator, /) -> Iterator[Document]:
        """The rows in the order of the stream; a row whose field is null is left out.

        Raises:
            InputError: there is no such dataset, split or field, or its files are damaged.
            UpstreamError: the hub could not be reached, or the connection broke.
        """
        n_read = 0
        try:
            for row in self._load():
                yield Document(self._text(row), f"{self._dataset}#{n_read}")
                n_read += 1
        except AutointerpError:
            raise
        # Readers, decompressors and file systems of a stream raise whatever theirs is.
        except Exception as error:
            raise self._explained(error, n_read) from error

    def _load(self) -> Any:
        parts = self._dataset.split("/")
        if len(parts) == 3 and not os.path.lexists(self._dataset):
            name, configuration = "/".join(parts[:2]), parts[2]
        else:
            name, configuration = self._dataset, None
        return datasets.load_dataset(name, configuration, split=self._split, streaming=True)

    def _text(self, row: dict[str, object]) -> str:
        if self._field not in row:
            fields = ", ".join(list(row)[:10])
            raise InputError(
                f"{self.name}: rows have no field {self._field}, only {fields}; "
                "write hf:NAME:SPLIT:FIELD"
            )
        value = row[self._field]
        if value is not None and not isinstance(value, str):
            raise InputError(
                f"{self.name}: the field {self._field} holds {type(value).__name__}; "
                "choose one that holds text"
            )
        return value or ""

    def _explained(self, error: Exception, n_read: int) -> AutointerpError:
        said, kind = _words(error), type(error).__name__
        why = f"{kind}: {said}" if said else kind
        if n_read:
            what = f"{self.name} broke after row {n_read:,} ({why})"
            instead = f"or write partial:{self.name} to use the {n_read:,} rows that were read"
            if isinstance(error, _UNREACHABLE):
                return UpstreamError(f"{what}; try again, {instead}", retryable=True)
            return InputError(f"{what}; download the data set again, lower the tokens, {instead}")
        if isinstance(error, _UNREACHABLE):
            if datasets.config.HF_HUB_OFFLINE:
                return InputError(
                    f"{self.name} is not on this machine and HF_HUB_OFFLINE is set; "
                    "unset it or give a local folder"
                )
            msg = f"{self.name}: the Hugging Face hub could not be reached ({said}); try again"
            return UpstreamError(msg, retryable=True)
        known = isinstance(error, (OSError, ValueError, DatasetsError)) and said
        return InputError(
            f"cannot read {self.name}: {said if known else why}; write hf:NAME[:split[:field]] "
            "with a dataset that exists"
        )


def _words(error: Exception) -> str:
    """What an error of others says, on one line and cut."""
    try:
        said = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - it may be of any class, with any fault
        return ""
    return said if len(said) <= _MOST_WORDS else f"{said[:_MOST_WORDS]}..."
