"""Rows of thousands of labels in one value of Redis, as `listed_blocks` keeps them in folders."""

from __future__ import annotations

from autointerp.core.errors import AutointerpError
from autointerp.store.labels.label_rows import ListedRow, listed_row
from autointerp.store.labels.listed_blocks import MOST_OLD, N_ROWS, pack_rows, unpack_rows
from autointerp.store.labels.redis_label_scripts import ADD_BLOCK, KEPT, LAST_OF_BLOCKS, ROWS_SINCE
from autointerp.store.redis_connection import PREFIX, RedisConnection

# Blocks that a put adds at most, where a store has rows from before there were any.
_AT_ONCE = 4
NamedRow = tuple[bytes, ListedRow | None]
"""The name of a change, and its row where it can be read; no name where a block has it."""


class RedisRows:
    """Rows by the numbers of changes."""

    def __init__(self, connection: RedisConnection, model: str) -> None:
        self._connection = connection
        names = ("rows", "row-changes", "row-change", "kept-rows", "row-blocks", "row-block-starts")
        self._keys = [f"{PREFIX}{name}:{model}" for name in names]
        self._labels = f"{PREFIX}labels:{model}"

    def since(self, change: int, limit: int) -> tuple[list[NamedRow], int]:
        """The rows of the changes after one, of a whole block where one comes next; the last."""
        last, found, block = self._read(change, limit, with_blocks=limit >= N_ROWS)
        if block is None:
            return found, last
        rows = _unpacked(block)
        if rows is None:
            last, found, _ = self._read(change, limit, until=last)
            return found, last
        return [(b"", row) for row in rows], last

    def was_put(self, change: int) -> None:
        """Puts rows together where a change was the last of so many, as of `listed_blocks`."""
        # One that keeps the label that was there has two numbers.
        if change // N_ROWS > (change - 2) // N_ROWS:
            try:
                self.add_blocks(change)
            except AutointerpError:
                # The label is there, and its row; whoever puts the next ones tries again.
                return

    def add_blocks(self, newest: int) -> None:
        """Adds those that the changes up to the newest fill, some at a time.

        Raises:
            UpstreamError: the server cannot be reached, or refuses.
        """
        for _ in range(_AT_ONCE):
            done = int(self._connection.script(LAST_OF_BLOCKS, self._keys[5:], []))
            if newest - done < N_ROWS:
                return
            last, found, _ = self._read(done, N_ROWS, until=newest)
            rows = [row for _, row in found if row is not None]
            data = pack_rows(rows) if len(rows) == len(found) else b""
            keys = [*self._keys[4:], self._labels, self._keys[3]]
            self._connection.script(ADD_BLOCK, keys, [done + 1, last, data, N_ROWS, MOST_OLD])

    def _read(
        self, change: int, limit: int, *, with_blocks: bool = False, until: int | None = None
    ) -> tuple[int, list[NamedRow], bytes | None]:
        args = [change, limit, int(with_blocks), "+inf" if until is None else until]
        last, found, *block = self._connection.script(ROWS_SINCE, self._keys, args)
        pairs = zip(found[::2], found[1::2], strict=True)
        rows = [(name, listed_as(name, text)) for name, text in pairs]
        return int(last), rows, block[0] if block else None


def listed_as(name: bytes, text: bytes) -> ListedRow | None:
    """The row of a change of that name; None where it is damaged."""
    row = listed_row(text)
    return row and row._replace(is_kept=name.startswith(KEPT.encode()))


def _unpacked(block: bytes) -> list[ListedRow] | None:
    """Its rows; None where it has none that this version can read, as then they are read alone."""
    try:
        return unpack_rows(block) if block else None
    except ValueError:
        return None
