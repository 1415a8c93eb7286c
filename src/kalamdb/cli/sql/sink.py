"""Where answers go: standard output, a file, or the pager of a terminal."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, TextIO

import click

from kalamdb.cli.output import Look
from kalamdb.errors import StorageUnavailable

PAGER_ENVIRONMENT = {"LESS": "FRSX"}
"""less: quit where it fits, keep colours, do not fold lines, leave the screen as it is."""


class Sink:
    """The place of answers. Escapes, the terminal's width and the pager are for a terminal alone."""

    def __init__(self, *, boxes: bool | None = None, pager: str | None = None) -> None:
        self._file: TextIO | None = None
        self._pager = pager
        encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
        self._boxes = encoding.startswith("utf") if boxes is None else boxes
        self.paged = False
        """Whether long answers go to the pager: to be said by who talks with a person."""

    @property
    def is_terminal(self) -> bool:
        """Whether a person sees it as it comes."""
        return self._file is None and sys.stdout.isatty()

    def look(self, expanded: str, null: str) -> Look:
        """How answers are to look here."""
        if not self.is_terminal:
            boxes = self._boxes if self._file is None else True
            return Look(boxes=boxes, expanded="off" if expanded == "auto" else expanded, null=null)
        return Look(
            colour="NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb",
            width=shutil.get_terminal_size().columns,
            boxes=self._boxes,
            expanded=expanded,
            null=null,
        )

    def to_file(self, path: str | None) -> None:
        """From here on to a file that is made anew; None: back to standard output. Raises StorageUnavailable."""
        self.close()
        if path is not None and path != "-":
            try:
                self._file = open(path, "w", encoding="utf-8", newline="\n")  # noqa: SIM115 - closed by close()
            except OSError as error:
                raise StorageUnavailable(f"{path} cannot be written: {error.strerror}") from None

    def write(self, text: str) -> None:
        """Some text, at once."""
        stream = self._stream
        try:
            stream.write(text)
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        if self.is_terminal:
            stream.flush()

    def write_all(self, pieces: Iterable[str]) -> None:
        """An answer, which may be long."""
        if not (self.paged and self.is_terminal):
            for piece in pieces:
                self.write(piece)
            return
        height = shutil.get_terminal_size().lines - 2
        pieces = iter(pieces)
        first: list[str] = []
        lines = 0
        for piece in pieces:
            first.append(piece)
            lines += piece.count("\n")
            if lines > height:
                break
        else:
            self.write("".join(first))
            return
        self._page(first, pieces)

    def _page(self, first: list[str], rest: Iterator[str]) -> None:
        command = os.environ.get("PAGER", "less") if self._pager is None else self._pager
        if not command.strip() or shutil.which(command.split()[0]) is None:
            for piece in (*first, *rest):
                self.write(piece)
            return
        import subprocess

        with subprocess.Popen(
            command,
            shell=True,
            stdin=subprocess.PIPE,
            encoding="utf-8",
            env=PAGER_ENVIRONMENT | dict(os.environ),
        ) as pager:
            assert pager.stdin is not None
            try:
                for piece in (*first, *rest):
                    pager.stdin.write(piece)
                pager.stdin.close()
            except BrokenPipeError:
                pass  # who reads has seen enough
            while True:
                try:
                    pager.wait()
                    break
                except KeyboardInterrupt:
                    continue  # Ctrl-C within the pager is the pager's

    @contextmanager
    def binary(self) -> Iterator[BinaryIO]:
        """For what is no text. Raises click.UsageError where it would go to a terminal."""
        if self.is_terminal:
            raise click.UsageError("this format is no text; send it to a file with --output or \\o")
        self._stream.flush()
        yield self._stream.buffer
        self._stream.buffer.flush()

    @property
    def _stream(self) -> TextIO:
        return sys.stdout if self._file is None else self._file

    def flush(self) -> None:
        """Have it all written."""
        self._stream.flush()

    def close(self) -> None:
        """End the file, if there is one."""
        if self._file is not None:
            self._file.close()
            self._file = None
