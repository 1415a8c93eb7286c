"""Many rows of one partition written to a hot segment of their own at once, past log and memtable."""

from collections.abc import Sequence
from typing import final

from kalamcore.rows import Reader
from kalamcore.store import Store

@final
class SegmentLoad:
    """Rows in order of their keys, all committed together or not at all. One thread at a time.

    Forgetting it leaves nothing of it.
    """
    def __init__(
        self, store: Store, table_id: int, partition: bytes, reader: Reader, column_names: Sequence[str]
    ) -> None:
        """`reader`: of the version that the rows have. Raises IoError."""
    def add(self, batch: object, order: object = None) -> None:
        """Takes a record batch of the table's columns in canonical types, behind all that were added.

        `order`: a buffer of int64, the number of each row among all of the load, by which they get their sequence
        numbers; None: as they come. Raises DuplicateKeyError with that number, NullValueError, ValueOutOfRangeError and
        ValueMismatchError with the row in this batch, IoError.
        """
    def commit(self) -> int:
        """All of it or nothing, durable and published when it returns: the sequence number of the last row.

        Raises DuplicateKeyError where a key has a live row, WriteConflictError where the table is another by now,
        PoisonedError, OutcomeUnknownError, IoError; ColdMissError: bring what it names and call it again.
        """
    def __len__(self) -> int:
        """Rows that were added."""
