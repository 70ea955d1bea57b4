"""Records of other tools, and single record files of our own, made into explain and scored sets."""

from autointerp.dictionary.neuron_record_import.parsing import read_record_file
from autointerp.dictionary.neuron_record_import.record_file import RecordFile

__all__ = ["RecordFile", "read_record_file"]
