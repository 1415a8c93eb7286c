"""INSERT, and UPDATE and DELETE of one row by its key, from values to the log in one native pass."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, final

from kalamcore.cursor import Cursor
from kalamcore.rows import Layout, Reader
from kalamcore.store import Store, Transaction

# Where a cell comes from, and what the second item of a source is.
PARAMETER: int  # the index of the parameter
LITERAL: int  # the index of the lifted literal
CONSTANT: int  # the value
NOW: int  # None: the statement's instant
GENERATED: int  # a callable without arguments, called once a row
USER: int  # None: the session's user

_Answer = TypeVar("_Answer", bound=Cursor)
_Source = tuple[int, object]
_Convert = Callable[[object, Any], object]

@final
class InsertPlan(Generic[_Answer]):
    """INSERT … VALUES into one table at one schema version. Thread safety: every method may be called from any thread.

    `rows`: the sources of each row, one a column of the table. `given`: how many values come with each row (or with
    the statement). `types`: for each column what `convert(value, type)` is called with where the value is not of the
    column's own Python type, and always in a JSON column. `now_us`: microseconds since 1970. `result`: what an answer is made as.

    What is refused before the commit leaves no trace: the caller may go another way. Raises as Layout.encode, as
    `convert`, and as Store.commit.
    """
    def __init__(
        self,
        store: Store,
        table_id: int,
        shared: bool,
        layout: Layout,
        rows: Sequence[Sequence[_Source]],
        given: int,
        types: Sequence[object],
        codes: Sequence[int],
        convert: _Convert,
        now_us: Callable[[], int],
        result: type[_Answer],
    ) -> None: ...
    def run(
        self,
        values: Sequence[object],
        literals: Sequence[object],
        user: str,
        sync: bool,
        started: int,
        transaction: Transaction | None = None,
    ) -> _Answer:
        """Insert the statement's rows. `values`: a list or tuple. `started`: of time.perf_counter_ns(). `transaction`:
        where they are written to; None to commit them."""
    def run_many(
        self,
        rows: Sequence[Sequence[object]],
        user: str,
        sync: bool,
        started: int,
        transaction: Transaction | None = None,
    ) -> _Answer:
        """Insert the statement's rows once for each list or tuple of values, in one commit."""

@final
class ChangePlan(Generic[_Answer]):
    """UPDATE … SET column = value, … WHERE key = value, or DELETE … WHERE key = value.

    `key`: where the key comes from. `changes`: (position, source) of each column that is set; none: the row is deleted.
    The rest as InsertPlan.
    """
    def __init__(
        self,
        store: Store,
        table_id: int,
        shared: bool,
        layout: Layout,
        reader: Reader,
        key: _Source,
        key_code: int,
        changes: Sequence[tuple[int, _Source]],
        given: int,
        types: Sequence[object],
        codes: Sequence[int],
        convert: _Convert,
        now_us: Callable[[], int],
        result: type[_Answer],
    ) -> None: ...
    def run(
        self,
        values: Sequence[object],
        literals: Sequence[object],
        user: str,
        sync: bool,
        started: int,
        transaction: Transaction | None = None,
    ) -> _Answer:
        """Change the row, if it is there. Raises as InsertPlan.run, ValueMismatchError also for a key that is no int of
        64 bits or text as its column is, WriteConflictError where another changed the row meanwhile."""
