"""A live query over a WebSocket, apart from the connection: what is sent, what the messages mean, where to go on.

The rows that are there at the beginning are kept until all of them have come: then every one of them is of one moment,
and a connection that is lost on the way is no more than a beginning made anew. From there on each event says where to
go on, and another connection does so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from kalamdb.client.calls import encoded
from kalamdb.client.json_text import dumps, loads
from kalamdb.client.remote_errors import error_of_frame
from kalamdb.client.result import decoder_of
from kalamdb.errors import InvalidParameter, InvalidToken, InvalidValue
from kalamdb.event import Event, Row
from kalamdb.protocol import decode_data_type

_ID = "1"
RECONNECTING = frozenset({None, 1001, 1005, 1006, 1011, 1012, 1013})
"""Close codes, none among them, behind which another connection goes on."""


class LiveMessages:
    """For one thread or task at a time."""

    def __init__(
        self,
        sql: str,
        parameters: Sequence[Any] | None,
        namespace: str,
        last_rows: int | None,
        from_seq: int | None,
    ) -> None:
        """Raises InvalidParameter."""
        _check(last_rows, "last_rows is a number of rows, 0 or more")
        _check(from_seq, "from_seq is the seq of an event or the _seq of a row")
        if last_rows is not None and from_seq is not None:
            raise InvalidParameter("a subscription begins with last_rows, or goes on from_seq, not both")
        self.sql = sql
        self.columns: tuple[str, ...] = ()
        self._wanted: dict[str, Any] = {"id": _ID, "sql": sql, "namespace_id": namespace}
        if parameters:
            self._wanted["params"] = encoded(parameters)
        self._last_rows = last_rows
        self._seq = from_seq
        self._decoders: dict[str, Any] = {}
        self._snapshot: list[list[Row]] = []
        self._events: deque[Event] = deque()
        self.is_open = False
        """Whether the server has agreed, on this connection."""

    def begin(self) -> str:
        """What is sent first on a new connection."""
        self.is_open = False
        self._snapshot = []
        options: dict[str, Any] = {}
        if self._seq is not None:
            options["from"] = str(self._seq)
        elif self._last_rows is not None:
            options |= {"last_rows": self._last_rows, "batch_size": min(max(1000, self._last_rows), 100_000)}
        return dumps({"type": "subscribe", "subscription": {**self._wanted, "options": options}}).decode()

    def take(self, text: str | bytes) -> str | None:
        """Read a message; what is to be sent now, if anything. Raises the error that it tells of."""
        frame = loads(text)
        match frame.get("type"):
            case "change":
                self._take_change(frame)
            case "initial_data_batch":
                return self._take_batch(frame)
            case "subscription_ack":
                self._take_schema(frame["schema"])
                self.is_open = True
            case "error":
                raise error_of_frame(frame)
            case "auth_error":
                raise InvalidToken(str(frame.get("message", "the token is not good")))
        return None

    def next(self) -> Event | None:
        """The next event; None until more messages were read."""
        if not self._events:
            return None
        event = self._events.popleft()
        self._seq = event.seq
        return event

    def _take_schema(self, schema: Sequence[Mapping[str, Any]]) -> None:
        self.columns = tuple(column["name"] for column in schema)
        found = ((column["name"], decoder_of(decode_data_type(column["data_type"]))) for column in schema)
        self._decoders = {name: decode for name, decode in found if decode is not None}

    def _take_batch(self, frame: Mapping[str, Any]) -> str | None:
        control = frame["batch_control"]
        if self._seq is not None:
            return None  # it goes on from a place, which has no rows
        self._snapshot.append([self._row(row) for row in frame["rows"]])
        if control["has_more"]:
            last = control["last_seq_id"]
            return dumps({"type": "next_batch", "subscription_id": _ID, "last_seq_id": last}).decode()
        seq = int(control["last_seq_id"])
        self._events.extend(Event("snapshot", rows, [], seq) for rows in self._snapshot)
        self._snapshot = []
        return None

    def _take_change(self, frame: Mapping[str, Any]) -> None:
        rows = [self._row(row) for row in frame.get("rows", ())]
        old = [self._row(row) for row in frame.get("old_values", ())]
        if frame["change_type"] == "update":
            # What did not change is not said twice.
            old = [{**row, **changed} for row, changed in zip(rows, old, strict=True)]
        seq = max(row["_seq"] for row in rows or old)
        self._events.append(Event(frame["change_type"], rows, old, seq))

    def _row(self, row: Row) -> Row:
        try:
            for name, decode in self._decoders.items():
                if row.get(name) is not None:
                    row[name] = decode(row[name])
        except (TypeError, ValueError, ArithmeticError) as error:
            raise InvalidValue(f"the server sent a cell that is none: {error}") from error
        return row


def _check(number: int | None, what: str) -> None:
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 0):
        raise InvalidParameter(f"{what}, not {number!r}")
