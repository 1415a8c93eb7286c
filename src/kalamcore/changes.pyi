"""Live queries: what commits changed in a partition, judged by a predicate and decoded."""

from collections.abc import Sequence
from typing import Any, final

from kalamcore.select_plan import SelectPlan
from kalamcore.store import Readable, Store

# Kinds of changes.
INSERT: int  # 0
UPDATE: int  # 1
DELETE: int  # 2

@final
class Waker:
    """Where one who listens to many partitions waits for any of them. Safe for threads."""
    def __init__(self) -> None: ...
    def set_descriptor(self, descriptor: int) -> None:
        """From now on a byte is written to it, which must not block, when there is news and was none; -1: no more."""
    def wait(self, timeout_ms: int) -> list[int]:
        """The ids of listeners that have news since they were last told, and 0 where interrupt() was called; waits for
        the first up to `timeout_ms` (negative: for ever).
        """
    def interrupt(self) -> None:
        """Makes one wait() return, the present one or the next."""

@final
class ChangeSet:
    """What one commit changed in one partition."""
    @property
    def last(self) -> int:
        """The commit's last sequence number."""
    @property
    def loaded(self) -> int:
        """How many rows were loaded past the log; 0 where they are told one by one."""
    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
    def __len__(self) -> int: ...

def changes_between(store: Store, table_id: int, partition: bytes, after: int, until: int) -> list[ChangeSet]:
    """What commits changed in a partition behind `after` and up to `until`, which is published: ChangeSets.

    Raises HistoryGoneError where not all of it is known any more, IoError, CorruptionError.
    """

@final
class Listener:
    """One listener's place in a partition's changes: whoever makes a view after it was made gets every commit behind
    that view from it, and perhaps some before.

    `identity`: what the waker tells of it, above 0. `bytes_max`: how much may wait for it; what is beyond, but for a
    single commit, is lost, and take() says so.
    """
    def __init__(
        self, store: Store, table_id: int, partition: bytes, waker: Waker, *, identity: int, bytes_max: int
    ) -> None:
        """Waits for commits on their way. Raises CoreError where nothing more is written."""
    def take(self) -> tuple[list[ChangeSet], bool]:
        """What waits, oldest first; and whether something was lost, and so nothing comes any more."""
    def move(self, waker: Waker) -> None:
        """From now on another waker tells of it, at once where something waits."""
    def close(self) -> None:
        """Nothing comes any more. Closing again does nothing."""

@final
class LoadedRows:
    """The rows of a load, in key order, some at a time."""
    def __init__(self, set: ChangeSet) -> None: ...
    def next(self, plan: LivePlan, rows_max: int) -> list[tuple[Any, ...]] | None:
        """Rows that the plan wants among the next `rows_max`; None at the end. Raises as LivePlan.changes."""

@final
class LivePlan:
    """A live query over one schema version: the columns and the predicate of `plan`, its values bound.

    Raises ValueMismatchError where a value is of a kind that its column is not compared with here. Immutable; any
    thread may use it.
    """
    def __init__(
        self, plan: SelectPlan, parameters: tuple[object, ...], literals: Sequence[object]
    ) -> None: ...
    def snapshot(self, reader: Readable, partition: bytes, limit: int | None = None) -> list[tuple[Any, ...]]:
        """The rows as tuples, in order of `_seq`; where there is a `limit`, the last so many.

        Raises ColdMissError, CorruptionError.
        """
    def page(
        self, reader: Readable, partition: bytes, limit: int | None, after: int, rows_max: int, bytes_max: int
    ) -> tuple[list[tuple[Any, ...]], int]:
        """(the first rows behind `after`, how many are behind them); where there is a `limit`, of the last so many.

        As many as there may be, and whose encoded bytes there may be, but one at least. Raises as snapshot.
        """
    def changes(
        self, set: ChangeSet, after: int
    ) -> list[tuple[int, int, tuple[Any, ...] | None, tuple[Any, ...] | None]]:
        """(kind, its _seq, the new row or None, the old row or None) for each change behind `after` that is one here.

        A row that comes to be wanted is an INSERT, one that is no longer wanted a DELETE. `_seq` of a deleted row is
        the deletion's own. Raises CorruptionError; LookupError where the row that was replaced is not known.
        """
