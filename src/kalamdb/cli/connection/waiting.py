"""The answer of a statement that was not sent yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalamdb.errors import InterfaceError

if TYPE_CHECKING:
    import pyarrow as pa


class Waiting:
    """No rows, and a message."""

    columns: tuple[str, ...] = ()
    rowcount = 0
    took_ms = 0.0
    description = None

    def __init__(self, message: str) -> None:
        self.message: str | None = message

    def fetchall(self) -> list[tuple[Any, ...]]:
        """None."""
        return []

    def arrow(self) -> pa.Table:
        """There is none: InterfaceError."""
        raise InterfaceError("the statement was not sent yet, so there is no Arrow table of its rows")
