"""Simple SELECTs answered by the core: rows of one partition, filtered, ordered, limited or counted."""

from collections.abc import Callable, Sequence
from typing import Any, final

from kalamcore.cursor import Cursor
from kalamcore.rows import Batch, Reader
from kalamcore.store import Readable

# Where a constant comes from.
PARAMETER: int  # 0: index in the parameters
LITERAL: int  # 1: index in the literals that were lifted out of the text
GIVEN: int  # 2: the value itself

# Tests of a predicate.
AND: int  # 0
OR: int  # 1
NOT: int  # 2
EQUAL: int  # 3
NOT_EQUAL: int  # 4
LESS: int  # 5
LESS_EQUAL: int  # 6
GREATER: int  # 7
GREATER_EQUAL: int  # 8
IN: int  # 9
PREFIX: int  # 10: LIKE, whose pattern must at run time be a text and one % at its end
IS_NULL: int  # 11
IS_NOT_NULL: int  # 12

# Aggregates.
ROWS: int  # 0: COUNT(*)
VALUES: int  # 1: COUNT(column)
LEAST: int  # 2
GREATEST: int  # 3

_Constant = tuple[int, object, bool]
"""(source, index or value, whether a minus stands before it)"""

@final
class SelectPlan:
    """A statement for one schema version of one table. Immutable; any thread may run it.

    `columns`: positions to return, in order. `predicate`: a tree of (test, column, constants) and, for AND, OR and
    NOT, (test, parts); None for all rows. `order`: (column, descending, nulls first). `aggregates`: (kind, column or
    -1), instead of columns. `limit`, `offset`: constants. `arrow_rows`: results of more rows are Arrow. `bytes_max`:
    results of more bytes are left to the query engine (-1: none). `result`, `names`, `types`: what `answer` makes, a
    kind of Cursor; `codes`: those of the types, as JsonRows takes them; `stored`: its rows hold JSON, still as text.
    `parameters`: how many the statement takes. `everybody`: all partitions are meant, where COUNT(*) is all that is
    asked. `check`: called between runs of many rows; what it raises ends the statement, as Ctrl-C does.
    """
    def __init__(
        self,
        reader: Reader,
        table_id: int,
        *,
        shared: bool,
        columns: Sequence[int],
        predicate: tuple[object, ...] | None = None,
        order: tuple[int, bool, bool] | None = None,
        aggregates: Sequence[tuple[int, int]] = (),
        limit: _Constant | None = None,
        offset: _Constant | None = None,
        arrow_rows: int = 4096,
        bytes_max: int = -1,
        result: type[Cursor] = ...,
        names: tuple[str, ...] = (),
        types: tuple[object, ...] = (),
        codes: bytes | None = None,
        stored: bool = False,
        parameters: int = 0,
        everybody: bool = False,
        check: Callable[[], None] | None = None,
    ) -> None:
        """Raises ValueMismatchError for a plan that cannot be (a comparison with a DECIMAL, an unknown column)."""
    def run(
        self,
        store: Readable,
        user: str,
        snapshot: int | None,
        parameters: tuple[object, ...],
        literals: Sequence[object],
        timeout_s: float = 0.0,
        /,
    ) -> list[tuple[object, ...]] | tuple[int, list[Batch]] | None:
        """The rows as tuples; where there are more than `arrow_rows`, (how many, Arrow batches f0, f1, …).

        `user`: whose partition it is, unless the table is shared. `snapshot`: None for the newest, in a
        transaction its own. None where a value
        is of a kind that its column is not compared with here, or the rows take more than `bytes_max` bytes: ask the
        query engine, which knows what to say. Raises CorruptionError, and TimeoutError after `timeout_s` seconds
        (0: never).
        """
    def answer(
        self,
        store: Readable,
        user: str,
        parameters: Sequence[object] | None,
        literals: Sequence[object],
        started_ns: int,
        timeout_s: float = 0.0,
        /,
    ) -> Any:
        """What run gives of the newest snapshot, as a `result` with `names` and `types`, or None.

        `parameters`: a tuple, a list or None; None is answered where there are not as many as `parameters`.
        `started_ns`: by time.perf_counter_ns; 0: now.
        """
