"""The statements of one request, run in a thread one after the other, and what each of them answered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kalamdb.errors import InvalidTransactionState
from kalamdb.server.arrow_answer import BATCH_ROWS, arrow_pieces
from kalamdb.server.sql_answer import head_of, tail_of

if TYPE_CHECKING:
    from kalamdb.result import Result
    from kalamdb.server.call import Call
    from kalamdb.server.sql_request import SqlRequest
    from kalamdb.session import Session

WHOLE_ROWS_MAX = 4_096
"""Rows kept as Arrow are written in pieces, while they are sent, where there are more."""


class Running:
    """One request's statements. `run` is called once, by one thread; the rest is for afterwards."""

    def __init__(self, call: Call, session: Session, request: SqlRequest) -> None:
        self._call = call
        self._session = session
        self._request = request
        self._json = call.application.json
        self.results: list[bytes] = []
        """Of the statements that have succeeded, as JSON."""
        self.large: Result | None = None
        """The last of them, where it is to be sent in pieces; then it is not in `results`."""
        self.processor_ms = 0.0
        """What they and the writing of their results took of the processor in this thread."""

    def run(self) -> None:
        """Run every statement. Raises what a statement raises: then `results` has those before it."""
        session, request = self._session, self._request
        started = time.thread_time()
        parameters = self._call.application.parameters.read(session, request.sql, request.params)
        size = 0
        try:
            for result in session.execute_each(request.sql, parameters):
                if self.large is not None:
                    # There is another one behind it, so that it was not the last.
                    size += self._write(self.large, size)
                    self.large = None
                if result.is_arrow and result.rowcount > WHOLE_ROWS_MAX:
                    self.large = result
                else:
                    size += self._write(result, size)
            if session.in_transaction:
                session.rollback()
                raise InvalidTransactionState(
                    "the request ended inside a transaction, which was rolled back; "
                    "COMMIT it in the request that begins it"
                )
        except BaseException:
            if self.large is not None:
                self._write(self.large, size)
            raise
        self.processor_ms = (time.thread_time() - started) * 1e3
        if self.large is not None and self.large.arrow().nbytes + size > self._json.bytes_max:
            raise self._json.too_large()

    def pieces(self) -> Iterator[bytes]:
        """The answer, whose last result is `large`."""
        assert self.large is not None
        yield head_of(self.results)
        yield from self._json.pieces(self.large, self._session.user)
        yield tail_of(self._call.took_ms)

    def _write(self, result: Result, size: int) -> int:
        text = self._json.whole(result, self._session.user)
        if size + len(text) > self._json.bytes_max:
            raise self._json.too_large()
        self.results.append(text)
        return len(text)


class RunningForArrow:
    """One SELECT, whose rows are wanted as Arrow."""

    def __init__(self, call: Call, session: Session, request: SqlRequest) -> None:
        self._call = call
        self._session = session
        self._request = request

    def run(self) -> Iterator[bytes]:
        """The stream. Raises what the statement raises, and ResultTooLarge for rows that have to be made first: those
        that are read as they are sent take no room, however many they are."""
        application, request = self._call.application, self._request
        parameters = application.parameters.read(self._session, request.sql, request.params)
        rows = self._session.row_pages(request.sql, parameters)
        if rows is None:
            table = self._session.execute(request.sql, parameters).arrow()
            if table.nbytes > application.json.bytes_max:
                raise application.json.too_large()
            rows = table.to_reader(max_chunksize=BATCH_ROWS)
        return arrow_pieces(rows)
