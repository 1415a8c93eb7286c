"""How far long work is: one line of standard error, where that is a terminal; nothing at all where it is not."""

from __future__ import annotations

import shutil
import sys
import time

from kalamdb.cli.output.width import cut

PATIENCE_S = 0.3
"""What is done sooner needs no line."""
BETWEEN_S = 0.1


class Progress:
    """Tells how far it is; the line is gone at the end."""

    def __init__(self) -> None:
        self._shows = sys.stderr.isatty()
        self._next = time.monotonic() + PATIENCE_S
        self._shown = False

    def tell(self, text: str) -> None:
        """Where it stands now."""
        if not self._shows or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + BETWEEN_S
        self._shown = True
        print(
            f"\r\x1b[K{cut(text, shutil.get_terminal_size().columns - 1)}",
            end="",
            file=sys.stderr,
            flush=True,
        )

    def tell_rows(self, what: str, done: int, of: int) -> None:
        """Rows done, and of how many."""
        share = f" ({done * 100 // of} %)" if of else ""
        self.tell(f"{what}: {done:,} of {of:,} rows{share}")

    def tell_share(self, what: str, rows: int, done_bytes: int, of_bytes: int) -> None:
        """Rows that were read, and how much of the file that is, where it is known."""
        share = f" ({min(100, done_bytes * 100 // of_bytes)} % of the file)" if of_bytes else ""
        self.tell(f"{what}: {rows:,} rows{share}")

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
