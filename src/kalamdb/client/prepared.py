"""A statement that is run again and again: the server keeps what it has read, by its text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kalamdb.client.async_client import AsyncClient
    from kalamdb.client.client import Client
    from kalamdb.client.result import Result


class Statement:
    """One statement of one client. Safe for threads."""

    __slots__ = ("_client", "sql")

    def __init__(self, client: Client, sql: str) -> None:
        """What Client.prepare makes."""
        self._client = client
        self.sql = sql

    def execute(self, parameters: Sequence[Any] | None = None, *, arrow: bool = False) -> Result:
        """Run it with these parameters; as Client.execute."""
        return self._client.execute(self.sql, parameters, arrow=arrow)

    def executemany(self, rows: Iterable[Sequence[Any]]) -> Result:
        """Run it for every row of parameters; as Client.executemany."""
        return self._client.executemany(self.sql, rows)

    def __repr__(self) -> str:
        return f"<Statement {self.sql!r} of {self._client!r}>"


class AsyncStatement:
    """One statement of one AsyncClient."""

    __slots__ = ("_client", "sql")

    def __init__(self, client: AsyncClient, sql: str) -> None:
        """What AsyncClient.prepare makes."""
        self._client = client
        self.sql = sql

    async def execute(self, parameters: Sequence[Any] | None = None, *, arrow: bool = False) -> Result:
        """Run it with these parameters; as AsyncClient.execute."""
        return await self._client.execute(self.sql, parameters, arrow=arrow)

    async def executemany(self, rows: Iterable[Sequence[Any]]) -> Result:
        """Run it for every row of parameters; as AsyncClient.executemany."""
        return await self._client.executemany(self.sql, rows)

    def __repr__(self) -> str:
        return f"<AsyncStatement {self.sql!r} of {self._client!r}>"
