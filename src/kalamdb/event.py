"""What a subscription tells: rows that were there, or one kind of change that a commit made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

Row = dict[str, Any]


class Event(NamedTuple):
    """`kind`: "snapshot", "insert", "update" or "delete". `rows`: the rows as they are now, in order of `_seq`; none of
    a delete. `old_rows`: of an update the rows before, one for each of `rows`; of a delete those that are gone. `seq`:
    whoever resumes with `from_seq` of an event gets everything behind it, and nothing of it again.

    Rows are dicts of the columns that were asked for, and `_seq`. Of a row that a delete tells, `_seq` is the
    deletion's own.
    """

    kind: str
    rows: Sequence[Row]
    old_rows: Sequence[Row]
    seq: int
