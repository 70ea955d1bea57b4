"""The feature dictionary: written from a store, read back, exported."""

from autointerp.dictionary.export_formats import FORMATS, export_dictionary
from autointerp.dictionary.manifest import Manifest, ManifestInfo
from autointerp.dictionary.read import Dictionary, open_dictionary, open_example
from autointerp.dictionary.rows import COLUMNS, Row, label_row, row_json
from autointerp.dictionary.write import write_dictionary
from autointerp.store.label_records import LabelRecords, ScoredRecord

__all__ = [
    "COLUMNS",
    "FORMATS",
    "Dictionary",
    "LabelRecords",
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
