"""A client for threads."""

from __future__ import annotations

import contextlib
import copy
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from kalamdb.client import many_rows
from kalamdb.client.address import read_address
from kalamdb.client.calls import Calls
from kalamdb.client.connections import Connections
from kalamdb.client.identity import Identity
from kalamdb.client.live_messages import LiveMessages
from kalamdb.client.prepared import Statement
from kalamdb.client.steps import OneAtATime, Outcome, Pause, Request, Steps
from kalamdb.client.subscription import OPEN_S, Subscription
from kalamdb.client.tls import Path, tls_context
from kalamdb.errors import Error

if TYPE_CHECKING:
    import pyarrow as pa
    from websockets.sync.client import ClientConnection

    from kalamdb.client.result import Result

TIMEOUT_S = 60.0
RETRIES = 3
RECONNECT_S = 300.0
LOG_OUT_S = 2.0


class Client:
    """One user's view of a database behind a server. Safe for threads.

    Statements commit by themselves, or together as `BEGIN; …; COMMIT` in one call: each call is a session of its own
    on the server. `namespace`: what unqualified names mean; `USE` changes it.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        user: str | None = None,
        password: str | None = None,
        namespace: str = "default",
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
        reconnect_s: float = RECONNECT_S,
        ca_file: Path | None = None,
        certificate_file: Path | None = None,
        key_file: Path | None = None,
        verify: bool = True,
    ) -> None:
        """Asks nothing of the server yet.

        `url`: `http://host:port` or `https://host`, with the path at which the database is mounted. `token`, or `user`
        and `password`: with these it logs in at the first call, keeps its tokens fresh, and logs out in close().
        `timeout_s`: how long an answer may take, further tries included. `retries`: how often what only reads is sent
        again after a lost connection, 429 or 503; what may change something never is. `reconnect_s`: how long a
        subscription tries to come back. `ca_file`, `certificate_file`, `key_file`: in PEM; `verify`: whether the server
        must prove who it is. Raises InterfaceError.
        """
        self._address = read_address(url)
        self._tls = (
            tls_context(ca_file=ca_file, certificate_file=certificate_file, key_file=key_file, verify=verify)
            if self._address.secure
            else None
        )
        self._reconnect_s = reconnect_s
        self._connections = Connections(self._address, self._tls)
        self._calls = Calls(Identity(token, user, password, timeout_s), namespace, timeout_s, retries)
        self._lock = threading.RLock()
        self._is_a_view = False

    @property
    def url(self) -> str:
        """Of the server."""
        return self._address.url

    @property
    def namespace(self) -> str:
        """What unqualified names mean."""
        return self._calls.namespace

    def in_namespace(self, namespace: str) -> Client:
        """Another client of the same user, in which unqualified names mean this namespace's, and `USE` changes nothing
        for this one. It shares connections and log-in, and ends with this one; its own close() does nothing. Nothing
        is asked of the server yet."""
        other = copy.copy(self)
        other._calls = self._calls.in_namespace(namespace)
        other._is_a_view = True
        return other

    def _run(self, steps: Steps[Outcome]) -> Outcome:
        outcome: Any = None
        failed: Error | None = None
        while True:
            try:
                step = steps.send(outcome) if failed is None else steps.throw(failed)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            outcome, failed = None, None
            try:
                if isinstance(step, Request):
                    outcome = self._connections.send(step)
                elif isinstance(step, Pause):
                    time.sleep(step.seconds)
                elif isinstance(step, OneAtATime):
                    with self._lock:
                        outcome = self._run(step.steps)
            except Error as error:
                failed = error

    def execute(self, sql: str, parameters: Sequence[Any] | None = None, *, arrow: bool = False) -> Result:
        """Run SQL; the result of the last statement, where there are several.

        `parameters`: values for `?` or `$1, $2, …`; with one statement alone. `arrow`: have the rows of one SELECT,
        SHOW or DESCRIBE come as Arrow, as they are read, which many rows should, and keep NaN and infinities, which
        are None otherwise; needs pyarrow. Raises kalamdb.errors.Error and its kin, ServerUnreachable, ConnectionLost
        and ServerTimeout among them.
        """
        return self._run(self._calls.execute(sql, parameters, arrow=arrow))

    def stream(self, sql: str, parameters: Sequence[Any] | None = None) -> pa.RecordBatchReader:
        """The rows of one SELECT, SHOW or DESCRIBE as Arrow, batch by batch as they come, which is how more than memory
        holds is read; needs pyarrow. Raises as execute, also while it is read."""
        return self.execute(sql, parameters, arrow=True).arrow_reader()

    def execute_each(self, sql: str, parameters: Sequence[Any] | None = None) -> Iterator[Result]:
        """The result of each statement, in order; behind those that succeeded, what the next one raised. All of them
        are run before the first result is given."""
        results, error = self._run(self._calls.execute_each(sql, parameters))
        yield from results
        if error is not None:
            raise error

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> Result:
        """Run one statement for every row of parameters. `INSERT INTO t (…) VALUES (?, …)` is sent many rows at a time,
        each of these requests whole or not at all; any other is a request a row. What it raises has `rows_inserted`."""
        return self._run(many_rows.executemany(self._calls, sql, rows))

    def prepare(self, sql: str) -> Statement:
        """A statement to be run again and again. Nothing is asked of the server yet: what is wrong with it is told when
        it is run."""
        return Statement(self, sql)

    def insert(self, table: str, data: Any, *, progress: many_rows.Progress | None = None) -> Result:
        """Insert rows into `table` (`name` or `namespace.name`).

        `data`: a list of dicts, or with pyarrow anything with `__arrow_c_stream__` or `__arrow_c_array__`. Columns that
        are not in it take their defaults. It goes in requests of about half a megabyte, each of which is all or
        nothing: up to that it is atomic. What it raises has `rows_inserted`: how many rows went in before, and stay.
        A stream is read as it is sent. `progress` is called with the rows that are in and the rows in all, 0 where a
        stream does not say.
        """
        return self._run(many_rows.insert(self._calls, table, data, progress))

    def subscribe(
        self,
        sql: str,
        parameters: Sequence[Any] | None = None,
        *,
        last_rows: int | None = None,
        from_seq: int | None = None,
    ) -> Subscription:
        """Listen to rows of one table, as Session.subscribe does; needs websockets. Raises as that, and
        ServerUnreachable."""
        messages = LiveMessages(sql, parameters, self.namespace, last_rows, from_seq)
        return Subscription(
            messages,
            self._connect,
            lambda: self._run(self._calls.identity.bearer()),
            lambda refused: self._run(self._calls.identity.renewed(refused)),
            self._reconnect_s,
        )

    def _connect(self, token: str) -> AbstractContextManager[ClientConnection]:
        from websockets.sync.client import connect

        return connect(
            self._address.socket_url,
            ssl=self._tls,
            additional_headers={"Authorization": f"Bearer {token}"},
            compression=None,
            max_size=None,
            open_timeout=OPEN_S,
            close_timeout=1,
            proxy=None,
        )

    def close(self) -> None:
        """Log out, where it logged in, and close its connections. Closing again does nothing."""
        if self._is_a_view:
            return
        farewell = self._calls.identity.farewell()
        if farewell is not None:
            with contextlib.suppress(Error):
                self._connections.send(
                    Request(farewell.method, farewell.path, farewell.body, farewell.headers, LOG_OUT_S)
                )
        self._connections.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self.url}>"
