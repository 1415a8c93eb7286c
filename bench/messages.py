"""The row of every benchmark: a chat message of about 150 bytes, the same for a number each time."""

from __future__ import annotations

import datetime
import struct
from collections.abc import Iterable
from typing import Any

TABLE = (
    "CREATE TABLE messages (id BIGINT PRIMARY KEY, conversation_id BIGINT NOT NULL, sender TEXT NOT NULL, "
    "role TEXT NOT NULL, content TEXT NOT NULL, created_at TIMESTAMP NOT NULL)"
)
SQLITE_TABLE = TABLE.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY").replace("TIMESTAMP", "INTEGER")
PLACES = "(?, ?, ?, ?, ?, ?)"
_ROLES = ("user", "assistant", "system", "tool")
_START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_FIXED = struct.Struct("<qqqBBH")

Row = tuple[int, int, str, str, str, datetime.datetime]


def message(number: int) -> Row:
    """id, conversation_id, sender, role, content, created_at."""
    content = f"message {number:012d} of a conversation about the weather, the train to Porto, and what to cook tonight"
    at = _START + datetime.timedelta(milliseconds=number)
    return number, number // 100, f"user{number % 1000:04d}", _ROLES[number % 4], content, at


def users_message(number: int, conversation: int) -> Row:
    """The same, in this conversation."""
    row = message(number)
    return row[0], conversation, *row[2:]


def sqlite_row(row: Row) -> tuple[object, ...]:
    """The same for SQLite, which keeps a timestamp as a number of microseconds."""
    return (*row[:5], int(row[5].timestamp() * 1_000_000))


def arrow_of(rows: Iterable[Row]) -> Any:
    """Rows as an Arrow table."""
    import pyarrow as pa

    # Of no rows, columns of no values.
    columns = list(zip(*rows, strict=True)) or [()] * 6
    types = [pa.int64(), pa.int64(), pa.string(), pa.string(), pa.string(), pa.timestamp("us", "UTC")]
    names = ["id", "conversation_id", "sender", "role", "content", "created_at"]
    return pa.table(list(map(pa.array, columns, types)), names=names)


def arrow_table(count: int) -> Any:
    """The first messages as an Arrow table."""
    return arrow_of(map(message, range(count)))


def packed(row: Row) -> tuple[bytes, bytes]:
    """The same as key and value, for stores of bytes."""
    sender, role, content = (text.encode() for text in row[2:5])
    fixed = _FIXED.pack(
        row[0], row[1], int(row[5].timestamp() * 1_000_000), len(sender), len(role), len(content)
    )
    return struct.pack(">Q", row[0]), fixed + sender + role + content


def unpacked(value: bytes) -> tuple[object, ...]:
    """A row again."""
    number, conversation, at, sender, role, content = _FIXED.unpack_from(value)
    start = _FIXED.size
    return (
        number,
        conversation,
        value[start : start + sender].decode(),
        value[start + sender : start + sender + role].decode(),
        value[start + sender + role : start + sender + role + content].decode(),
        at,
    )
