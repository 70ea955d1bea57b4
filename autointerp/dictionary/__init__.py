"""The feature dictionary: written from a store, read back, exported.

Names are imported when they are first used: reading a label needs neither pyarrow nor numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autointerp.core import lazy_names
from autointerp.store.label_records import LabelRecords, ScoredRecord

if TYPE_CHECKING:
    from autointerp.dictionary.export_formats import FORMATS, export_dictionary
    from autointerp.dictionary.labelled_units import LabelledUnits
    from autointerp.dictionary.manifest import Manifest, ManifestInfo
    from autointerp.dictionary.read import Dictionary, open_dictionary, open_example
    from autointerp.dictionary.rows import COLUMNS, Row, label_row, row_json
    from autointerp.dictionary.write import write_dictionary

__getattr__ = lazy_names(
    __name__,
    {
        "export_formats": "FORMATS export_dictionary",
        "labelled_units": "LabelledUnits",
        "manifest": "Manifest ManifestInfo",
        "read": "Dictionary open_dictionary open_example",
        "rows": "COLUMNS Row label_row row_json",
        "write": "write_dictionary",
    },
)

__all__ = [
    "COLUMNS",
    "FORMATS",
    "Dictionary",
    "LabelRecords",
    "LabelledUnits",
    "Manifest",
    "ManifestInfo",
    "Row",
    "ScoredRecord",
    "export_dictionary",
    "label_row",
    "open_dictionary",
    "open_example",
    "row_json",
    "write_dictionary",
]
