"""What the commands ask of a database, wherever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


class Answer(Protocol):
    """What a statement answered: the members of kalamdb.Result that are shown."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns; none of a statement without rows."""

    @property
    def rowcount(self) -> int:
        """Rows returned or changed."""

    @property
    def message(self) -> str | None:
        """What a statement without rows did."""

    @property
    def took_ms(self) -> float:
        """How long it took where it ran, in milliseconds."""

    @property
    def description(self) -> list[tuple[str, str, Any, Any, Any, Any, Any]] | None:
        """As PEP 249 has it: the name and the SQL type of each column."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The rows."""

    def arrow(self) -> pa.Table:
        """The rows as Arrow."""


class Event(Protocol):
    """What a live query told, as kalamdb.live.Event."""

    @property
    def kind(self) -> str:
        """snapshot, insert, update or delete."""

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The rows as they are now."""

    @property
    def old_rows(self) -> Sequence[Mapping[str, Any]]:
        """The rows as they were."""

    @property
    def seq(self) -> int:
        """From where a later one goes on."""


Events = AbstractContextManager[Iterator[Event]]
Progress = Callable[[int, int], object]


class Connection(Protocol):
    """One user's conversation with one database. For one thread."""

    place: str
    """What was given for it: a directory, a URL or `:memory:`."""

    @property
    def name(self) -> str:
        """What a prompt calls it."""

    @property
    def user(self) -> str:
        """Whose rows and rights it has."""

    @property
    def namespace(self) -> str:
        """What names without one mean."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""

    def execute(self, sql: str) -> list[Answer]:
        """Run one statement; its answer, and those of the statements that had to wait for it. Raises kalamdb.Error."""

    def stream(self, sql: str) -> pa.RecordBatchReader:
        """The rows of one query as Arrow, batch by batch, outside of any transaction. Raises kalamdb.Error, then and
        while it is read."""

    def subscribe(self, sql: str) -> Events:
        """Listen to a live query. Raises kalamdb.Error, then and while it is iterated over."""

    def insert(self, table: str, data: pa.RecordBatchReader, progress: Progress | None = None) -> int:
        """Write rows, all or none, and say how many. `progress` is told of rows done, and of how many; of 0 where that
        is not known."""

    def beside(self) -> Connection:
        """Another conversation of the same user with the same database, for work in another thread."""

    def close(self) -> None:
        """End it."""
