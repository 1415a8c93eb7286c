"""With what a subscription begins, as its options say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalamdb.live import checked_rows, checked_sequence
from kalamdb.server.websocket.batches import BATCH_ROWS
from kalamdb.server.websocket.refusals import InvalidMessage, UnsupportedOption

if TYPE_CHECKING:
    from kalamdb.server.websocket.client_frames import Options

BATCH_ROWS_MAX = 100_000


class Beginning:
    """With what a subscription begins: rows, what came behind a place, or nothing."""

    __slots__ = ("batch_rows", "from_seq", "last_rows", "rows")

    def __init__(self, options: Options | None) -> None:
        """Raises InvalidMessage, InvalidParameter, UnsupportedOption."""
        self.rows = options is not None
        self.from_seq: int | None = None
        self.last_rows: int | None = None
        self.batch_rows = BATCH_ROWS
        if options is None:
            return
        if options.batch_size is not None:
            if not 1 <= options.batch_size <= BATCH_ROWS_MAX:
                raise InvalidMessage(f"batch_size is from 1 to {BATCH_ROWS_MAX}, not {options.batch_size}")
            self.batch_rows = options.batch_size
        self.last_rows = checked_rows(options.last_rows)
        self.from_seq = checked_sequence(_place(options))
        if self.from_seq is not None:
            self.rows = False
            if self.last_rows is not None:
                raise InvalidMessage("a subscription begins with last_rows, or goes on from a _seq, not both")
        if self.last_rows is not None and self.last_rows > self.batch_rows:
            raise UnsupportedOption(
                f"last_rows ({self.last_rows}) is above batch_size ({self.batch_rows}); ask for fewer rows, or for "
                "larger batches"
            )

    def shown(self) -> dict[str, object]:
        """What system.live_queries has of it."""
        if self.from_seq is not None:
            return {"from_seq": self.from_seq}
        return {} if self.last_rows is None else {"last_rows": self.last_rows}


def _place(options: Options) -> int | None:
    given = [place for place in (options.resume_from, options.from_seq_id) if place is not None]
    if not given:
        return None
    try:
        places = {
            int(place)
            for place in given
            if not isinstance(place, str) or (place.isascii() and place.isdigit())
        }
    except ValueError:
        places = set()
    if len(places) != 1:
        raise InvalidMessage(
            "from is a _seq, as a decimal string or a number; from_seq_id is another name of it"
        )
    return places.pop()
