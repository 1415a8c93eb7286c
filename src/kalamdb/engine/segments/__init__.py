"""Cold rows: immutable Parquet segments, one partition each, and the manifest that says which of them exist.

The only door to pyarrow.parquet. Nothing reaches it that was not verified, and whatever it says of a file is
Corruption.
"""

from kalamdb.engine.segments.bounds import ColumnBounds, ColumnRange, KeyRange
from kalamdb.engine.segments.cache import BoundedCache
from kalamdb.engine.segments.exporting import parquet_of
from kalamdb.engine.segments.layout import row_schema
from kalamdb.engine.segments.manifest import (
    Commit,
    Found,
    Manifest,
    Owner,
    commit,
    commit_all,
    leftovers,
    load,
    load_all,
    load_previous,
    require_own,
)
from kalamdb.engine.segments.merge import merge
from kalamdb.engine.segments.reader import SegmentReader
from kalamdb.engine.segments.segment_info import SegmentInfo
from kalamdb.engine.segments.storage import SegmentStorage
from kalamdb.engine.segments.writer import SegmentWriter

__all__ = [
    "BoundedCache",
    "ColumnBounds",
    "ColumnRange",
    "Commit",
    "Found",
    "KeyRange",
    "Manifest",
    "Owner",
    "SegmentInfo",
    "SegmentReader",
    "SegmentStorage",
    "SegmentWriter",
    "commit",
    "commit_all",
    "leftovers",
    "load",
    "load_all",
    "load_previous",
    "merge",
    "parquet_of",
    "require_own",
    "row_schema",
]
