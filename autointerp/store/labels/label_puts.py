"""How a label is put into the file of a folder's labels, beside or in place of others."""

from __future__ import annotations

from collections.abc import Callable

from autointerp.core.explanations import Label, LabelStatus
from autointerp.store.labels import kept_tables, label_database
from autointerp.store.labels.database import Connection
from autointerp.store.labels.label_database import Key, key_of
from autointerp.store.labels.waiting_puts import Put
from autointerp.store.packed_labels import pack_label

PackedRow = Callable[[Label], bytes | None]
"""Makes the row that is put with a label; None where none is kept."""


def newest(label: Label, packed_row: PackedRow) -> tuple[Key, Put]:
    """What puts the label as its side's newest one, and its key."""
    key, packed, row = key_of(label.unit, label.side), pack_label(label), packed_row(label)

    def put(connection: Connection) -> None:
        failed = label.status is LabelStatus.FAILED
        if failed and not label_database.is_replaced(connection, key, label):
            return
        there = kept_tables.replaced_label(connection, key, label)
        if there is not None:
            kept_row = packed_row(there)
            kept_tables.keep_label(connection, key, there.origin.digest, kept_row)
        label_database.put(connection, key, row, packed)
        # Last: it may be the newest change, whose number must not be given again.
        kept_tables.drop_kept(connection, key, label.origin.digest)

    return key, put


def kept(label: Label, packed_row: PackedRow) -> tuple[Key, Put]:
    """What puts the label beside its side's newest one, or in its place if of its origin."""
    key, packed, row = key_of(label.unit, label.side), pack_label(label), packed_row(label)

    def put(connection: Connection) -> None:
        if kept_tables.is_newest(connection, key, label):
            label_database.put(connection, key, row, packed)
        else:
            kept_tables.put_kept(connection, key, label.origin.digest, row, packed)

    return key, put
