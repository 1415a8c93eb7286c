"""Answers as text and files: one table of formats, a module each."""

from kalamdb.cli.output.formats import FORMATS, Look, Writer, format_of_file, writer

__all__ = ["FORMATS", "Look", "Writer", "format_of_file", "writer"]
